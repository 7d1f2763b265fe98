"""A stage's folder belongs to one job, identified by its manifest, and is locked by one process."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from rrr_core.errors import DataError, RrrError
from rrr_core.runs import about
from rrr_core.runs.about import about_this_run
from rrr_core.runs.files import read_json, write_json
from rrr_core.runs.stage import open_stage, stage_lock
from tests.fakes import KeptProgress, names

IDENTITY = {"task": {"task": "countdown", "version": "1.0"}, "settings": {"seed": 1, "temperature": 0.9}}


def test_a_new_folder_gets_a_manifest(tmp_path: Path) -> None:
    open_stage(tmp_path / "run" / "mine", "mine", IDENTITY, {"python": "3.11"})
    manifest = read_json(tmp_path / "run" / "mine" / "manifest.json")
    assert manifest.pop("created").endswith("+00:00")
    assert manifest == {"kind": "mine", "identity": IDENTITY, "about": {"python": "3.11"}}


def test_the_same_identity_resumes_whatever_else_has_changed(tmp_path: Path) -> None:
    open_stage(tmp_path, "mine", IDENTITY, {"python": "3.11"})
    before = (tmp_path / "manifest.json").read_bytes()
    open_stage(tmp_path, "mine", IDENTITY, {"python": "3.12"})
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_tuples_equal_lists_and_whole_floats_equal_integers(tmp_path: Path) -> None:
    open_stage(tmp_path, "eval", {"modes": ("greedy", "sampled"), "temperature": 1}, {})
    open_stage(tmp_path, "eval", {"modes": ["greedy", "sampled"], "temperature": 1.0}, {})


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        ({**IDENTITY, "settings": {"seed": 2, "temperature": 0.9}}, r"settings\.seed = 1, and this call has 2"),
        ({**IDENTITY, "settings": {"seed": True, "temperature": 0.9}}, r"settings\.seed = 1, and this call has true"),
        ({"task": IDENTITY["task"]}, r"settings = .* and this call has nothing"),
        ({**IDENTITY, "data": {}}, r"data = nothing, and this call has \{\}"),
    ],
)
def test_another_identity_is_refused_naming_the_first_difference(tmp_path: Path, identity: dict, words: str) -> None:
    open_stage(tmp_path, "mine", IDENTITY, {})
    (tmp_path / "shard-00000.jsonl").write_text("{}\n")
    with pytest.raises(RrrError, match=words) as error:
        open_stage(tmp_path, "mine", identity, {})
    assert "use another folder" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_difference_in_a_list_of_records_is_named_by_its_place(tmp_path: Path) -> None:
    def identity(*counts: str) -> dict:
        return {"overlays": [{"name": "shots", "options": {"count": each}} for each in counts]}

    open_stage(tmp_path, "mine", identity("3", "4"), {})
    (tmp_path / "shard-00000.jsonl").write_text("{}\n")
    with pytest.raises(RrrError, match=r'with overlays\[1\]\.options\.count = "4", and this call has "5"'):
        open_stage(tmp_path, "mine", identity("3", "5"), {})
    with pytest.raises(RrrError, match=r"with overlays = \[\{.*, and this call has \[\{"):
        open_stage(tmp_path, "mine", identity("3"), {})
    open_stage(tmp_path, "mine", identity("3", "4"), {})


def test_a_long_value_is_cut_short_in_the_error(tmp_path: Path) -> None:
    open_stage(tmp_path, "mine", {"text": "a" * 10_000}, {})
    (tmp_path / "shard-00000.jsonl").write_text("{}\n")
    with pytest.raises(RrrError) as error:
        open_stage(tmp_path, "mine", {"text": "line\n" * 10_000}, {})
    assert len(str(error.value)) < 1000
    assert "\n" not in str(error.value)


def test_another_kind_of_stage_is_refused(tmp_path: Path) -> None:
    open_stage(tmp_path, "mine", IDENTITY, {})
    with pytest.raises(RrrError, match="holds the stage 'mine', not 'train'"):
        open_stage(tmp_path, "train", IDENTITY, {})


def test_a_folder_of_other_files_is_refused_and_left_unchanged(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RrrError, match=r"thesis\.tex"):
        open_stage(tmp_path, "mine", IDENTITY, {})
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("content", ["", "[]", '{"kind": "mine"}'])
def test_a_corrupt_manifest_is_named_and_not_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json:1:"):
        open_stage(tmp_path, "mine", IDENTITY, {})
    assert (tmp_path / "manifest.json").read_text() == content


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    with pytest.raises(RrrError, match="a file of that name is in the way"):
        open_stage(tmp_path / "mine", "mine", IDENTITY, {})


def test_leftovers_of_a_killed_writer_are_removed_only_with_the_lock(tmp_path: Path) -> None:
    leftover = tmp_path / ".shard-00001.jsonl.77-ab12cd34.tmp"
    leftover.write_text("half a sh")
    open_stage(tmp_path, "mine", IDENTITY, {})
    assert leftover.exists()
    with stage_lock(tmp_path):
        assert not leftover.exists()


HOLDER = """
    import sys, time
    from pathlib import Path
    from rrr_core.runs.stage import stage_lock
    with stage_lock(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
"""


def test_two_processes_cannot_lock_one_folder_and_a_killed_one_releases_its_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RrrError, match=rf"written by another process \(process {holder.pid}\)"):
                stage_lock(tmp_path).__enter__()
        finally:
            holder.send_signal(signal.SIGKILL)
    with stage_lock(tmp_path):
        write_json(tmp_path / "x.json", 1)


def test_a_lock_is_released_on_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), stage_lock(tmp_path):
        raise KeyboardInterrupt
    with stage_lock(tmp_path):
        pass


def test_a_system_without_file_locks_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    progress = KeptProgress()
    with stage_lock(tmp_path, progress):
        pass
    assert len(progress.lines) == 1
    assert str(tmp_path) in progress.lines[0]


def test_about_names_versions_and_git_state_without_importing_the_packages() -> None:
    script = (
        "import sys; from rrr_core.runs.about import about_this_run; about_this_run(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    about = about_this_run()
    assert about["versions"]["rrr-core"]
    assert about["python"].startswith("3.")


def test_about_reports_a_changed_working_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        names = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert about_this_run()["git"] is None
    (tmp_path / "x").write_text("1")
    git("init")
    git("add", "x")
    git("commit", "-m", "x")
    state = about_this_run()["git"]
    assert len(state["commit"]) == 40
    assert not state["dirty"]
    (tmp_path / "x").write_text("2")
    assert about_this_run()["git"]["dirty"]


def test_about_records_neither_the_programs_folder_nor_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(about.sys, "argv", ["/home/ada/bin/rrr", "mine", "--base-url", "https://ada:secret@host/v1"])
    assert about_this_run()["arguments"] == ["rrr", "mine", "--base-url", "https://***@host/v1"]


def test_a_call_that_produced_nothing_does_not_bind_the_folder(tmp_path: Path) -> None:
    open_stage(tmp_path, "mine", IDENTITY, {})
    other = {**IDENTITY, "settings": {"seed": 99}}
    open_stage(tmp_path, "mine", other, {})
    assert read_json(tmp_path / "manifest.json")["identity"]["settings"] == {"seed": 99}
    (tmp_path / "shard-00000.jsonl").write_text("{}\n")
    with pytest.raises(RrrError, match="seed"):
        open_stage(tmp_path, "mine", IDENTITY, {})
