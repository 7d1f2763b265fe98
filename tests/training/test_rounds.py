"""Several rounds: which chains go on, what their ids are, and what is logged about them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from rrr_core.chat.format import ChatFormat
from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Failure, Segment
from rrr_core.errors import RrrError
from rrr_core.generation.encoded import EncodedEngine
from rrr_core.generation.engine import Sampling
from rrr_core.generation.transformers_backend import load_from
from rrr_core.hookspecs import Model
from rrr_core.training import run as training_run
from rrr_core.training.advantages import returns_of
from rrr_core.training.credit import completion_of, credit_named, prompt_ids, sampled_rounds, sampled_tokens
from rrr_core.training.passes import Requests, check_length, longest_completion
from rrr_core.training.rollout import Rollout, without_retry
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import failed
from rrr_core.verification import Judge
from tests.chat.templates import tokenizer_of
from tests.episodes import make_failure
from tests.training.conftest import CoinTask, coin_failures

pytestmark = pytest.mark.train


def of_settings(settings: TrainSettings, **changes: Any) -> TrainSettings:
    return dataclasses.replace(settings, rounds=3, max_reflection_tokens=8, **changes)


@pytest.fixture
def task() -> CoinTask:
    return CoinTask(abstain_every=5)


@pytest.fixture
def rollout(task: CoinTask, model_settings: Any, settings: TrainSettings) -> Any:
    with Judge(task, 1.0) as judge:  # type: ignore[arg-type]
        yield Rollout(task, load_from(model_settings, "float32"), judge, of_settings(settings))  # type: ignore[arg-type]


@pytest.fixture
def members(failures: Sequence[Failure]) -> list[Failure]:
    return [failure for failure in failures for _ in range(16)]


@pytest.fixture
def episodes(rollout: Rollout, members: list[Failure]) -> list[Episode]:
    return rollout.play(members, (0,))


def test_the_first_of_several_rounds_is_that_of_a_run_with_one(
    episodes: list[Episode], rollout: Rollout, members: list[Failure]
) -> None:
    rollout.settings = dataclasses.replace(rollout.settings, rounds=1)
    for episode, one in zip(episodes, rollout.play(members, (0,)), strict=True):
        assert episode.segments[: len(one.segments)] == one.segments


def test_only_a_failed_retry_has_a_round_after_it(episodes: list[Episode]) -> None:
    counts = [len(episode.rounds) for episode in episodes]
    assert {*counts} == {1, 2, 3}
    for episode, count in zip(episodes, counts, strict=True):
        for each in episode.rounds[:-1]:
            assert each.retry is not None
            assert each.verdict == each.retry.verdict
            assert each.verdict.is_failed
        last = episode.rounds[-1]
        assert count == 3 or last.retry is None or not last.verdict.is_failed
    ends = {(len(one.rounds), one.rounds[-1].retry is None, one.last_verdict.outcome) for one in episodes}
    assert {(2, False, "passed"), (2, False, "abstained"), (2, True, "failed"), (3, False, "failed")} <= ends


def test_a_later_reflection_is_asked_for_with_the_last_failed_answer(rollout: Rollout, members: list[Failure]) -> None:
    rollout.task.reflection_prompt = lambda row, attempt, model: f"{attempt} is wrong."  # type: ignore[method-assign]
    for episode in rollout.play(members, (0,)):
        for place, segment in enumerate(episode.segments):
            if segment.role == "reflection":
                asked = episode.segments[place - 1].messages[0]["content"]
                assert asked == f"{episode.segments[place - 2].text} is wrong."


def test_later_rounds_extend_the_sampled_ids(episodes: list[Episode], rollout: Rollout) -> None:
    """What the network saw decodes to the template's rendering of the conversation."""
    tokenizer, template = rollout.engine.tokenizer, rollout.engine.chat.template
    compared = 0
    for episode in episodes:
        for place, segment in enumerate(episode.segments):
            if segment.role in ("reflection", "retry"):
                before = episode.segments[:place]
                ids = [token for each in before for token in each.ids]
                shown = tokenizer.decode(ids)
                texts = [each for each in before if each.ids and not each.is_read]
                plain = (tokenizer.decode(each.ids).removesuffix("<|end|>") for each in texts)
                if all(one == each.text == one.strip() for one, each in zip(plain, texts, strict=True)):
                    assert shown == template.render(conversation(before))
                    compared += place > 5
    assert compared > 20


def test_a_retry_that_the_limit_cut_off_gets_the_templates_end_of_turn(
    episodes: list[Episode], rollout: Rollout
) -> None:
    end, seen = rollout.engine.tokenizer.eos_token_id, set()
    for episode in episodes:
        for place, segment in enumerate(episode.segments[:-1]):
            if segment.role == "retry":
                after = episode.segments[place + 1].ids
                assert (segment.ids[-1] == end) != segment.is_cut_off
                assert (after[0] == end) == segment.is_cut_off
                seen.add(segment.is_cut_off)
    assert seen == {True, False}


class Scripted(EncodedEngine):
    """Writes a text for each limit of tokens, up to that limit."""

    off_policy = False

    def __init__(self, tokenizer: Any, texts: dict[int, str]) -> None:
        chat = ChatFormat(tokenizer)
        super().__init__(tokenizer, Model("scripted", ""), chat.end_ids(), None, chat)
        self.texts = texts

    def generate_ids(self, prompts: Any, sampling: Sampling, on_done: Any = None, places: Any = None) -> Any:
        text = self.texts[sampling.max_tokens]
        return [self.tokenizer(text, add_special_tokens=False)["input_ids"][: sampling.max_tokens] for _ in prompts]

    def describe(self) -> dict[str, object]:
        return self.described("scripted", {})

    def sync_weights(self, network: Any) -> None:
        pass


def test_a_cut_off_retry_that_ends_in_white_space_of_the_template_still_gets_the_end_of_turn(settings: Any) -> None:
    """After Qwen's end of turn comes a line break, which is not the end of a turn where a cut-off text ends in one."""
    tokenizer = tokenizer_of("qwen2_5")
    line = tokenizer("5\n\n", add_special_tokens=False)["input_ids"]
    cut = len(tokenizer("5\n", add_special_tokens=False)["input_ids"])
    engine = Scripted(tokenizer, {40: "I forgot.<|im_end|>", cut: "5\n and more"})
    assert tokenizer.decode(engine.generate_ids([()], Sampling(0, cut, 0))[0]) == "5\n", line
    task = CoinTask()
    task.verify = lambda row, answer: failed("tails")  # type: ignore[method-assign]
    with Judge(task, 1.0) as judge:  # type: ignore[arg-type]
        run = dataclasses.replace(settings, rounds=2, max_reflection_tokens=40, max_retry_tokens=cut)
        (episode,) = Rollout(task, engine, judge, run).play(coin_failures()[:1], (0,))  # type: ignore[arg-type]
    assert len(episode.rounds) == 2
    ids = [token for segment in episode.segments for token in segment.ids]
    assert "5\n<|im_end|>\n<|im_start|>user\nWrong. Reflect.<|im_end|>" in tokenizer.decode(ids)


def test_a_chain_that_ends_changes_no_other_members_texts(
    episodes: list[Episode], rollout: Rollout, members: list[Failure], monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = Rollout._goes_on
    monkeypatch.setattr(Rollout, "_goes_on", lambda self, one: one.row_index % 2 == 0 and goes_on(self, one))
    longer = 0
    for episode, one in zip(episodes, rollout.play(members, (0,)), strict=True):
        assert len(one.rounds) == 1 if one.row_index % 2 else one == episode
        longer += len(one.rounds) > 1
    assert longer > 5


def deeper(failure: Failure) -> Failure:
    """A failure as mining finds it in a later round, with ids that some file kept."""
    asked, again = (Segment("prompt", ({"role": "user", "content": text},)) for text in ("Reflect.", "Again."))
    mined = (
        Segment("reflection", text="I tossed badly", length=3, ids=(5, 6, 7)),
        Segment("retry", text="tails again", length=4, verdict=failed("tails")),
    )
    return dataclasses.replace(failure, episode=failure.episode.extended(asked, mined[0], again, mined[1]))


def test_rounds_that_were_mined_are_read_and_neither_trained_nor_counted(
    rollout: Rollout, failures: Sequence[Failure]
) -> None:
    members = [deeper(failure) for failure in failures for _ in range(4)]
    for episode in rollout.play(members, (0,)):
        assert all(segment.ids == () for segment in episode.segments[:6])
        assert episode.segments[6].role == "prompt"
        assert "tails again" in rollout.engine.tokenizer.decode(prompt_ids(episode))
        rounds = sampled_rounds(episode)
        assert 1 <= len(rounds) <= 3
        assert len(episode.rounds) == 1 + len(rounds)
        texts = [each for one in rounds for each in (one.reflection, one.retry) if each is not None]
        assert sampled_tokens(episode) == sum(len(each.ids) for each in texts)
        marked = credit_named("reflection").marked(episode)
        assert not marked.segments[3].is_trained
        assert sum(completion_of(marked).mask) == sum(len(one.reflection.ids) for one in rounds)


def test_each_round_is_logged(failures: Any, model_settings: Any, settings: Any, tmp_path: Path) -> None:
    kept: list[list[Episode]] = []

    class Kept(ReflectionTrainer):
        def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
            output = super().play_batch(prompts, trainer)
            kept.append(output["episode"])
            return output

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "ReflectionTrainer", Kept)
        run = of_settings(settings, batch_size=48, episodes_per_step=48, round_discount=0.5)
        train(CoinTask(), failures, model_settings, tmp_path / "t", run)  # type: ignore[arg-type]
    records = [json.loads(line) for line in (tmp_path / "t" / "metrics.jsonl").read_text().splitlines()]
    assert len(records) == len(kept) == 4
    for record, episodes in zip(records, kept, strict=True):
        for number in (1, 2, 3):
            there = [one.rounds[number - 1].verdict for one in episodes if len(one.rounds) >= number]
            success = sum(verdict.is_passed for verdict in there) / len(there)
            assert record[f"round_{number}_retry_success_rate"] == pytest.approx(success)
            assert record.get(f"round_{number}_entered", 1.0) == pytest.approx(len(there) / len(episodes))
        answers = [[each.text for each in one.answers] for one in episodes]
        repeats = [text in each[:place] for each in answers for place, text in enumerate(each) if place]
        assert record["retries_repeated"] == pytest.approx(sum(repeats) / len(repeats))
        assert record["retry_success_rate"] == pytest.approx(
            sum(one.last_verdict.is_passed for one in episodes) / len(episodes)
        )
    written = [json.loads(line) for line in (tmp_path / "t" / "episodes.jsonl").read_text().splitlines()]
    for record, one in zip(written, [one for episodes in kept for one in episodes], strict=True):
        assert "advantage" not in record
        assert record["reward"] == one.last_verdict.reward
        advantages = [each.get("advantage") for each in record["segments"] if each["role"] == "reflection"]
        assert advantages == [pytest.approx(each.reflection.advantage, abs=1e-6) for each in one.rounds]
        assert Episode.from_json(record, "episodes.jsonl:1").rounds[0].reflection.advantage == advantages[0]
    assert returns_of([0.0, 1.0], 0.5) == [0.5, 1.0]


def test_one_round_logs_what_it_always_did(failures: Any, model_settings: Any, settings: Any, tmp_path: Path) -> None:
    train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=1))  # type: ignore[arg-type]
    (record,) = [json.loads(line) for line in (tmp_path / "t" / "metrics.jsonl").read_text().splitlines()]
    assert not {name for name in record if "round_" in name or "repeated" in name}


def test_the_longest_completion_and_episode_know_the_rounds(settings: Any) -> None:
    requests = Requests(reflect=10, retry=20)
    one, three = settings, dataclasses.replace(settings, rounds=3)
    assert longest_completion(one) == 6
    assert longest_completion(three, requests) == 3 * 6 + 2 * (20 + 5) + 2 * 10
    assert longest_completion(dataclasses.replace(three, credit="all"), requests) == 3 * (6 + 20 + 5) + 2 * 10
    check_length(three, 113 + 100, 100, requests)
    with pytest.raises(RrrError, match="--rounds 3 may take 213 tokens, and the model's context holds 212: lower"):
        check_length(three, 212, 100, requests)
    check_length(three, None, 100, requests)
    check_length(one, 10, 100, requests)


def test_rounds_that_do_not_fit_the_context_are_refused_before_training(
    failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    for changes in ({"rounds": 12}, {"rounds": 4, "max_retry_tokens": 16}):
        with pytest.raises(RrrError, match="may take .* the model's context holds 128"):
            train(CoinTask(), failures, model_settings, tmp_path / "t", dataclasses.replace(settings, **changes))  # type: ignore[arg-type]
    assert not (tmp_path / "t" / "model").exists()


def test_an_early_reflection_ends_its_chain(episodes: list[Episode]) -> None:
    for episode in episodes:
        for each in episode.rounds[:-1]:
            assert without_retry(each.reflection) is None


def test_a_failure_without_rounds_has_none_to_sample_again() -> None:
    episode = make_failure().episode.extended(Segment("prompt", ids=(1,)), Segment("reflection", ids=(2,)))
    assert [one.reflection.ids for one in sampled_rounds(episode)] == [(2,)]
