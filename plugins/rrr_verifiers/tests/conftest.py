"""Task sets for verifiers, each with one thing of its own, written for these tests."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

HEAD = """
import verifiers.v1 as vf

class Data(vf.TaskData):
    answer: str = "yes"

"""
TAIL = """
class Planted(vf.Taskset[Task, {config}]):
    def load(self):
        return [Task(Data(prompt=f"Question {{n}}"), self.config.task) for n in range(8)]

__all__ = ["Planted"{more}]
"""
RIGHT = """
    @vf.reward
    async def right(self, trace) -> float:
        return float(trace.last_reply == self.data.answer)
"""


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a module with a task set of this body; gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def planted(name: str, body: str, config: str = "vf.TasksetConfig", exported: str = "") -> str:
        more = f', "{exported}"' if exported else ""
        (tmp_path / f"{name}.py").write_text(HEAD + body + TAIL.format(config=config, more=more), encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(name, None)
        return name

    return planted
