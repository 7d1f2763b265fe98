"""Commands on several tasks: what each takes, and what is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rrr_core.cli import run_command
from rrr_core.cli.shared import run_folder
from rrr_core.errors import ModelError, RrrError
from rrr_core.pipeline import choose_model
from rrr_core.tasks import load_task
from rrr_core.tasks.settings import TaskSettings

Refusal = Callable[..., str]


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    """What a command line that is refused says, in one line."""

    def run(*arguments: str) -> str:
        assert run_command(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line.removeprefix("rrr: ")

    return run


class TestSettings:
    def test_of_one_task_are_left_as_they_are(self) -> None:
        one = TaskSettings("countdown", ("think",), {"countdown:numbers": "3"})
        assert one.split() == (one,)

    def test_with_a_tasks_name_before_them_are_its_own_and_override_those_for_all(self) -> None:
        both = TaskSettings("a b", ("think", "b:noisy:seed=1"), {"a:rows": "3", "rows": "9"})
        assert [(each.with_, dict(each.data)) for each in both.split()] == [
            (("think",), {"rows": "3"}),
            (("think", "noisy:seed=1"), {"rows": "9"}),
        ]

    def test_for_a_task_named_twice_are_refused(self) -> None:
        with pytest.raises(RrrError, match="'a' is named twice"):
            TaskSettings("a b a").split()

    def test_name_a_folder_for_all_tasks(self) -> None:
        assert run_folder(None, TaskSettings("a b", ("b:noisy:seed=1",))) == Path("runs/a,b+noisy")


@pytest.mark.parametrize("command", ["run", "mine", "train", "eval", "transfer"])
class TestEveryCommand:
    def test_refuses_a_data_option_that_one_of_the_tasks_does_not_know(
        self, refusal: Refusal, command: str, tmp_path: Path
    ) -> None:
        said = refusal(command, "countdown", "apigen", "--data", "numbers=3", "--folder", str(tmp_path / "x"))
        assert "apigen" in said
        assert "numbers" in said
        assert not (tmp_path / "x").exists()

    def test_asks_for_a_model_where_the_tasks_have_different_ones(
        self, refusal: Refusal, command: str, tmp_path: Path
    ) -> None:
        said = refusal(command, "countdown", "apigen", "--folder", str(tmp_path / "x"))
        assert said.endswith("have models of their own, which differ: name one for all with --model.")


def test_tasks_that_share_a_model_need_no_other() -> None:
    from rrr_core.generation import ModelSettings

    countdown = load_task("countdown")
    assert choose_model(ModelSettings(), countdown, countdown).model == countdown.default_model()
    with pytest.raises(ModelError, match="which differ"):
        choose_model(ModelSettings(), countdown, load_task("apigen"))


def test_a_step_limit_is_for_the_tasks_that_act() -> None:
    from rrr_core.mining import MineSettings
    from rrr_core.pipeline.opening import OpenTask

    countdown, settings = load_task("countdown"), MineSettings(max_steps=3)
    assert OpenTask(countdown, {}).fitting(settings) == settings
    assert OpenTask(countdown, {}, is_beside_steps=True).fitting(settings) == MineSettings()


def test_a_step_limit_of_transfer_is_for_the_trainings_on_tasks_that_act() -> None:
    from rrr_core.pipeline.opening import OpenTask
    from rrr_core.pipeline.transferring import _trainings
    from rrr_core.runs.layout import RunFolder
    from rrr_core.training.settings import TrainSettings

    answers = OpenTask(load_task("countdown"), {}, is_beside_steps=True)
    acts = OpenTask(load_task("apigen"), {})  # as if it had steps
    made = _trainings([answers, acts], TrainSettings(max_steps=3), RunFolder(Path("run")), mixture=True, seeds=1)
    limits = {each.name: each.settings.max_steps for each in made}
    assert limits == {"countdown": TrainSettings().max_steps, "apigen": 3, "mixture": 3}


def test_transfer_of_one_task_is_refused(refusal: Refusal) -> None:
    assert refusal("transfer", "countdown") == "transfer is from task to task: name two tasks at least."


@pytest.mark.parametrize(
    ("names", "mixture", "first", "second", "label"),
    [
        (["x", "x-seed-1"], False, "x", "x-seed-1", "on-x-seed-1"),
        (["x-seed-1", "x"], False, "x-seed-1", "x", "on-x-seed-1"),
        (["x", "mixture-seed-2"], True, "mixture-seed-2", "mixture", "on-mixture-seed-2"),
    ],
)
def test_transfer_of_tasks_whose_trainings_would_share_a_folder_is_refused(
    names: list[str], mixture: bool, first: str, second: str, label: str
) -> None:
    from rrr_core.pipeline.transferring import check_labels

    with pytest.raises(RrrError) as refused:
        check_labels(names, mixture, 3)
    assert str(refused.value).startswith(
        f"the trainings on {first!r} and on {second!r} would share the folder {label}, one as a repetition"
    )
    check_labels(names, mixture, 1)  # and an unrepeated one goes on in the folder it has


def test_one_task_in_a_folder_of_several_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "tasks" / "countdown" / "mine").mkdir(parents=True)
    said = refusal("mine", "countdown", "--folder", str(tmp_path))
    assert said.endswith(f"name all of them, or use --folder {tmp_path / 'tasks' / 'countdown'}.")


def test_judging_a_run_of_several_tasks_again_names_their_folders(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "tasks" / "countdown" / "mine").mkdir(parents=True)
    said = refusal("rejudge", str(tmp_path))
    assert str(tmp_path / "tasks" / "countdown") in said


def test_one_failure_set_for_several_tasks_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    options = "--model", "x", "--failures", str(tmp_path)
    assert "--failures names one task's failure set" in refusal("train", "countdown", "apigen", *options)


def test_an_evaluation_to_compare_several_tasks_with_is_refused(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "figures.json").write_text("{}")
    options = "--model", "x", "--compare", str(tmp_path)
    assert "an evaluation is of one task" in refusal("eval", "countdown", "apigen", *options)


def test_several_tasks_without_failure_sets_are_told_how_to_mine_all(refusal: Refusal, tmp_path: Path) -> None:
    said = refusal("train", "countdown", "apigen", "--model", "x", "--folder", str(tmp_path))
    assert f"run `rrr mine countdown apigen --model x --folder {tmp_path}` first." in said


@pytest.mark.parametrize("command", ["run", "transfer"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--train-weights", "countdown=nan"), "--train-weights countdown=nan: expected TASK=NUMBER"),
        (("--train-credit", "passing"), "--train-credit passing acts only with several rounds: raise --train-"),
    ],
    ids=["weights", "credit"],
)
def test_a_value_that_does_not_fit_is_refused_under_the_name_it_was_given_by(
    refusal: Refusal, command: str, given: tuple[str, str], said: str, tmp_path: Path
) -> None:
    assert refusal(command, "countdown", "apigen", *given, "--folder", str(tmp_path / "x")).startswith(said)
