"""`rrr rejudge`: which verdicts of a saved run have changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rrr_core import cli

VERIFIER = """
    from rrr_core import failed, hookimpl, passed
    from rrr_core.hookspecs import trusted

    @hookimpl
    def rrr_load_dataset(split): return []

    @hookimpl
    def rrr_prompt(row): return "?"

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        if answer == "fault":
            raise ZeroDivisionError("of the verifier")
        if answer == row["wanted"]:
            return passed()
        return failed("empty") if not answer else failed("not wanted", answer)
"""
LENIENT = """
    from rrr_core import hookimpl, passed
    from rrr_core.hookspecs import trusted

    @hookimpl
    @trusted
    def rrr_verify(row, answer):
        return passed()
"""
ONLY = """
    from rrr_core import failed, hookimpl, passed

    @hookimpl
    def rrr_configure(options):
        @hookimpl
        def rrr_verify(row, answer):
            return passed() if answer == options["word"] else failed("not wanted", answer)
        return [rrr_verify]
"""
PASSED = {"outcome": "passed", "category": "", "detail": ""}
FAILED = {"outcome": "failed", "category": "not wanted", "detail": ""}
EMPTY = {"outcome": "failed", "category": "empty", "detail": ""}
WITHHELD = {"outcome": "abstained", "category": "timeout", "detail": "rrr-wanted 0.9, hook rrr_verify"}
ROW = {"wanted": "yes"}
PROMPT = [{"role": "user", "content": "?"}]


def provenance(overlays: tuple[str, ...] = (), options: Mapping[str, str] | None = None) -> dict[str, Any]:
    given = {"options": options} if options else {}
    named = [{"name": name, "distribution": f"rrr-{name}", "version": "1.5", **given} for name in overlays]
    return {"task": "wanted", "distribution": "rrr-wanted", "version": "0.9", "overlays": named}


def write(path: Path, *records: Mapping[str, Any], end: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + end)


def manifest(stage: Path, **changes: Any) -> None:
    write(stage / "manifest.json", {"kind": "x", "identity": {"task": provenance(**changes)}})


def episode(attempt: str, verdict: Mapping[str, str], index: int = 0, **more: Any) -> dict[str, Any]:
    return {"row_index": index, "row": ROW, "prompt": PROMPT, "attempt": attempt, "verdict": verdict, **more}


def mined(*failures: Mapping[str, Any], index: int = 0, withheld: int = 0) -> dict[str, Any]:
    counts = {"row_index": index, "tries": 3, "passes": 0, "abstentions": withheld, "tokens": None}
    return {**counts, "withheld": [WITHHELD] * withheld, "failures": list(failures)}


@pytest.fixture
def run(site: Any, tmp_path: Path) -> Path:
    """A whole run whose verdicts the installed verifier would repeat."""
    site.install_task("wanted", VERIFIER)
    site.install_overlay("lenient", LENIENT)
    folder = tmp_path / "run"
    failure = {"failure_id": "0-0", **episode("no", FAILED), "try_index": 0}
    manifest(folder / "mine")
    write(folder / "mine" / "shard-00000.jsonl", mined(failure), mined(index=1, withheld=1))
    manifest(folder / "train")
    write(
        folder / "train" / "episodes.jsonl",
        episode("no", FAILED, reflection="hm", retry="yes", retry_verdict=PASSED, step=1),
        episode("no", FAILED, reflection="hm", retry="slow", retry_verdict=FAILED, step=1),
    )
    manifest(folder / "eval" / "vanilla")
    write(
        folder / "eval" / "vanilla" / "greedy-00000.jsonl",
        episode("yes", PASSED, controls={}),
        episode("", EMPTY, 1, retry="yes", retry_verdict=PASSED, controls={"no_reflection": ["no", FAILED]}),
    )
    return folder


@pytest.fixture
def rejudge(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `rrr rejudge` on a folder; returns exit code, stdout and stderr."""

    def call(folder: Path, *options: str) -> tuple[int, str, str]:
        code = cli.run_command(["rejudge", str(folder), *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def table(out: str) -> dict[str, list[int]]:
    """Stage → judged, same, other class, flipped."""
    lines = [line.split() for line in out.splitlines()[1:] if line.startswith(("mine ", "train ", "eval/"))]
    return {line[0]: [int(count) for count in line[-4:]] for line in lines}


def test_a_run_whose_verdicts_hold_is_reported_stage_by_stage_and_exits_with_0(rejudge: Any, run: Path) -> None:
    code, out, _ = rejudge(run)
    assert code == 0
    assert table(out) == {"mine": [1, 1, 0, 0], "train": [2, 2, 0, 0], "eval/vanilla/greedy": [4, 4, 0, 0]}
    assert out.endswith("no verdict changed\n")


def test_first_tries_that_training_sampled_are_judged_again(rejudge: Any, run: Path) -> None:
    def first_try(text: str, verdict: Mapping[str, str]) -> dict[str, Any]:
        attempt = {"role": "attempt", "text": text, "verdict": verdict, "is_trained": True}
        segments = [{"role": "prompt", "messages": PROMPT}, attempt]
        return {"row_index": 0, "row": ROW, "segments": segments, "step": 1, "reward": 0.0}

    write(run / "train" / "episodes.jsonl", first_try("yes", PASSED), first_try("no", PASSED))
    code, out, _ = rejudge(run)
    assert code == 1
    assert table(out)["train"] == [2, 1, 0, 1]


def test_it_says_which_verifier_judged_then_and_which_does_now(rejudge: Any, run: Path) -> None:
    line = rejudge(run)[1].splitlines()[1]
    assert line.split("  ")[0] == "mine"
    assert line.index("rrr-wanted 0.9") < line.index("rrr-wanted 1.0")


def test_verdicts_whose_answers_were_not_saved_are_reported(rejudge: Any, run: Path) -> None:
    assert "mine: 1 withheld verdicts had no answer kept to judge again" in rejudge(run)[1]


def test_flips_are_counted_by_kind_and_listed_with_their_place_and_exit_with_1(rejudge: Any, run: Path) -> None:
    shard = run / "eval" / "vanilla" / "greedy-00000.jsonl"
    controls = {"no_reflection": ["yes", FAILED], "independent": ["no", WITHHELD]}
    write(shard, episode("no", PASSED), episode("no", FAILED, 7, retry="yes", retry_verdict=FAILED, controls=controls))
    code, out, _ = rejudge(run)
    assert code == 1
    assert table(out)["eval/vanilla/greedy"] == [5, 1, 0, 4]
    assert "2× failed, not wanted → passed\n" in out
    assert "1× passed → failed, not wanted\n" in out
    assert "1× abstained, timeout → failed, not wanted\n" in out
    assert f"{shard}:1  row 0  attempt  passed → failed, not wanted (no)\n" in out
    assert f"{shard}:2  row 7  retry  failed, not wanted → passed\n" in out
    assert f"{shard}:2  row 7  control no_reflection  failed, not wanted → passed\n" in out


def test_a_failure_of_another_class_is_listed_and_is_not_a_flip(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("", FAILED))
    code, out, _ = rejudge(run)
    assert code == 0
    assert table(out)["eval/vanilla/greedy"] == [1, 0, 1, 0]
    assert "attempt  failed, not wanted → failed, empty\n" in out


def test_a_verdict_with_only_another_detail_is_the_same(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", {**FAILED, "detail": "worded otherwise"}))
    assert table(rejudge(run)[1])["eval/vanilla/greedy"] == [1, 1, 0, 0]


def test_the_list_is_cut_at_the_limit_and_says_so(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", *[episode("yes", FAILED, index) for index in range(5)])
    out = rejudge(run, "--limit", "2")[1]
    assert out.count("→ passed\n") == 1 + 2
    assert out.endswith("… and 3 more: --limit 5 or --json lists them\n")


def test_json_holds_the_whole_list_and_who_judged(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", *[episode("yes", FAILED, index) for index in range(50)])
    code, out, _ = rejudge(run, "--json", "--limit", "1")
    result = json.loads(out)
    assert (code, result["judged"], result["flipped"], len(result["changes"])) == (1, 53, 50, 50)
    assert result["changes"][49] == {
        "stage": "eval/vanilla/greedy",
        "kind": "attempt",
        "place": f"{run / 'eval' / 'vanilla' / 'greedy-00000.jsonl'}:50",
        "row_index": 49,
        "before": FAILED,
        "after": PASSED,
        "is_flip": True,
    }
    stage = result["stages"][0]
    assert (stage["stage"], stage["then"]["version"], stage["now"]["version"]) == ("mine", "0.9", "1.0")
    assert (stage["judged"], stage["same"], stage["withheld"]) == (1, 1, 1)


def test_a_stage_judged_by_an_overlay_is_judged_by_it_again(rejudge: Any, run: Path) -> None:
    manifest(run / "eval" / "vanilla", overlays=("lenient",))
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", PASSED))
    code, out, _ = rejudge(run)
    assert code == 0
    assert "rrr-wanted 0.9 + lenient of rrr-lenient 1.5" in out
    assert "rrr-wanted 1.0 + lenient of rrr-lenient 2.0" in out


def test_a_stages_overlay_gets_the_options_it_had_then(rejudge: Any, run: Path, site: Any) -> None:
    site.install_overlay("only", ONLY)
    manifest(run / "eval" / "vanilla", overlays=("only",), options={"word": "no"})
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", PASSED), episode("yes", FAILED))
    code, out, _ = rejudge(run)
    assert code == 0
    assert "rrr-wanted 1.0 + only:word=no of rrr-only 2.0" in out
    assert "no verdict changed" in out


def test_another_judge_is_compared_with_the_original_one(rejudge: Any, run: Path, site: Any) -> None:
    site.install_overlay("only", ONLY)
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("yes", PASSED), episode("no", FAILED))
    code, out, _ = rejudge(run, "--with", "only:word=no")
    assert code == 1
    assert "rrr-wanted 1.0 + only:word=no of rrr-only 2.0" in out
    assert "eval/vanilla/greedy-00000.jsonl:1  row 0  attempt  passed → failed, not wanted (yes)" in out


def test_the_run_is_not_changed(rejudge: Any, run: Path) -> None:
    before = files(run)
    rejudge(run)
    assert files(run) == before


@pytest.mark.parametrize("part", ["mine", "train", "eval"])
def test_any_part_may_be_missing(rejudge: Any, run: Path, part: str) -> None:
    for path in sorted((run / part).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (run / part).rmdir()
    code, out, _ = rejudge(run)
    assert code == 0
    assert len(table(out)) == 2


def test_a_stage_without_a_manifest_is_judged_by_the_runs_task(rejudge: Any, run: Path) -> None:
    (run / "mine" / "manifest.json").unlink()
    code, out, _ = rejudge(run)
    assert code == 0
    assert "not known" in out.splitlines()[1]


def test_half_a_line_that_a_killed_training_left_is_not_judged(rejudge: Any, run: Path) -> None:
    path = run / "train" / "episodes.jsonl"
    path.write_text(path.read_text() + '{"row_index": 3, "ro')
    assert table(rejudge(run)[1])["train"] == [2, 2, 0, 0]


def test_too_many_abstentions_stop_it_and_name_the_offender(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("fault", FAILED))
    code, out, err = rejudge(run)
    assert (code, out) == (2, "")
    assert "rrr-wanted 1.0" in err.splitlines()[-1]
    assert rejudge(run, "--max-abstain", "0.5")[0] == 1


def test_text_written_by_a_model_cannot_control_the_terminal(rejudge: Any, run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", {**PASSED, "detail": "\x1b[2J\u202eevil"}))
    out = rejudge(run)[1]
    assert "evil" in out
    assert "\x1b" not in out
    assert "\u202e" not in out


def broken_json(run: Path) -> None:
    (run / "mine" / "shard-00000.jsonl").write_text("{}\n{")


def no_failures_list(run: Path) -> None:
    write(run / "mine" / "shard-00000.jsonl", {"row_index": 0})


def answer_of_another_type(run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", {**episode("no", FAILED), "attempt": 3})


def verdict_of_no_outcome(run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", {**FAILED, "outcome": "perhaps"}))


def control_of_another_shape(run: Path) -> None:
    write(run / "eval" / "vanilla" / "greedy-00000.jsonl", episode("no", FAILED, controls={"x": "no"}))


def corrupt_in_the_middle(run: Path) -> None:
    path = run / "train" / "episodes.jsonl"
    path.write_text("{\n" + path.read_text())


def task_not_installed(run: Path) -> None:
    write(run / "mine" / "manifest.json", {"identity": {"task": {**provenance(), "task": "wnted"}}})


def manifest_of_nothing(run: Path) -> None:
    write(run / "mine" / "manifest.json", {"identity": 3})


def no_manifest(run: Path) -> None:
    for path in run.rglob("manifest.json"):
        path.unlink()


@pytest.mark.parametrize(
    ("corrupt", "message"),
    [
        (broken_json, "shard-00000.jsonl:1: a mined row's 'row_index' must be a whole number, found nothing."),
        (no_failures_list, "shard-00000.jsonl:1: a mined row's 'tries' must be a whole number, found nothing."),
        (answer_of_another_type, "greedy-00000.jsonl:1: an episode's 'attempt' must be a text, found 3."),
        (
            verdict_of_no_outcome,
            "greedy-00000.jsonl:1: a verdict's 'outcome' must be passed, failed or abstained, found 'perhaps'.",
        ),
        (
            control_of_another_shape,
            "greedy-00000.jsonl:1: an episode's 'controls' must be an object of answers and their verdicts",
        ),
        (corrupt_in_the_middle, "episodes.jsonl:1: not JSON"),
        (task_not_installed, "No task 'wnted' is installed. Did you mean 'wanted'"),
        (manifest_of_nothing, "manifest.json:1: not a manifest of rrr: it names no task."),
        (no_manifest, "no manifest says which task judged it"),
    ],
)
def test_a_run_that_cannot_be_judged_is_one_line_and_exit_code_2(
    rejudge: Any, run: Path, corrupt: Any, message: str
) -> None:
    corrupt(run)
    code, out, err = rejudge(run)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("rrr: ")
    assert message in err.splitlines()[-1]


def test_a_folder_that_is_not_a_run_is_refused_and_its_run_is_named(rejudge: Any, run: Path) -> None:
    assert "is not a folder" in rejudge(run / "none")[2]
    assert f"did you mean {str(run)!r}?" in rejudge(run / "mine")[2]
    assert f"did you mean {str(run)!r}?" in rejudge(run / "eval" / "vanilla")[2]
    code, out, err = rejudge(run.parent / "site")
    assert (code, out) == (2, "")
    assert (
        err
        == f"rrr: {run.parent / 'site'} holds no run (no mine/, train/ or eval/): give a folder that `rrr run` made.\n"
    )


def test_a_run_that_has_judged_nothing_yet_is_refused(rejudge: Any, run: Path, tmp_path: Path) -> None:
    (tmp_path / "young" / "mine").mkdir(parents=True)
    assert "holds no verdicts yet" in rejudge(tmp_path / "young")[2]


def test_a_countdown_run_is_judged_by_the_installed_plugin(tmp_path: Path) -> None:
    row = {"target": 98, "nums": [44, 19, 35]}
    write(tmp_path / "mine" / "manifest.json", {"identity": {"task": {**provenance(), "task": "countdown"}}})
    failure = {"failure_id": "0-0", **episode("<answer>44+19+35</answer>", FAILED), "row": row, "try_index": 0}
    write(tmp_path / "mine" / "shard-00000.jsonl", mined(failure))
    code = "import sys; from rrr_core.cli import main; sys.argv[0] = 'rrr'; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "rejudge", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert "1× failed, not wanted → passed\n" in done.stdout


def test_a_text_that_no_verifier_judged_is_not_judged_again(rejudge: Any, run: Path) -> None:
    cut_off = {"outcome": "failed", "category": "cut off", "detail": ""}
    unanswered = {"outcome": "abstained", "category": "no answer", "detail": "content filter"}
    write(
        run / "eval" / "vanilla" / "greedy-00000.jsonl",
        {
            "row_index": 0,
            "row": ROW,
            "segments": [
                {"role": "prompt", "messages": PROMPT},
                {"role": "attempt", "text": "", "thought": "hm", "is_cut_off": True, "verdict": cut_off},
                {"role": "prompt", "messages": PROMPT},
                {"role": "reflection", "text": "because"},
                {"role": "prompt", "messages": PROMPT},
                {"role": "retry", "text": "yes", "verdict": PASSED},
            ],
            "controls": {"no_reflection": ["", unanswered], "independent": ["", cut_off]},
        },
    )
    code, out, _ = rejudge(run)
    assert code == 0
    assert table(out)["eval/vanilla/greedy"] == [1, 1, 0, 0]
