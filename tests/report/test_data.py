"""Reading run folders: what is there, what is missing, what is broken, and which episodes are selected."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made_run import make_run

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.hookspecs import Call
from rrr_core.mining.mined_row import MinedRow
from rrr_core.report.data import read_runs
from rrr_core.report.mined import mined_of
from rrr_core.report.selection import (
    ASSURED,
    FIELDS,
    LONGEST_TEXT,
    SEGMENT_FIELDS,
    FairSample,
    Texts,
    pack,
    transition,
)
from rrr_core.verdicts import Verdict, abstained, failed, no_answer, passed
from tests.episodes import make_episode, make_failure


@pytest.fixture
def copy(run_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder, tmp_path / "copy"))


def episode(index: int, second: Verdict | None = None, **more: object) -> Episode:
    first = passed() if second is None else failed("missed target")
    return make_episode(first, second, index=index, **{"attempt": f"attempt {index}", **more})


def test_nothing_is_missing_from_a_whole_run(run_folder: Path) -> None:
    run = read_runs([run_folder]).runs[0]
    assert run.missing == []
    assert list(run.figures) == ["vanilla", "trained"]
    assert run.task == "countdown"
    assert set(run.manifests) == {"run", "mine", "train", "eval/vanilla", "eval/trained"}


def test_notes_of_an_evaluation_appear_once(run_folder: Path) -> None:
    assert read_runs([run_folder]).runs[0].notes == ["Greedy: the second sample of pass@2 is drawn at temperature 1."]


@pytest.mark.parametrize(
    ("part", "notice"),
    [
        ("mine", "No failure set"),
        ("mine/summary.json", "Mining is unfinished"),
        ("train/metrics.jsonl", "No training curves"),
        ("train/episodes.jsonl", "No training episodes"),
        ("eval/comparison.json", "No comparison between models"),
        ("train/profile.json", "No profile (profile.json) of train: where the time went is unknown"),
        ("eval/trained/figures.json", "The evaluation of “trained” is unfinished"),
        ("eval", "No finished evaluation"),
    ],
)
def test_a_missing_part_is_reported_and_the_rest_is_read(copy: Path, part: str, notice: str) -> None:
    path = copy / part
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    run = read_runs([copy]).runs[0]
    assert [text for text in run.missing if notice in text]
    assert run.manifests


def test_a_run_in_progress_says_which_evaluation_is_unfinished_and_shows_its_reflections(copy: Path) -> None:
    (copy / "eval" / "trained" / "figures.json").unlink()
    run = read_runs([copy], live=10).runs[0]
    assert run.evidence.headline == (
        "“vanilla” was evaluated; the evaluation of “trained” is unfinished, so the gain is unknown."
    )
    assert set(run.anatomy["greedy"]) == {"vanilla", "trained"}
    (copy / "eval" / "vanilla" / "figures.json").unlink()
    headline = read_runs([copy], live=10).runs[0].evidence.headline
    assert headline == "The evaluation of “vanilla” and “trained” is unfinished, so the gain is unknown."


def test_a_torn_last_line_ends_its_file_and_is_reported_without_the_machines_paths(copy: Path) -> None:
    path = copy / "train" / "metrics.jsonl"
    path.write_text("\n".join(path.read_text().splitlines()[:10]) + '\n{"step": 11, "kl')
    run = read_runs([copy]).runs[0]
    assert run.curves is not None
    assert run.curves.logged == 10
    assert len(run.missing) == 1
    assert run.missing[0].startswith("train/metrics.jsonl:11")


@pytest.mark.parametrize("line", ['{"row_index": 1}', '{"step": 1, "unknown field": 2}'])
def test_a_record_of_the_wrong_shape_is_reported_with_its_line(copy: Path, line: str) -> None:
    (copy / "train" / "episodes.jsonl").write_text(line + "\n")
    (copy / "mine" / "shard-00000.jsonl").write_text(line + "\n")
    run = read_runs([copy]).runs[0]
    assert [text.split(":")[:2] for text in run.missing] == [
        ["mine/shard-00000.jsonl", "1"],
        ["train/episodes.jsonl", "1"],
    ]


def test_a_broken_figures_file_is_reported(copy: Path) -> None:
    (copy / "eval" / "trained" / "figures.json").write_text('{"label": ')
    run = read_runs([copy]).runs[0]
    assert any("eval/trained/figures.json:1" in text for text in run.missing)
    assert list(run.figures) == ["vanilla"]


def test_the_stages_profiles_are_read_in_the_order_of_the_stages(run_folder: Path) -> None:
    profiles = read_runs([run_folder]).runs[0].profiles
    assert list(profiles) == ["mine", "train", "eval/vanilla", "eval/trained"]
    assert profiles["train"]["seconds"]["other"] == 150 - 50 - 3 - 60 - 8 - 5 - 2


def test_a_broken_profile_is_reported_and_the_other_stages_are_shown(copy: Path) -> None:
    (copy / "train" / "profile.json").write_text('{"calls": 2}')
    run = read_runs([copy]).runs[0]
    assert list(run.profiles) == ["mine", "eval/vanilla", "eval/trained"]
    assert [text.split(":")[0] for text in run.missing] == ["train/profile.json"]


def test_an_unknown_control_is_reported_with_the_nearest_and_ends_its_file(copy: Path) -> None:
    shard = copy / "eval" / "trained" / "sampled-00000.jsonl"
    shard.write_text(shard.read_text().replace('"no_reflection"', '"no_reflexion"'))
    payload = read_runs([copy])
    (notice,) = payload.runs[0].missing
    assert "eval/trained/sampled-00000.jsonl:" in notice
    assert "no evaluation control 'no_reflexion'" in notice
    assert "Did you mean 'no_reflection'" in notice
    assert "no_reflexion" not in payload.texts


def test_the_page_has_a_title_for_every_figure_gain_and_control(run_folder: Path) -> None:
    payload = read_runs([run_folder])
    mode = payload.runs[0].figures["trained"]["modes"]["sampled"]
    assert list(mode)[: len(payload.words.figures)] == list(payload.words.figures)
    assert list(mode["gains"]) == list(payload.words.gains)
    assert set(payload.words.controls) <= set(payload.texts)
    assert payload.words.figures["other_reflection"] == "Second try, another row’s reflection"


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="holds no run"):
        read_runs([tmp_path])
    with pytest.raises(RrrError, match="is not a folder"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(RrrError, match="no run folder was named"):
        read_runs([])


def test_runs_of_the_same_name_are_prefixed_with_their_parents(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / parent / "run", rows=20, steps=2) for parent in ("a", "b")]
    assert [run.name for run in read_runs(folders).runs] == ["a/run", "b/run"]


def test_a_set_counts_all_episodes_not_only_those_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rrr_core.report.reader.EPISODES_SHOWN", {"evaluation": 30, "training": 10})
    payload = read_runs([make_run(tmp_path / "run", rows=120, steps=3)])
    assert {(each.kind, each.shown, each.total) for each in payload.sets} == {
        ("evaluation", 30, 120),
        ("training", 10, 48),
    }
    assert len(payload.episodes) == 4 * 30 + 10


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        (passed(), None, "right"),
        (abstained("timeout", ""), None, "abstained"),
        (failed("x"), None, "not retried"),
        (failed("x"), passed(), "wrong→right"),
        (failed("x"), failed("x"), "wrong→wrong"),
        (failed("x"), abstained("timeout", ""), "wrong→abstained"),
    ],
)
def test_every_episode_has_one_kind_of_transition(first: Verdict, second: Verdict | None, kind: str) -> None:
    assert transition(make_episode(first, second)) == kind


def test_a_rare_kind_of_transition_is_always_among_the_first() -> None:
    sample = FairSample(100)
    for index in range(5000):
        sample.add(episode(index, passed() if index in (7, 4999) else failed("x")))
    chosen = sample.in_order()
    assert len(chosen) == 100
    assert {7, 4999} <= {each.row_index for each in chosen[: 2 * ASSURED]}
    assert sample.totals == {"wrong→wrong": 4998, "wrong→right": 2}


def test_the_sample_depends_neither_on_order_nor_on_the_model() -> None:
    def chosen(indices: list[int], text: str) -> list[int]:
        sample = FairSample(50)
        for index in indices:
            sample.add(episode(index, attempt=text))
        return [each.row_index for each in sample.in_order()]

    shuffled = random.Random(0).sample(range(1000), 1000)
    assert chosen(list(range(1000)), "one") == chosen(shuffled, "another")


def test_packing_stops_at_the_budget_and_holds_each_text_once() -> None:
    texts = Texts()
    same = [episode(index, failed("x"), reflection="the same " * 50) for index in range(1000)]
    packed = pack(same, 0, texts, budget=20_000)
    assert 50 < len(packed) < 400
    assert texts.values.count("the same " * 50) == 1


def test_a_text_beyond_the_limit_is_cut_and_says_so() -> None:
    texts = Texts()
    texts.add("x" * 100_000)
    assert len(texts.values[0]) < LONGEST_TEXT + 100
    assert texts.values[0].endswith("[80,000 more characters are not on this page]")


def test_mined_rows_add_up() -> None:
    def row(tries: int, passes: int, withheld: int, *classes: str) -> MinedRow:
        failures = tuple(make_failure(verdict=failed(category)) for category in classes)
        return MinedRow(0, tries, passes, None, None, None, (abstained("timeout", ""),) * withheld, failures)

    mined = mined_of([row(4, 3, 0, "wrong numbers"), row(2, 2, 0), row(1, 0, 1), row(1, 0, 0, "x")])
    assert (mined.rows, mined.rows_with_failures, mined.failures) == (4, 2, 2)
    assert (mined.tries, mined.passes, mined.abstentions) == (8, 5, 1)
    assert mined.pass_rates == [1, 0, 0, 0, 0, 0, 0, 1, 0, 1]


def test_tries_without_an_answer_are_counted_by_kind_and_not_as_withheld() -> None:
    verdicts = (no_answer("content filter"),), (abstained("timeout", ""),)
    mined = mined_of([MinedRow(0, 1, 0, None, None, None, withheld, ()) for withheld in verdicts])
    assert (mined.abstentions, mined.no_answers) == (1, {"content filter": 1})


def test_a_segment_with_an_advantage_of_its_own_keeps_it() -> None:
    one = episode(0, passed(), token_texts=("a", "b"))
    parts = [replace(each, advantage=-0.25) if each.role == "reflection" else each for each in one.segments]
    (packed,) = pack([replace(one, segments=tuple(parts))], 0, Texts(), 10_000)
    named = [dict(zip(SEGMENT_FIELDS, each, strict=False)) for each in packed[FIELDS.index("segments")]]
    assert [each.get("advantage") for each in named] == [None, None, None, -0.25, None, None]
    assert [each.get("thought") for each in named] == [None] * 6


def test_the_calls_of_an_action_are_on_the_page() -> None:
    one = episode(0, passed())
    called = Segment("attempt", calls=(Call("add", {"of": [2, 3]}), Call("<b>", {})), verdict=failed("step limit"))
    (packed,) = pack([replace(one, segments=(one.segments[0], called))], 0, texts := Texts(), 10_000)
    _, named = (dict(zip(SEGMENT_FIELDS, each, strict=False)) for each in packed[FIELDS.index("segments")])
    shown = '[{"name": "add", "arguments": {"of": [2, 3]}}]\n[{"name": "<b>", "arguments": {}}]'
    assert texts.values[named["calls"]] == shown
