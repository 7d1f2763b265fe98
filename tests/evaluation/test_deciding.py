"""Deciders: who decides without an oracle whether to retry, what they are asked, and what comes of it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Any

import pytest
from planted_world import PlantedModel, PlantedTask, run

from rrr_core.episode import Generation
from rrr_core.errors import DataError, RrrError, TooManyAbstentions
from rrr_core.evaluation import EvalSettings, evaluate, read_episodes
from rrr_core.evaluation.deciders import QUESTION, decided_by_reply
from rrr_core.evaluation.deciding import KINDS, check_deciders
from rrr_core.evaluation.reading import read_figures
from rrr_core.evaluation.statistics import Difference, Proportion
from rrr_core.generation.engine import Sampling
from rrr_core.judging.kept_answers import find_stages, kept_answers, read_stage
from rrr_core.progress import Progress
from rrr_core.runs.files import read_json
from rrr_core.tasks import load_task
from rrr_core.verification import VerifySettings
from tests.conftest import FakeSite

BOTH = pytest.mark.parametrize("mode", ["greedy", "sampled"])
DECIDERS = ("model", "agreement:samples=2,need=0.5", "agreement:samples=3,need=1")


@dataclass
class DoubtingModel(PlantedModel):
    """A planted model that is asked whether it is right, and that may spoil a right answer when it retries."""

    false_alarm: float = 0.25
    """Probability that it doubts a right answer."""
    alarm: float = 0.75
    """Probability that it doubts a wrong one."""
    keeps: float = 0.6
    """Probability that the retry of a right answer is right."""

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
        contents = [message["content"] for message in conversation]
        seed = sampling.seed if sampling.temperature else "greedy"
        draw = random.Random(f"{self.name} {seed} {contents}")
        was_right = len(contents) > 1 and contents[1].startswith("right")
        if contents[-1] == QUESTION:
            doubts = draw.random() < (self.false_alarm if was_right else self.alarm)
            return Generation("NO" if doubts else "Yes.", tuple(range(2)))
        if was_right and len(contents) == 5:
            return self._generation("right" if draw.random() < self.keeps else "wrong: spoiled")
        return super()._answer(conversation, sampling)


def results(folder: Path) -> dict[str, bytes]:
    names = [*(path.name for path in folder.glob("*.jsonl")), "figures.json"]
    return {name: (folder / name).read_bytes() for name in names}


def assert_near(found: Proportion | Difference | None, expected: float) -> None:
    """The truth lies in the interval at twice its width: four standard errors."""
    assert found is not None
    low, high = (2 * limit - found.value for limit in (found.low, found.high))
    assert low <= expected <= high


@BOTH
def test_the_figures_of_asking_the_model_recover_its_planted_doubts(tmp_path: Path, mode: str) -> None:
    made = run(tmp_path, DoubtingModel(first=0.4, own=0.7), rows=1200, modes=(mode,), decide=("model",)).modes[mode]
    found = made.deciders["model"]
    truth = {
        "retried_right": 0.25,
        "retried_wrong": 0.75,
        "right_to_wrong": 0.4 * 0.25 * 0.4,
        "wrong_to_right": 0.6 * 0.75 * 0.7,
        "right": 0.4 - 0.4 * 0.25 * 0.4 + 0.6 * 0.75 * 0.7,
        "gain": 0.6 * 0.75 * 0.7 - 0.4 * 0.25 * 0.4,
        "lost": 0.4 * 0.25 * 0.4 + 0.6 * 0.25 * 0.7,
    }
    for name, expected in truth.items():
        assert_near(getattr(found, name), expected)
    assert found.undecided.passed == 0
    assert_near(made.deciders["oracle"].gain, 0.6 * 0.7)
    assert_near(made.deciders["always"].right, 0.4 * 0.6 + 0.6 * 0.7)
    assert made.deciders["oracle"].right == made.shares["second_try"]
    assert found.rows == 1200


@BOTH
def test_agreement_retries_what_too_few_samples_repeat(tmp_path: Path, mode: str) -> None:
    spec = "agreement:samples=4,need=0.5"
    made = run(tmp_path, DoubtingModel(first=0.6), rows=1200, modes=(mode,), decide=(spec,)).modes[mode]

    def fewer_than_two(same: float) -> float:
        return sum(comb(4, count) * same**count * (1 - same) ** (4 - count) for count in (0, 1))

    found = made.deciders[spec]
    assert_near(found.retried_right, fewer_than_two(0.6))
    # A wrong answer is `wrong: sum` in two cases of three, else `wrong: form`; a sample is wrong in 0.4 of all.
    assert_near(found.retried_wrong, 2 / 3 * fewer_than_two(0.4 * 2 / 3) + 1 / 3 * fewer_than_two(0.4 / 3))


def test_what_the_task_calls_the_final_answer_has_to_agree(tmp_path: Path) -> None:
    class Task(PlantedTask):
        def final_answer(self, row: Mapping[str, Any], text: str) -> str | None:
            return text.partition(":")[0]

    model = DoubtingModel(first=0.0)
    made = run(tmp_path, model, Task(), rows=40, modes=("greedy",), decide=("agreement:samples=2,need=1",))
    decided = made.modes["greedy"].deciders["agreement:samples=2,need=1"]
    assert decided.retried_wrong is not None
    assert decided.retried_wrong.passed == 0


def test_the_model_is_asked_after_its_first_answer_and_sees_no_verdict(tmp_path: Path) -> None:
    model = DoubtingModel()
    run(tmp_path, model, rows=5, modes=("greedy",), controls=(), decide=("model",))
    asked, sampling = model.requests[-1]
    assert len(asked) == 5
    attempts = [episode.attempt.text for episode in read_episodes(tmp_path, "greedy")]
    assert asked[0] == [
        {"role": "user", "content": "Row 0."},
        {"role": "assistant", "content": attempts[0]},
        {"role": "user", "content": QUESTION},
    ]
    assert sampling.temperature == 0


def test_all_other_texts_and_figures_are_the_same_with_and_without_deciders(tmp_path: Path) -> None:
    settings = {"rows": 60, "shard_rows": 20, "rounds": 2}
    run(tmp_path / "with", DoubtingModel(doubtful=0.05), decide=DECIDERS, max_abstain=1.0, **settings)
    run(tmp_path / "without", DoubtingModel(doubtful=0.05), max_abstain=1.0, **settings)
    for name in [path.name for path in (tmp_path / "without").glob("*.jsonl")]:
        lines = []
        for line in (tmp_path / "with" / name).read_text().splitlines():
            record = json.loads(line)
            record.pop("decisions", None)
            record.pop("unneeded", None)
            lines.append(record)
        assert lines == [json.loads(line) for line in (tmp_path / "without" / name).read_text().splitlines()]
    figures = {label: read_json(tmp_path / label / "figures.json") for label in ("with", "without")}
    for mode in ("greedy", "sampled"):
        assert figures["with"]["modes"][mode].pop("deciders")
    assert figures["with"]["modes"] == figures["without"]["modes"]


def test_deciders_come_after_all_other_requests_and_share_their_samples(tmp_path: Path) -> None:
    model = DoubtingModel()
    run(tmp_path, model, rows=30, modes=("greedy",), decide=DECIDERS)
    # Six stages as ever; reflection and retry of what was right; one question; three samples.
    assert len(model.requests) == 6 + 2 + 1 + 3
    assert [sampling.temperature for _, sampling in model.requests[-4:]] == [0, 1, 1, 1]
    seeds = [sampling.seed for _, sampling in model.requests]
    assert len(set(seeds)) == len(seeds)
    notes = read_json(tmp_path / "figures.json")["notes"]
    assert any("agreement takes its samples at temperature 1" in note for note in notes)


def test_a_decider_decides_the_same_whichever_others_are_asked(tmp_path: Path) -> None:
    run(tmp_path / "all", DoubtingModel(), rows=40, decide=DECIDERS)
    for spec in DECIDERS:
        run(tmp_path / spec, DoubtingModel(), rows=40, decide=(spec,))
        for mode in ("greedy", "sampled"):
            alone = read_json(tmp_path / spec / "figures.json")["modes"][mode]["deciders"][spec]
            assert alone == read_json(tmp_path / "all" / "figures.json")["modes"][mode]["deciders"][spec]


def test_a_right_answer_gets_its_reflection_and_retry_apart_from_its_segments(tmp_path: Path) -> None:
    run(tmp_path, DoubtingModel(first=0.5, doubtful=0.2), rows=60, modes=("greedy",), max_abstain=1, decide=("model",))
    outcomes = set()
    for episode in read_episodes(tmp_path, "greedy"):
        outcomes.add(episode.verdict.outcome)
        assert bool(episode.decisions) is not episode.verdict.is_abstained
        if not episode.verdict.is_passed:
            assert episode.unneeded == ()
            continue
        assert len(episode.segments) == 2
        assert [segment.role for segment in episode.unneeded] == ["prompt", "reflection", "prompt", "retry"]
        assert episode.unneeded_verdict is not None
    assert outcomes == {"passed", "failed", "abstained"}


@pytest.mark.parametrize("request_number", [5, 7, 9, 14, 20])
def test_an_interrupted_evaluation_resumes_to_the_bytes_of_an_uninterrupted_one(
    tmp_path: Path, request_number: int
) -> None:
    def stop_at(request: int) -> None:
        if request == request_number:
            raise KeyboardInterrupt

    settings: dict[str, Any] = {"rows": 50, "shard_rows": 20, "seed": 5, "decide": DECIDERS, "known_false_pass": 0.1}
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", DoubtingModel(before_request=stop_at), **settings)
    run(tmp_path / "killed", DoubtingModel(), **settings)
    run(tmp_path / "whole", DoubtingModel(), **settings)
    assert results(tmp_path / "killed") == results(tmp_path / "whole")
    asked_again = DoubtingModel()
    run(tmp_path / "killed", asked_again, **settings)
    assert asked_again.requests == []


def test_an_evaluation_with_other_deciders_is_another_evaluation(tmp_path: Path) -> None:
    run(tmp_path, DoubtingModel(), rows=10, decide=("model",))
    for decide in ((), ("agreement",), ("model", "agreement")):
        with pytest.raises(RrrError, match="was started with deciders"):
            run(tmp_path, DoubtingModel(), rows=10, decide=decide)
    assert read_json(tmp_path / "manifest.json")["identity"]["deciders"] == [{"name": "model"}]


def test_without_deciders_a_manifest_says_nothing_of_them(tmp_path: Path) -> None:
    run(tmp_path, DoubtingModel(), rows=4)
    identity = read_json(tmp_path / "manifest.json")["identity"]
    assert "deciders" not in identity
    assert not {"decide", "known_false_pass", "known_false_fail"} & set(identity["settings"])


def test_progress_counts_every_text_once(tmp_path: Path) -> None:
    class Counting(Progress):
        total = 0
        done = 0

        @contextmanager
        def track(self, title: str, total: int) -> Iterator[Any]:
            self.total = total

            def advance(count: int, note: str = "") -> None:
                assert count >= 0
                self.done += count

            yield advance

    progress = Counting()
    settings = EvalSettings(rows=40, shard_rows=16, decide=DECIDERS, max_abstain=1.0, rounds=2)
    model = DoubtingModel(doubtful=0.2)
    evaluate(PlantedTask(), model, tmp_path, "m", settings, {}, progress)  # type: ignore[arg-type]
    assert progress.done == progress.total > 0


def test_several_rounds_leave_the_deciders_of_the_first(tmp_path: Path) -> None:
    once = run(tmp_path / "1", DoubtingModel(), rows=40, decide=("model",))
    twice = run(tmp_path / "2", DoubtingModel(), rows=40, decide=("model",), rounds=2)
    assert {mode: made.deciders for mode, made in once.modes.items()} == {
        mode: made.deciders for mode, made in twice.modes.items()
    }
    assert any("before the first retry alone" in note for note in twice.notes)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("YES", "keep"),
        (" yes.\n", "keep"),
        ("No", "retry"),
        ("NO.", "retry"),
        ("", "undecided"),
        ("YES NO", "undecided"),
        ("NO, I am right: YES", "undecided"),
        ("yes!", "undecided"),
        ("YES..", "undecided"),
        ("no\nyes", "undecided"),
        ("ＹＥＳ", "undecided"),
        ("\x1b[31mYES", "undecided"),
        ("{'answer': 'YES'}", "undecided"),
        ("true", "undecided"),
        ("YES" * 100_000, "undecided"),
        ("ye\ud800s", "undecided"),
    ],
)
def test_only_yes_or_no_alone_decides(text: str, choice: str) -> None:
    decision = decided_by_reply(Generation(text, tuple(range(3))))
    assert (decision.choice, decision.tokens) == (choice, 3)
    assert len(decision.detail) <= 200
    assert (decision.category == "unreadable") is (choice == "undecided")
    assert "\x1b" not in decision.detail


@pytest.mark.parametrize(
    ("reply", "category"),
    [
        (Generation("YES", (1,), finish="length"), "unreadable"),
        (Generation("", (1,), thought="Hm, NO", is_thinking=True), "unreadable"),
        (Generation("", missing="content filter"), "no answer"),
    ],
    ids=["cut off", "within its thought", "filtered"],
)
def test_a_reply_that_is_not_whole_decides_nothing(reply: Generation, category: str) -> None:
    decision = decided_by_reply(reply)
    assert (decision.choice, decision.category) == ("undecided", category)


def test_an_undecided_row_keeps_its_first_answer_and_is_counted(tmp_path: Path) -> None:
    class Rambling(DoubtingModel):
        def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
            if conversation[-1]["content"] == QUESTION:
                return Generation("Well, that depends.", (1, 2, 3))
            return super()._answer(conversation, sampling)

    found = run(tmp_path, Rambling(), rows=50, modes=("greedy",), decide=("model",)).modes["greedy"].deciders["model"]
    assert found.undecided.value == 1
    assert (found.gain.only_first, found.gain.only_second) == (0, 0)
    assert found.tokens is not None
    assert (found.tokens.deciding, found.tokens.retrying) == (3, 0)


def test_a_first_try_that_ended_within_its_thought_is_retried_and_nobody_is_asked(tmp_path: Path) -> None:
    class Pondering(DoubtingModel):
        def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
            if len(conversation) == 1 and conversation[0]["content"] in ("Row 1.", "Row 3."):
                return Generation("", (1,), thought="Hm", is_thinking=True)
            return super()._answer(conversation, sampling)

    model = Pondering()
    run(tmp_path, model, rows=6, modes=("greedy",), controls=(), decide=("model",))
    decisions = {each.row_index: each.decisions["model"] for each in read_episodes(tmp_path, "greedy")}
    assert [row for row, each in decisions.items() if each.category == "cut off"] == [1, 3]
    assert {decisions[row].choice for row in (1, 3)} == {"retry"}
    assert [conversation[0]["content"] for conversation in model.requests[-1][0]] == [
        "Row 0.",
        "Row 2.",
        "Row 4.",
        "Row 5.",
    ]


def test_samples_without_an_answer_count_for_neither_side(tmp_path: Path) -> None:
    class Filtered(DoubtingModel):
        def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
            if len(conversation) == 1 and sampling.temperature and conversation[0]["content"] != "Row 0.":
                return Generation("", missing="content filter")
            return Generation("right", (1,))

    run(tmp_path, Filtered(), rows=3, modes=("greedy",), controls=(), decide=("agreement",))
    decisions = [each.decisions["agreement:samples=4,need=0.5"] for each in read_episodes(tmp_path, "greedy")]
    assert [each.choice for each in decisions] == ["keep", "undecided", "undecided"]
    assert decisions[0].detail == "4 of 4 samples agree"
    assert decisions[1].category == "no answer"


PLANTED = """
    from rrr_core import failed, hookimpl, passed, trusted

    @hookimpl
    def rrr_load_dataset(split):
        for number in range(600):
            yield {"n": number}

    @hookimpl
    def rrr_prompt(row):
        return f"Row {row['n']}."

    @hookimpl
    def rrr_reflection_prompt():
        return "Reflect."

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        return passed() if answer.startswith("right") else failed("wrong")
"""
JUDGE = """
    from rrr_core import failed, hookimpl, passed
    from rrr_core.verdicts import withheld

    @hookimpl
    def rrr_judge(pairs):
        {body}
"""


@pytest.fixture
def planted(site: FakeSite) -> FakeSite:
    site.install_task("planted", PLANTED)
    return site


def evaluated(folder: Path, *decide: str, rows: int = 600, **settings: Any) -> Any:
    chosen = EvalSettings(rows=rows, modes=("sampled",), controls=(), decide=decide, **settings)
    verify = VerifySettings(isolation="none")
    task, model = load_task("planted"), DoubtingModel(first=0.5, own=0.7)
    return evaluate(task, model, folder, "m", chosen, {}, verify=verify).modes["sampled"].deciders


@pytest.mark.usefixtures("planted")
def test_a_noisy_verifier_decides_with_the_errors_of_one_side(tmp_path: Path) -> None:
    passes, fails = "noisy:false_pass=0.3,false_fail=0,seed=1", "noisy:false_pass=0,false_fail=0.3"
    found = evaluated(tmp_path / "m", passes, fails)
    assert_near(found[passes].retried_wrong, 0.7)
    assert found[passes].retried_right.passed == 0
    assert found[passes].right_to_wrong.passed == 0
    # The draw is by row and answer, and right answers here are all the same text, so rows alone differ.
    assert_near(found[fails].retried_right, 0.3)
    assert found[fails].retried_wrong.value == 1
    assert found[fails].wrong_to_right == found["oracle"].wrong_to_right
    assert found[fails].tokens.deciding == 0
    manifest = read_json(tmp_path / "m" / "manifest.json")["identity"]["deciders"][0]
    assert manifest["name"] == passes
    (overlay,) = manifest["task"]["overlays"]
    assert (overlay["name"], overlay["options"]["seed"]) == ("noisy", "1")
    assert overlay["version"]


def test_a_judge_that_withholds_is_undecided_and_never_stops_the_evaluation(tmp_path: Path, planted: FakeSite) -> None:
    planted.install_overlay("shy", JUDGE.format(body="return [withheld('no idea')] * len(pairs)"))
    found = evaluated(tmp_path / "m", "shy", rows=200)
    assert found["shy"].undecided.value == 1
    assert found["shy"].gain.value == 0


def test_a_judge_at_fault_stops_the_evaluation_and_is_named(tmp_path: Path, planted: FakeSite) -> None:
    planted.install_overlay("broken", JUDGE.format(body="raise ValueError('no judge today')"))
    with pytest.raises(TooManyAbstentions, match=r"--decide broken: .* 200 of 200 decisions.*no judge today"):
        evaluated(tmp_path / "m", "broken", rows=200)
    # Allowed, its faults are undecided; and a resumed evaluation counts the faults of the earlier call.
    found = evaluated(tmp_path / "allowed", "broken", rows=200, max_abstain=1.0)
    assert found["broken"].undecided.value == 1
    with pytest.raises(TooManyAbstentions, match="200 of 200 decisions"):
        evaluated(tmp_path / "allowed", "broken", rows=200)


def test_an_overlay_that_judges_nothing_cannot_decide(planted: FakeSite) -> None:
    planted.install_overlay(
        "polite", "from rrr_core import hookimpl\n@hookimpl\ndef rrr_retry_prompt(): return 'Please.'"
    )
    with pytest.raises(RrrError, match="--decide polite: .*'polite' judges no answers"):
        check_deciders(load_task("planted"), ["polite"])


@pytest.mark.usefixtures("planted")
def test_an_overlay_that_judges_for_the_task_cannot_decide_with_the_same_options() -> None:
    task = load_task("planted", ["noisy:false_pass=0.1"])
    check_deciders(task, ["noisy:false_pass=0.2"])
    with pytest.raises(RrrError, match="judges for the task already"):
        check_deciders(task, ["noisy:false_pass=0.1"])


@pytest.mark.usefixtures("planted")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("modle", r"--decide modle: there is no such decider. Did you mean 'model'\?"),
        ("nosy", r"--decide nosy: .*Did you mean 'noisy'\?"),
        ("nonsense", r"Use model, agreement, or an installed overlay that judges \(model-judge, .*noisy"),
        (
            "noisy:false_pas=1",
            "--decide noisy: The overlay 'noisy' has no option 'false_pas'. Did you mean 'false_pass'",
        ),
        ("noisy:false_pass=2", "--decide noisy: .*at most 1"),
    ],
)
def test_what_no_overlay_offers_is_refused_with_the_nearest_name(spec: str, message: str) -> None:
    with pytest.raises(RrrError, match=message):
        check_deciders(load_task("planted"), [spec])


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        (["agreement:sample=3"], r"--decide agreement has no option 'sample'. Did you mean 'samples'\?"),
        (["agreement:need=2"], "--decide agreement, option need: must be at most 1"),
        (["agreement:samples=0"], "must be at least 1"),
        (["agreement:samples=x"], "expected a whole number, not 'x'"),
        (["model:x=1"], "--decide model has no option 'x'. It takes none.$"),
        (["agreement:samples"], "--decide agreement:samples: expected agreement:KEY=VALUE"),
        (["model", "model"], "--decide model is given twice"),
        (["agreement", "agreement:need=0.5,samples=4"], "--decide agreement:samples=4,need=0.5 is given twice"),
        (["oracle"], "--decide oracle: it stands beside every decider"),
        (["always"], "--decide always: it stands beside every decider"),
    ],
)
def test_a_wrong_option_is_refused_when_settings_are_made(specs: list[str], message: str) -> None:
    with pytest.raises(RrrError, match=message):
        EvalSettings(decide=tuple(specs))


def test_the_answers_of_unneeded_retries_are_judged_again_with_the_rest(tmp_path: Path) -> None:
    folder = tmp_path / "eval" / "m"
    run(folder, DoubtingModel(first=0.5), rows=12, modes=("greedy",), controls=(), decide=("model",))
    (stage,) = find_stages(tmp_path)
    answers = [each for _, _, record in read_stage(stage) for each in kept_answers(stage, record, "here")]
    kinds = [each.kind for each in answers]
    assert kinds.count("attempt") == 12
    assert kinds.count("retry") + kinds.count("unneeded retry") == 12
    assert kinds.count("unneeded retry") > 0


def test_known_rates_add_corrected_figures_to_a_finished_evaluation(tmp_path: Path) -> None:
    run(tmp_path, DoubtingModel(), rows=40)
    before = read_json(tmp_path / "figures.json")
    model = DoubtingModel()
    made = run(tmp_path, model, rows=40, known_false_pass=0.1, known_false_fail=0.05)
    after = read_json(tmp_path / "figures.json")
    assert model.requests == []
    assert any("Corrected figures assume that the verifier passes 10.0%" in note for note in made.notes)
    for mode in ("greedy", "sampled"):
        corrected = after["modes"][mode].pop("corrected")
        first = before["modes"][mode]["first_try"]["value"]
        assert corrected["shares"]["first_try"]["value"] == pytest.approx((first - 0.1) / 0.85)
        assert set(corrected["gains"]) == set(before["modes"][mode]["gains"])
    assert after["modes"] == before["modes"]


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("deciders", "model", "right"), None, "the decider 'model''s 'right' must be a JSON object"),
        (("deciders", "model", "gain", "low"), "x", "gain's 'low' must be a number"),
        (("deciders", "model", "undecided", "total"), -1, "undecided's 'total' must be a whole number"),
        (("deciders", "model", "tokens", "total"), [], "tokens's 'total' must be a number"),
        (("deciders",), [], "'deciders' must be a JSON object"),
        (("corrected", "known_false_pass"), "0.1", "'known_false_pass' must be a number"),
        (
            ("corrected", "shares", "first_try", "high"),
            None,
            "the corrected figure 'first_try''s 'high' must be a number",
        ),
    ],
)
def test_damaged_figures_are_refused(tmp_path: Path, where: tuple[str, ...], value: Any, message: str) -> None:
    run(tmp_path, DoubtingModel(), rows=10, decide=("model",), known_false_pass=0.1)
    path = tmp_path / "figures.json"
    record = read_json(path)
    place = record["modes"]["greedy"]
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    path.write_text(json.dumps(record))
    with pytest.raises(DataError) as caught:
        read_figures(path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        ({"choice": "maybe"}, "must be keep, retry or undecided"),
        ({"choice": "keep", "tokens": -1}, "must be a whole number"),
        ({"choice": "keep", "why": ""}, "has no 'why'"),
        ("keep", "a decision must be a JSON object"),
    ],
)
def test_a_damaged_decision_is_refused_with_file_and_line(tmp_path: Path, decision: Any, message: str) -> None:
    run(tmp_path, DoubtingModel(), rows=4, modes=("greedy",), decide=("model",))
    (path,) = tmp_path.glob("greedy-*.jsonl")
    lines = path.read_text().splitlines()
    record = json.loads(lines[2])
    record["decisions"] = {"model": decision}
    path.write_text("\n".join([*lines[:2], json.dumps(record), *lines[3:]]) + "\n")
    with pytest.raises(DataError, match=r"greedy-00000.jsonl:3: ") as caught:
        list(read_episodes(tmp_path, "greedy"))
    assert message in str(caught.value)


def test_every_decider_of_the_core_is_in_the_help() -> None:
    (decide,) = [field for name, field in EvalSettings.__dataclass_fields__.items() if name == "decide"]
    assert all(kind.help in decide.metadata["help"] for kind in KINDS)
