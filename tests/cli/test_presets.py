"""A task's presets override the defaults, the user's settings override them, and both are validated alike."""

from __future__ import annotations

from typing import Any

import pytest

from rrr_core.errors import PluginError, RrrError
from rrr_core.tasks import find_tasks
from rrr_core.tasks.presets import COMMANDS, presets_of
from rrr_core.tasks.settings import TaskSettings

PLUGIN = """
from rrr_core import hookimpl, passed
@hookimpl
def rrr_load_dataset(): return []
@hookimpl
def rrr_prompt(): return "x"
@hookimpl
def rrr_verify(): return passed()
@hookimpl
def rrr_presets(command): return {}.get(command)
"""


@pytest.fixture
def suggest(site: Any) -> Any:
    def install(presets: Any) -> TaskSettings:
        site.install(
            "rrr-lamp", "1.0", modules={"rrr_lamp": PLUGIN.replace("{}", repr(presets))}, tasks={"lamp": "rrr_lamp"}
        )
        return TaskSettings(name="lamp")

    return install


@pytest.mark.parametrize("command", COMMANDS)
def test_the_presets_of_every_task_of_ours_can_be_set(command: str) -> None:
    ours = [entry.name for entry in find_tasks() if entry.distribution in ("rrr-countdown", "rrr-apigen")]
    assert "countdown" in ours
    for name in ours:
        if command == "demo":
            assert set(presets_of(TaskSettings(name=name), command)) == {"mine", "train", "eval"}
        else:
            presets_of(TaskSettings(name=name), command)


def test_presets_come_by_section_as_their_settings_take_them(suggest: Any) -> None:
    task = suggest({"demo": {"train": {"steps": 3, "kl": 1}}})
    assert presets_of(task, "demo") == {"train": {"steps": 3, "kl": 1.0}}
    assert presets_of(task, "warmup") == {}


def test_without_a_task_there_are_none() -> None:
    assert presets_of(TaskSettings(), "demo") == {}


def test_a_task_without_a_demo_says_so(suggest: Any) -> None:
    with pytest.raises(RrrError, match="'lamp' has no demo: .* Use `rrr run`"):
        presets_of(suggest({}), "demo")


def test_of_several_tasks_the_lists_are_joined_and_nothing_else_counts(suggest: Any, site: Any) -> None:
    suggest({"warmup": {"warmup": {"tags": ["<on>", "<off>"], "layers": 2}}})
    fan = {"rrr_fan": PLUGIN.replace("{}", repr({"warmup": {"warmup": {"tags": ["<fan>", "<on>"]}}}))}
    site.install("rrr-fan", "1.0", modules=fan, tasks={"fan": "rrr_fan"})
    assert presets_of(TaskSettings("lamp fan"), "warmup") == {"warmup": {"tags": ("<on>", "<off>", "<fan>")}}


def test_a_task_without_lists_of_its_own_adds_the_defaults_to_those_of_the_others(suggest: Any, site: Any) -> None:
    suggest({"warmup": {"warmup": {"tags": ["<on>"]}}})
    site.install("rrr-fan", "1.0", modules={"rrr_fan": PLUGIN}, tasks={"fan": "rrr_fan"})
    joined = presets_of(TaskSettings("fan lamp"), "warmup")
    assert joined == {"warmup": {"tags": ("<answer>", "</answer>", "<on>")}}


@pytest.mark.parametrize(
    ("presets", "complaint"),
    [
        ({"demo": {"trane": {}}}, "no section 'trane'. Did you mean 'train'?"),
        ({"demo": {"train": {"step": 3}}}, r"\[train\] has no setting 'step'. Did you mean 'steps'"),
        ({"demo": {"train": {"steps": "3"}}}, r"\[train\] steps: expected a whole number, not '3'"),
        ({"demo": {"train": {"steps": 0}}}, r"\[train\] steps: must be at least 1, not 0"),
        ({"demo": {"train": [1]}}, "the section 'train' is list, not a mapping"),
        ({"demo": [1]}, "rrr_presets.* gave a list, not a mapping"),
    ],
)
def test_a_wrong_preset_is_blamed_on_its_plugin(suggest: Any, presets: Any, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint) as caught:
        presets_of(suggest(presets), "demo")
    assert "rrr-lamp 1.0" in str(caught.value)
