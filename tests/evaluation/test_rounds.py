"""Several rounds of reflection and retry: what is asked in each, and figures by round that are known exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_world import PlantedModel, PlantedTask, run

from rrr_core.episode import Episode, Generation, Segment
from rrr_core.errors import DataError
from rrr_core.evaluation import compare, figures, read_episodes
from rrr_core.evaluation.borrowing import borrowed, lenders
from rrr_core.evaluation.by_round import RoundFigures
from rrr_core.evaluation.controls import CONTROL_KEYS
from rrr_core.evaluation.outcomes import right_after
from rrr_core.evaluation.reading import read_figures
from rrr_core.evaluation.settings import EvalSettings
from rrr_core.generation.engine import Sampling
from rrr_core.judging.kept_answers import find_stages, kept_answers, read_stage
from rrr_core.seeds import evaluation_seed
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import AGAIN, REFLECT, make_episode

P, F, A = passed(), failed("sum"), abstained("exception", "a bug")
ROWS = 12


@dataclass
class LateModel(PlantedModel):
    """Wrong until its own reflection of round `passes_in` is in its context; a third of its rows repeat themselves.

    Its reflections name their row and round.
    """

    passes_in: int = 2

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
        contents = [message["content"] for message in conversation]
        if contents[-1] == "Reflect.":
            return self._generation(f"Note {contents.count('Reflect.')} on {contents[0]}")
        if f"Note {self.passes_in} on {contents[0]}" in contents:
            return self._generation("right")
        repeats = int(contents[0].strip("Row .")) % 3 == 0
        return self._generation("wrong: again" if repeats else f"wrong: after {len(contents)} messages")


def share(proportion: Any) -> tuple[int, int] | None:
    return None if proportion is None else (proportion.passed, proportion.total)


def by_round(episodes: Sequence[Episode], **more: Any) -> tuple[RoundFigures, ...]:
    return figures(episodes, **more).rounds


def episode(first: Verdict, *retries: Verdict, texts: Sequence[str] = (), **controls: Sequence[Verdict]) -> Episode:
    """A row with a retry for each verdict; `texts` are those of its answers, which are else all different."""
    texts = texts or [f"answer {place}" for place in range(len(retries) + 1)]
    made = make_episode(first, attempt=texts[0])
    for text, verdict in zip(texts[1:], retries, strict=True):
        made = made.extended(REFLECT, Segment("reflection", text="because"), AGAIN)
        made = made.extended(Segment("retry", text=text, verdict=verdict))
    return replace(made, controls={key: tuple(("", each) for each in tries) for key, tries in controls.items()})


@pytest.fixture(scope="module", params=["greedy", "sampled"])
def late(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sequence[RoundFigures]:
    """The figures of three rounds of a model that passes in round 2."""
    folder = tmp_path_factory.mktemp("late")
    return run(folder, LateModel(), rows=ROWS, rounds=3, modes=(request.param,)).modes[request.param].rounds


class TestTheFiguresOfAWorldWhoseRightFiguresAreKnown:
    def test_rows_are_right_after_round_2_and_not_before(self, late: Sequence[RoundFigures]) -> None:
        assert [share(each.right) for each in late] == [(0, ROWS), (ROWS, ROWS), (ROWS, ROWS)]

    def test_every_row_enters_round_2_and_none_round_3(self, late: Sequence[RoundFigures]) -> None:
        assert [share(each.entered) for each in late] == [(ROWS, ROWS), (ROWS, ROWS), (0, ROWS)]
        assert [share(each.right_of_entered) for each in late] == [(0, ROWS), (ROWS, ROWS), None]

    def test_a_third_repeat_their_answer_in_round_1_and_the_right_answers_of_round_2_are_new(
        self, late: Sequence[RoundFigures]
    ) -> None:
        assert [share(each.repeats) for each in late] == [(4, 12), (0, 12), None]

    def test_no_control_is_ever_right_and_one_without_a_lender_is_none(self, late: Sequence[RoundFigures]) -> None:
        for each in late[:2]:
            assert {key: share(found) for key, found in each.controls.items()} == dict.fromkeys(CONTROL_KEYS, (0, ROWS))
        last = {key: share(found) for key, found in late[2].controls.items()}
        assert last == {"no_reflection": (0, ROWS), "other_reflection": None, "independent": (0, ROWS)}

    def test_reflecting_gains_nothing_in_round_1_and_everything_in_round_2(self, late: Sequence[RoundFigures]) -> None:
        gains = [{key: found and found.value for key, found in each.gains.items()} for each in late]
        assert gains[0] == dict.fromkeys(CONTROL_KEYS, 0)
        assert gains[1] == dict.fromkeys(CONTROL_KEYS, 1)
        assert gains[2] == {"no_reflection": 1, "other_reflection": None, "independent": 1}


def test_round_1_of_several_is_the_only_round_text_for_text(tmp_path: Path) -> None:
    for rounds in (1, 3):
        model = PlantedModel(own=0.4, doubtful=0.05)
        run(tmp_path / str(rounds), model, rows=60, shard_rows=20, rounds=rounds, max_abstain=1.0)
    for mode in ("greedy", "sampled"):
        one, several = (list(read_episodes(tmp_path / str(rounds), mode)) for rounds in (1, 3))
        assert any(len(each.rounds) == 3 for each in several)
        first = [
            replace(
                each,
                segments=each.segments[:6],
                controls={key: tries[:1] for key, tries in each.controls.items()},
            )
            for each in several
        ]
        assert [json.dumps(each.to_json()) for each in first] == [json.dumps(each.to_json()) for each in one]


def test_one_round_and_three_have_the_same_figures_of_round_1(tmp_path: Path) -> None:
    one, three = (
        run(tmp_path / str(rounds), PlantedModel(), rows=60, rounds=rounds).modes["sampled"] for rounds in (1, 3)
    )
    assert (one.shares, one.gains, one.transitions) == (three.shares, three.gains, three.transitions)
    assert one.rounds == three.rounds[:1]
    assert three.rounds[0].right == three.shares["second_try"]


def test_a_later_round_reflects_on_the_last_failed_answer_in_one_conversation(tmp_path: Path) -> None:
    model = LateModel()
    run(tmp_path, model, rows=3, rounds=2, modes=("sampled",), controls=())
    *_, reflection, retry = [conversations[1] for conversations, _ in model.requests]
    said = [message["content"] for message in reflection]
    wrong = ["wrong: after 1 messages", "wrong: after 5 messages"]
    assert said == ["Row 1.", wrong[0], "Reflect.", "Note 1 on Row 1.", "Row 1.", wrong[1], "Reflect."]
    assert [message["content"] for message in retry] == [*said, "Note 2 on Row 1.", "Row 1."]


def test_each_control_is_a_chain_of_its_own(tmp_path: Path) -> None:
    model = LateModel()
    run(tmp_path, model, rows=3, rounds=2, modes=("sampled",))
    asked = [[message["content"] for message in conversations[1]] for conversations, _ in model.requests[8:]]
    assert len(model.requests) == 1 + 2 * 5
    no_reflection, other, independent = asked
    assert no_reflection == ["Row 1.", "wrong: after 1 messages", "Row 1.", "wrong: after 3 messages", "Row 1."]
    assert other[3] in {"Note 1 on Row 0.", "Note 1 on Row 2."}
    assert other[7] in {"Note 2 on Row 0.", "Note 2 on Row 2."}
    assert other[8:] == ["Row 1."]
    assert independent == ["Row 1."]


def test_a_control_stops_at_its_first_pass_and_goes_on_where_the_method_has_stopped(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(first=0.3, own=0.6, none=0.4), rows=80, rounds=3, modes=("sampled",))
    failed_rows = [each for each in read_episodes(tmp_path, "sampled") if each.verdict.is_failed]
    for each in failed_rows:
        for tries in (each.controls["no_reflection"], each.controls["independent"]):
            outcomes = [verdict.is_passed for _, verdict in tries]
            assert outcomes == [False] * (len(outcomes) - 1) + [outcomes[-1]]
            assert outcomes[-1] or len(outcomes) == 3
    assert any(len(each.rounds) == 1 and len(each.controls["no_reflection"]) == 3 for each in failed_rows)


def test_every_stage_of_every_round_has_its_own_seed_and_round_1_keeps_its_own(tmp_path: Path) -> None:
    model = LateModel(passes_in=9)
    run(tmp_path, model, rows=4, rounds=3)
    seeds = [sampling.seed for _, sampling in model.requests]
    assert len(set(seeds)) == len(seeds) == 2 * (1 + 3 * 5)
    assert seeds[2] == evaluation_seed(0, "greedy", 0, "retry")
    assert seeds[7] == evaluation_seed(0, "greedy", 0, "retry 2")


def test_in_greedy_mode_every_independent_sample_is_sampled_and_nothing_else(tmp_path: Path) -> None:
    model = LateModel(passes_in=9)
    run(tmp_path, model, rows=4, rounds=2, modes=("greedy",), temperature=0.7)
    assert [sampling.temperature for _, sampling in model.requests] == [0, *[0, 0, 0, 0, 0.7] * 2]


@pytest.mark.parametrize("request_number", [3, 14, 23, 40])
def test_a_stopped_evaluation_resumes_to_the_same_bytes(tmp_path: Path, request_number: int) -> None:
    def stop(request: int) -> None:
        if request == request_number:
            raise KeyboardInterrupt

    settings: dict[str, Any] = {"rows": 30, "shard_rows": 10, "rounds": 3}
    run(tmp_path / "whole", PlantedModel(), **settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", PlantedModel(before_request=stop), **settings)
    run(tmp_path / "stopped", PlantedModel(), **settings)
    for path in [*(tmp_path / "whole").glob("*.jsonl"), tmp_path / "whole" / "figures.json"]:
        assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()


def test_an_evaluation_from_before_rounds_resumes_with_one_and_is_refused_with_two(tmp_path: Path) -> None:
    run(tmp_path, PlantedModel(), rows=10, shard_rows=5)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["identity"]["settings"]["rounds"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "SHA256SUMS").unlink()
    run(tmp_path, PlantedModel(), rows=10, shard_rows=5)
    with pytest.raises(Exception, match=r"started with settings\.rounds = 1, and this call has 2"):
        run(tmp_path, PlantedModel(), rows=10, shard_rows=5, rounds=2)


@dataclass
class SilentModel(LateModel):
    """Has no answer to a request that starts with `row` and ends with `ends`, once it has asked to reflect twice."""

    row: str = "Row 3."
    ends: str = "Reflect."

    def _answer(self, conversation: Sequence[Mapping[str, str]], sampling: Sampling) -> Generation:
        contents = [message["content"] for message in conversation]
        if contents[0] == self.row and contents[-1] == self.ends and contents.count("Reflect.") == 2:
            return Generation("", missing="content filter")
        return super()._answer(conversation, sampling)


@pytest.mark.parametrize(("ends", "last"), [("Reflect.", "reflection"), ("Row 3.", "retry")])
def test_no_answer_in_a_later_round_ends_the_rows_rounds_and_is_nobodys_failure(
    tmp_path: Path, ends: str, last: str
) -> None:
    model = SilentModel(ends=ends, passes_in=9)
    made = run(tmp_path, model, rows=8, rounds=3, modes=("greedy",), max_no_answer=1.0).modes["greedy"].rounds
    silent = list(read_episodes(tmp_path, "greedy"))[3]
    assert (len(silent.rounds), silent.segments[-1].role) == (2, last)
    assert silent.last_verdict.is_unanswered
    assert [each.set_aside for each in made] == [0, 1, 0]
    assert [share(each.right) for each in made] == [(0, 8), (0, 7), (0, 7)]
    assert [share(each.entered) for each in made] == [(8, 8), (8, 8), (7, 7)]
    assert len(silent.controls["no_reflection"]) == 3


def test_answers_of_all_rounds_are_kept_to_be_judged_again(tmp_path: Path) -> None:
    run(tmp_path / "eval" / "m", LateModel(), rows=2, rounds=2, modes=("greedy",), controls=("no_reflection",))
    (stage,) = find_stages(tmp_path)
    _, _, record = next(read_stage(stage))
    assert [each.kind for each in kept_answers(stage, record, "a shard")] == [
        "attempt",
        "retry",
        "retry, round 2",
        "control no_reflection",
        "control no_reflection, round 2",
    ]


class TestFiguresCountedByHand:
    def test_a_row_right_at_first_is_right_after_every_round_and_enters_none(self) -> None:
        first, second = by_round([episode(P), episode(F, F, P)])
        assert (share(first.right), share(second.right)) == ((1, 2), (2, 2))
        assert (share(first.entered), share(second.entered)) == ((1, 2), (1, 2))

    def test_a_withheld_verdict_leaves_its_round_and_all_later_ones(self) -> None:
        made = by_round([episode(A), episode(F, A), episode(F, F, A), episode(F, F, F, P)])
        assert [share(each.right) for each in made] == [(0, 2), (0, 1), (1, 1)]
        assert [share(each.entered) for each in made] == [(3, 3), (2, 2), (1, 1)]
        assert [each.set_aside for each in made] == [1, 1, 0]

    def test_a_gain_pairs_the_rows_judged_for_both_after_the_round(self) -> None:
        rows = [
            episode(F, F, P, no_reflection=[F, F]),
            episode(F, P, no_reflection=[P]),
            episode(F, F, F, no_reflection=[F, P]),
            episode(F, F, P, no_reflection=[A]),
            episode(F, A, no_reflection=[F, F]),
        ]
        gain = by_round(rows)[1].gains["no_reflection"]
        assert gain is not None
        assert (gain.only_first, gain.only_second, gain.total) == (1, 1, 3)

    def test_a_control_that_was_left_out_is_unknown_from_that_round_on(self) -> None:
        made = by_round([episode(F, F, F, other_reflection=[F]), episode(F, F, F, other_reflection=[F, P])])
        assert [share(each.controls["other_reflection"]) for each in made] == [(0, 2), (1, 1)]

    def test_a_retry_repeats_any_earlier_answer_whatever_space_surrounds_it(self) -> None:
        rows = [
            episode(F, F, F, texts=["a", "b", " a\n"]),
            episode(F, F, F, texts=["a", "a", "c"]),
            episode(F, F, P, texts=["a", "b", "c"]),
        ]
        assert [share(each.repeats) for each in by_round(rows)] == [(1, 3), (1, 3)]

    def test_an_empty_retry_repeats_nothing(self) -> None:
        assert by_round([episode(F, F, texts=["", ""])])[0].repeats is None

    def test_answers_are_compared_by_the_part_that_is_judged(self) -> None:
        rows = [episode(F, F, F, texts=["I say 1", "so 1", "no, 2"]), episode(F, F, F, texts=["?", "1", "?"])]

        def last_number(row: Mapping[str, Any], text: str) -> str | None:
            return text.split()[-1] if text[-1].isdigit() else None

        assert [share(each.repeats) for each in by_round(rows, final_answer=last_number)] == [(1, 2), (1, 2)]

    def test_rounds_that_no_row_reached_have_no_figures_and_no_crash(self) -> None:
        made = by_round([episode(P)], controls=CONTROL_KEYS, rounds=3)
        assert [share(each.entered) for each in made] == [(0, 1)] * 3
        assert [each.right_of_entered for each in made] == [None] * 3
        assert [each.repeats for each in made] == [None] * 3
        assert by_round([])[0].to_json()["right"] is None

    @given(st.sampled_from([True, False, None]), st.lists(st.sampled_from([P, F, A]), max_size=4))
    def test_more_tries_never_make_a_right_row_wrong(self, first: bool | None, verdicts: list[Verdict]) -> None:
        rights = [right_after(first, verdicts, tries) for tries in range(len(verdicts) + 2)]
        for before, after in pairwise(rights):
            assert before is False or after is before


def test_repeats_are_recognised_by_the_tasks_own_hook(tmp_path: Path) -> None:
    class Speaking(PlantedTask):
        def final_answer(self, row: Mapping[str, Any], text: str) -> str | None:
            return text.split(":")[0]

    made = run(tmp_path, LateModel(), Speaking(), rows=6, modes=("greedy",)).modes["greedy"].rounds
    assert share(made[0].repeats) == (6, 6)


TEXTS = st.dictionaries(st.integers(0, 20), st.sampled_from(["a", "b", "c", ""]), max_size=8)


@given(TEXTS, st.sets(st.integers(0, 20), max_size=8), st.integers())
def test_a_row_borrows_from_another_that_has_a_reflection(texts: dict[int, str], rows: set[int], seed: int) -> None:
    found = lenders(texts, sorted(rows), seed)
    assert all(lender in texts and lender != row for row, lender in found.items())
    without = {row for row in rows if not texts or set(texts) == {row}}
    assert set(found) == rows - without
    counts = [list(found.values()).count(row) for row in texts]
    assert not found or max(counts) - min(counts) <= 1


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=9), st.integers())
def test_where_all_lend_and_borrow_it_is_as_in_the_first_round(texts: list[str], seed: int) -> None:
    places = borrowed(texts, seed)
    assert lenders(dict(enumerate(texts)), range(len(texts)), seed) == dict(enumerate(places or ()))


class TestComparingModels:
    @pytest.fixture
    def folders(self, tmp_path: Path) -> list[Path]:
        for label, passes_in in (("early", 1), ("late", 2)):
            run(tmp_path / label, LateModel(passes_in=passes_in), label=label, rows=ROWS, rounds=2)
        return [tmp_path / "early", tmp_path / "late"]

    def pairs(self, folders: list[Path]) -> dict[str, Any]:
        comparison = compare(folders, folders[0].parent / "comparison.json")
        return {each["figure"]: each["difference"] for each in comparison["pairs"] if each["mode"] == "greedy"}

    def test_each_later_round_is_paired(self, folders: list[Path]) -> None:
        found = self.pairs(folders)
        assert found["second_try"]["value"] == -1
        assert (found["after_round_2"]["value"], found["after_round_2"]["total"]) == (0, ROWS)
        assert list(found)[-1] == "after_round_2"

    def test_models_are_paired_in_the_rounds_that_both_have(self, folders: list[Path]) -> None:
        run(folders[0].parent / "once", LateModel(), label="once", rows=ROWS)
        assert "after_round_2" not in self.pairs([folders[0], folders[0].parent / "once"])

    def test_figures_from_before_rounds_are_read_and_compared(self, folders: list[Path]) -> None:
        run(folders[0].parent / "once", LateModel(), label="once", rows=ROWS)
        old = folders[0].parent / "once"
        forget_rounds(old)
        comparison = compare([old, folders[1]], folders[0].parent / "comparison.json")
        assert "second_try" in {each["figure"] for each in comparison["pairs"]}
        assert comparison["notes"] == ["once and late differ in settings.rounds: 1 and 2."]

    def test_a_share_that_disagrees_with_the_shards_is_refused(self, folders: list[Path]) -> None:
        path = folders[1] / "figures.json"
        record = json.loads(path.read_text())
        record["modes"]["greedy"]["rounds"][1]["right"]["passed"] -= 1
        path.write_text(json.dumps(record))
        (folders[1] / "SHA256SUMS").unlink()
        with pytest.raises(DataError, match=r"after_round_2 has 11 of 12 right, and the shards beside it 12 of 12"):
            self.pairs(folders)


def forget_rounds(folder: Path) -> None:
    """Make an evaluation what an earlier version wrote."""
    record = json.loads((folder / "figures.json").read_text())
    for mode in record["modes"].values():
        del mode["rounds"]
    (folder / "figures.json").write_text(json.dumps(record))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["identity"]["settings"]["rounds"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "SHA256SUMS").unlink()


@pytest.mark.parametrize(
    ("rounds", "words"),
    [
        (3, "'rounds' must be a list"),
        ([3], "round 1 of the mode 'greedy' must be a JSON object"),
        ([{"round": 2}], "'round' must be 1, since the rounds are in order"),
        ([{"round": 1, "right": 0.5}], "'right' must be"),
        ([{"round": 1, "entered": {"value": 1}}], "the figure 'entered'"),
        ([{"round": 1, "controls": {"no_reflection": {"value": 1}}}], "the figure 'no_reflection'"),
        ([{"round": 1, "gains": {"independent": {"value": "1"}}}], "the gain 'independent'"),
    ],
)
def test_damaged_figures_by_round_are_refused_in_one_line(tmp_path: Path, rounds: Any, words: str) -> None:
    (tmp_path / "figures.json").write_text(json.dumps({"modes": {"greedy": {"rounds": rounds}}}))
    with pytest.raises(DataError, match=words) as raised:
        read_figures(tmp_path / "figures.json")
    assert "\n" not in str(raised.value)


def test_fewer_than_one_round_is_refused() -> None:
    assert asdict(EvalSettings())["rounds"] == 1
    with pytest.raises(Exception, match="EvalSettings.rounds must be at least 1"):
        EvalSettings(rounds=0)
