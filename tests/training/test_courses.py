"""Courses in training: whose ids they are made of, which of them end, and what is logged and refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Failure
from rrr_core.errors import DataError, RrrError
from rrr_core.generation import ModelSettings
from rrr_core.generation.transformers_backend import load_from
from rrr_core.hookspecs import Step
from rrr_core.progress import Progress
from rrr_core.training.credit import prompt_ids, sampled_tokens
from rrr_core.training.freshness import Renewal, renew
from rrr_core.training.passes import Requests, longest_completion
from rrr_core.training.preflight import fitted
from rrr_core.training.rollout import Rollout
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import CONTEXT_FULL, CUT_OFF, STEP_LIMIT, Verdict, abstained
from rrr_core.verification import Judge
from tests.fakes import KeptProgress
from tests.training.conftest import CoinTask, StepCoin, course_failures
from tests.training.test_trainer import lines

pytestmark = pytest.mark.train


def with_template(model: Path, folder: Path, template: str = "", context: int = 128) -> ModelSettings:
    """The tiny model with another chat template or context."""
    copy = Path(shutil.copytree(model, folder))
    if template:
        (copy / "chat_template.jinja").write_text(template)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": context}))
    return ModelSettings(model=str(copy))


def rollout_of(task: Any, model_settings: ModelSettings, settings: TrainSettings) -> Rollout:
    return Rollout(task, load_from(model_settings, "float32"), Judge(task, 1.0), settings)


@pytest.fixture
def run(settings: TrainSettings) -> TrainSettings:
    return dataclasses.replace(settings, max_steps=3, max_attempt_tokens=6)


@pytest.fixture
def rollout(model_settings: ModelSettings, run: TrainSettings) -> Rollout:
    return rollout_of(StepCoin(), model_settings, run)


@pytest.fixture
def members() -> list[Failure]:
    return [failure for failure in course_failures() for _ in range(8)]


@pytest.fixture
def episodes(rollout: Rollout, members: list[Failure]) -> list[Episode]:
    return rollout.play(members, (0,))


def actions_of(episode: Episode) -> int:
    return sum(each.role == "retry" for each in episode.segments)


def test_a_courses_ids_are_what_the_network_saw(rollout: Rollout, members: list[Failure]) -> None:
    """Decoded they are the template's rendering of the conversation, though no text was encoded again."""
    rollout.settings = dataclasses.replace(rollout.settings, rounds=2)
    tokenizer, template, end = rollout.engine.tokenizer, rollout.engine.chat.template, rollout.engine.end_ids[0]  # type: ignore[attr-defined]
    compared = 0
    for episode in rollout.play(members, (0,)):
        for place, segment in enumerate(episode.segments):
            if segment.role != "observation" or not segment.ids:
                continue
            before = episode.segments[: place + 1]
            assert segment.messages == ({"role": "user", "content": f"Toss {episode.row['n'] + 1}."},)
            assert episode.segments[place - 1].ids[-1] == end, "an action that is cut off ends its course"
            texts = [each for each in before if each.ids and not each.is_read]
            plain = (tokenizer.decode(each.ids).removesuffix("<|end|>") for each in texts)
            if all(one == each.text == one.strip() for one, each in zip(plain, texts, strict=True)):
                ids = [token for each in before for token in each.ids]
                assert tokenizer.decode(ids) == template.render(conversation(before))
                compared += 1
    assert compared > 10


def test_only_the_last_action_is_judged_and_limits_end_a_course(episodes: list[Episode]) -> None:
    task, categories = StepCoin(), set()
    for episode in episodes:
        *before, last = [each for each in episode.segments if each.role == "retry"] or [episode.segments[-1]]
        assert all(each.verdict is None and each.judged is None for each in before)
        assert all(len(each.ids) <= 5 for each in (*before, last) if last.role == "retry")
        if last.judged:
            assert last.judged == "".join(f"{each.text};" for each in (*before, last))
            assert last.verdict == task.verify(episode.row, last.judged)
        elif last.role == "retry":
            assert last.verdict is not None
            categories.add(last.verdict.category)
            assert (last.verdict.category == STEP_LIMIT) == (len(before) == 2 and not last.is_cut_off)
    assert categories == {STEP_LIMIT, CUT_OFF}
    assert {1, 2, 3} <= {actions_of(each) for each in episodes}


def test_a_first_action_is_drawn_as_an_answer_without_steps(
    episodes: list[Episode], members: list[Failure], model_settings: ModelSettings, run: TrainSettings
) -> None:
    for episode, text in zip(episodes, rollout_of(CoinTask(), model_settings, run).play(members, (0,)), strict=True):
        (one,), (other,) = episode.rounds, text.rounds
        assert one.reflection == other.reflection
        assert [each.ids for each in one.actions[:1]] == [each.ids for each in other.actions]


class Impatient(StepCoin):
    """On even rows, the first action is the last."""

    def step(self, row: Any, state: Any, action: str, calls: Any = ()) -> Step | Verdict:
        step = super().step(row, state, action)
        return Step(answer=f"{action};") if row["n"] % 2 == 0 else step


def test_a_course_that_ends_changes_no_other_members_texts(
    episodes: list[Episode], members: list[Failure], model_settings: ModelSettings, run: TrainSettings
) -> None:
    again = rollout_of(Impatient(), model_settings, run).play(members, (0,))
    assert {actions_of(each) for each in again if each.row_index % 2 == 0} == {0, 1}
    odd = [(one, other) for one, other in zip(episodes, again, strict=True) if one.row_index % 2]
    assert max(actions_of(one) for one, _ in odd) == 3
    assert all(one == other for one, other in odd)


def test_a_fault_of_a_step_ends_its_course_without_a_reward(
    members: list[Failure], model_settings: ModelSettings, run: TrainSettings
) -> None:
    class Broken(StepCoin):
        def step(self, row: Any, state: Any, action: str, calls: Any = ()) -> Step | Verdict:
            return abstained("exception", "planted") if state else super().step(row, state, action)

    played = rollout_of(Broken(), model_settings, run).play(members, (0,))
    broken = [each for each in played if each.last_verdict.is_abstained]
    assert broken
    assert all(actions_of(each) == 2 and each.segments[-1].judged == "" for each in broken)
    assert all(each.last_verdict.reward is None for each in broken)


def test_first_tries_and_renewed_attempts_are_courses(rollout: Rollout) -> None:
    failures = course_failures()
    tries = rollout.first_tries(failures, (0,))
    assert {len(each.attempts) for each in tries} == {1, 2, 3}
    for episode in tries:
        assert all(each.ids for each in episode.segments)
        assert sampled_tokens(episode) == sum(len(each.ids) for each in episode.attempts)
    renewed = rollout.attempt(failures, (0,))
    assert renewed == rollout.attempt(failures, (0,)) != rollout.attempt(failures, (1,))
    assert {len(each) for each in renewed} == {1, 3, 5}
    for course in renewed:
        assert [each.role for each in course] == ["attempt", *["observation", "attempt"] * (len(course) // 2)]
        assert not any(each.ids for each in course)
        assert course[-1].verdict is not None
        assert all(each.length for each in course if not each.is_read)


def test_a_renewed_course_takes_the_place_of_the_mined_one(rollout: Rollout) -> None:
    failures = course_failures()
    renewals = renew(failures, iter(()), lambda tried, number: rollout.attempt(tried, (number,)))
    changed = [(one, old) for one, old in zip(renewals, failures, strict=True) if one.outcome == "failed"]
    assert changed
    for renewal, old in changed:
        course = renewal.failure.episode
        assert course.segments[0] == old.episode.segments[0]
        assert {each.role for each in course.segments[1:]} <= {"attempt", "observation"}
        assert renewal.tokens == sum(each.length or 0 for each in course.attempts)
        again = Renewal.from_json(json.loads(json.dumps(renewal.to_json())), "a file:1")
        assert rollout.prompt_of(again.failure) == rollout.prompt_of(renewal.failure)


def test_a_renewed_course_that_leaves_no_room_to_reflect_is_not_reflected_on() -> None:
    (failure,) = course_failures()[:1]
    new = failure.episode.last_try
    (renewal,) = renew([failure], iter(()), lambda tried, number: [new[-1:]], has_room=lambda _: False)
    assert (renewal.outcome, renewal.failure) == ("failed", failure)


THINKING = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' + message['content'].split('</think>')[-1] + '<|end|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|><think>' }}{% endif %}"
)
"""Opens a thought, and drops it once the conversation goes on."""


def test_where_the_template_rewrites_what_was_written_each_action_is_sampled_in_a_context_of_its_own(
    tiny_model: Path, tmp_path: Path, run: TrainSettings
) -> None:
    rollout = rollout_of(StepCoin(), with_template(tiny_model, tmp_path / "m", THINKING, 256), run)
    asked: list[list[int]] = []
    sample = rollout._sample

    def recorded(prompts: Sequence[Sequence[int]], *more: Any) -> Any:
        asked.extend(map(list, prompts))
        return sample(prompts, *more)

    rollout._sample = recorded  # type: ignore[method-assign]
    rollout.engine.read = lambda ids: dataclasses.replace(  # type: ignore[method-assign]
        type(rollout.engine).read(rollout.engine, ids), text="heads", is_thinking=False, finish="stop"
    )
    rollout.task.step = lambda row, state, action, calls=(): StepCoin.step(rollout.task, row, state, str(state))  # type: ignore[method-assign,arg-type]
    played = rollout.play(course_failures()[:2], (0,))
    for episode in played:
        places = [place for place, each in enumerate(episode.segments) if each.role == "retry"]
        assert len(places) > 1
        for place in places:
            assert not episode.segments[place].ids
            assert rollout.engine.chat.encode_prompt(conversation(episode.segments[:place])) in asked


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"credit": "attempt"}, "--credit attempt trains every action"),
        ({"consolidate": "reward"}, "--consolidate reward trains every action"),
    ],
)
def test_first_tries_in_steps_are_trained_only_where_each_continues_the_one_before(
    changes: Any, said: str, tiny_model: Path, tmp_path: Path, run: TrainSettings
) -> None:
    chat = load_from(with_template(tiny_model, tmp_path / "m", THINKING), "float32").chat
    settings = dataclasses.replace(run, **changes)
    assert fitted(settings, chat).max_steps == 3
    with pytest.raises(RrrError, match=f"{said}.*use --keep-thoughts"):
        fitted(settings, chat, has_steps=True)


def test_a_course_that_fills_the_context_has_failed(
    tiny_model: Path, tmp_path: Path, run: TrainSettings, members: list[Failure]
) -> None:
    roomy = rollout_of(StepCoin(), with_template(tiny_model, tmp_path / "m", context=128), run)
    longest = max(len(roomy.prompt_of(failure)) for failure in course_failures())
    ends = set()
    for rounds, context in ((1, longest + 30), (1, longest + 2), (3, longest + 60)):
        small = with_template(tiny_model, tmp_path / f"{rounds} {context}", context=context)
        settings = dataclasses.replace(run, rounds=rounds, max_steps=8)
        played = rollout_of(StepCoin(), small, settings).play(members, (0,))
        ends |= {each.segments[-1].role for each in played if each.last_verdict.category == CONTEXT_FULL}
        assert all(len([token for one in each.segments for token in one.ids]) <= context for each in played)
    assert ends == {"retry", "reflection"}, "a course, or a reflection that leaves no room for one"


def test_training_goes_on_where_courses_fill_the_context(
    tiny_model: Path, tmp_path: Path, run: TrainSettings, model_settings: ModelSettings
) -> None:
    longest = max(len(rollout_of(StepCoin(), model_settings, run).prompt_of(failure)) for failure in course_failures())
    small = with_template(tiny_model, tmp_path / "m", context=longest + 2)
    settings = dataclasses.replace(run, credit="all", max_steps=8, steps=2, refresh_every=1, consolidate="reward")
    train(StepCoin(), course_failures(), small, tmp_path / "t", settings)  # type: ignore[arg-type]
    kept = lines(tmp_path / "t" / "episodes.jsonl")
    assert CONTEXT_FULL in json.dumps(kept)


def test_failures_that_fill_the_context_are_left_out(
    tiny_model: Path, tmp_path: Path, run: TrainSettings, model_settings: ModelSettings
) -> None:
    rollout, failures = rollout_of(StepCoin(), model_settings, run), course_failures()
    lengths = [len(rollout.prompt_of(failure)) for failure in failures]
    assert min(lengths) < max(lengths)
    small = with_template(tiny_model, tmp_path / "m", context=max(lengths))
    progress = KeptProgress()
    train(StepCoin(), failures, small, tmp_path / "t", dataclasses.replace(run, steps=1), progress)  # type: ignore[arg-type]
    left = lengths.count(max(lengths))
    assert any(said.startswith(f"{left} of 12 failures fill the model's context") for said in progress.lines)
    smaller = with_template(tiny_model, tmp_path / "n", context=min(lengths))
    with pytest.raises(DataError, match="12 of 12 failures fill the model's context of .*: mine with fewer"):
        train(StepCoin(), failures, smaller, tmp_path / "u", run, Progress())  # type: ignore[arg-type]


def test_what_courses_cost_is_logged(
    model_settings: ModelSettings, run: TrainSettings, tmp_path: Path, steps: list[Any]
) -> None:
    settings = dataclasses.replace(run, steps=2, consolidate="reward", rounds=2)
    train(StepCoin(), course_failures(), model_settings, tmp_path / "t", settings)  # type: ignore[arg-type]
    for record, (episodes, _, _) in zip(lines(tmp_path / "t" / "metrics.jsonl"), steps, strict=True):
        reflected = [each for each in episodes if each.rounds]
        retries = [one for each in reflected for one in each.rounds if one.retry is not None]
        limits = [one.retry.verdict.category for one in retries]
        assert record["retry_actions"] == pytest.approx(sum(len(one.actions) for one in retries) / len(retries))
        assert record["retries_at_step_limit"] == pytest.approx(limits.count(STEP_LIMIT) / len(retries))
        assert record["retries_cut_off"] == pytest.approx(limits.count(CUT_OFF) / len(retries))
        tries = [each for each in episodes if not each.rounds]
        assert record["first_try_actions"] == pytest.approx(sum(len(each.attempts) for each in tries) / len(tries))
        assert record["first_tries_cut_off"] == pytest.approx(sum(e.attempt.is_cut_off for e in tries) / len(tries))
        assert record["sampled_tokens"] == sum(sampled_tokens(each) for each in episodes)
    assert {len(prompt_ids(each)) for each in reflected} != {0}


def test_a_task_without_steps_logs_nothing_about_actions(
    failures: Any, model_settings: ModelSettings, settings: TrainSettings, tmp_path: Path
) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=1))  # type: ignore[arg-type]
    (record,) = lines(tmp_path / "t" / "metrics.jsonl")
    assert not {name for name in record if "actions" in name or "step_limit" in name or name == "retries_cut_off"}


def test_a_step_limit_for_a_task_without_steps_is_refused(
    failures: Any, model_settings: ModelSettings, settings: TrainSettings, tmp_path: Path
) -> None:
    with pytest.raises(RrrError, match="'coin' does not act in steps, so --max-steps would do nothing"):
        train(CoinTask(), failures, model_settings, tmp_path, dataclasses.replace(settings, max_steps=3))  # type: ignore[arg-type]


def test_a_run_from_before_there_were_steps_is_resumed(
    failures: Any, model_settings: ModelSettings, settings: TrainSettings, tmp_path: Path
) -> None:
    first = train(CoinTask(), failures, model_settings, tmp_path, settings)  # type: ignore[arg-type]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["identity"]["settings"].pop("max_steps") == 8
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert train(CoinTask(), failures, model_settings, tmp_path, settings) == first  # type: ignore[arg-type]


def test_a_completion_is_as_long_as_the_courses_in_it(run: TrainSettings) -> None:
    requests = Requests(retry=20, observe=7, steps=3)
    assert longest_completion(run, requests) == 6
    assert longest_completion(dataclasses.replace(run, credit="retry"), requests) == 6 + 20 + 3 * 5 + 2 * 7
    assert longest_completion(dataclasses.replace(run, credit="attempt"), requests) == 3 * 6 + 2 * 7
    assert longest_completion(dataclasses.replace(run, consolidate="distill"), requests) == 3 * 5 + 2 * 7


def test_the_requests_of_a_course_know_its_longest_observation(rollout: Rollout, failures: Any) -> None:
    found = rollout.requests_of(course_failures()[0])
    assert found.steps == 3
    assert found.observe == len(
        rollout.engine.chat.continuation_ids(failures[0].prompt, "Toss 1.", (), False)  # as long as any
    )
    assert rollout_of(CoinTask(), ModelSettings(rollout.engine.model.name), rollout.settings).requests_of(
        failures[0]
    ) == Requests(found.reflect, found.retry)
