"""Writes `rrr_core/index/known.json`, the index of tasks that ships with the core: `python docs/make_known_tasks.py`.

It lists the tasks of this repository's plugins, with the badges in their folders `badges` (`rrr check --badge`). A task
of somebody else's comes in by its badge, in a folder: `python docs/make_known_tasks.py FOLDER`.
The plugins must be installed for their tasks' own summaries and error classes.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.index.badge import badge_from
from rrr_core.index.known import FORMAT, SHIPPED
from rrr_core.runs.files import read_json
from rrr_core.tasks import load_task

ROOT = Path(__file__).parents[1]


def described(task: str, summary: str) -> dict[str, Any]:
    """A task's summary and error classes; the distribution's summary if the task is not installed."""
    try:
        manifest = load_task(task).manifest()
    except RrrError:
        manifest = None
    if manifest is None:
        return {"summary": summary}
    return {"summary": manifest.summary, "categories": list(manifest.categories)}


def entries(folders: list[Path]) -> list[dict[str, Any]]:
    """One entry for each task, sorted by name."""
    badges = {}
    for folder in [*ROOT.glob("plugins/*/badges"), *folders]:
        for path in folder.glob("*.json"):
            value = read_json(path)
            badge = badge_from(value)
            if not badge.data and not badge.overlays:
                badges[badge.task, badge.package] = (badge, value)
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path in ROOT.glob("plugins/*/pyproject.toml"):
        project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
        for task in project.get("entry-points", {}).get("rrr.tasks", {}):
            about = described(task, project["description"])
            found[task, project["name"]] = {"task": task, "package": project["name"], **about}
    for key, (badge, value) in badges.items():
        entry = found.setdefault(key, {"task": badge.task, "package": badge.package, "summary": badge.summary})
        entry["badge"] = value
    return [found[key] for key in sorted(found)]


if __name__ == "__main__":
    made = entries([Path(each) for each in sys.argv[1:]])
    lines = ",\n".join(json.dumps(entry) for entry in made)
    Path(SHIPPED).write_text(f'{{"rrr_index": {FORMAT}, "tasks": [\n{lines}\n]}}\n', encoding="utf-8")
