"""Updating a plugin to the newest version of its template; the author's edits stay."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rrr_core import __version__
from rrr_core.errors import RrrError
from rrr_core.scaffolding.template import (
    ANSWERS_FILE,
    SOURCE,
    TEMPLATE,
    copier,
    git,
    make_repository,
    require_copier,
    versions,
)


@dataclass(frozen=True, slots=True)
class Update:
    """What an update did; nothing if `before` equals `after`."""

    before: str
    """The template version the plugin was at, such as `v1`."""
    after: str
    changed: tuple[str, ...] = ()
    """The files changed, added or removed in the plugin's repository."""
    conflicts: tuple[str, ...] = ()
    """The files in which the template and the author changed the same lines; both are in the file, marked."""


def update_plugin(folder: Path, template: Path = TEMPLATE) -> Update:
    """Merge the template's changes since the plugin's version into its working tree; commits nothing.

    Raises RrrError if the folder holds no plugin made from the template, one of a later version, or uncommitted work,
    so an update can always be reviewed and undone with git. A failed update is rolled back.
    """
    before = version_of(folder)
    known = versions(template)
    after = known[-1]
    if before not in known:
        raise RrrError(
            f"{folder} was written from template {before}, which rrr-core {__version__} does not have (it has "
            f"{', '.join(known)}): install a newer rrr-core."
        )
    if before == after:
        return Update(before, after)
    check_committed(folder)
    with tempfile.TemporaryDirectory(prefix="rrr-new-") as scratch:
        # copier looks the template up under its name in the answers file, relative to the folder where it runs.
        make_repository(template, Path(scratch) / SOURCE)
        try:
            copier(["update", "--quiet", "--defaults", "--conflict", "inline", str(folder.resolve())], Path(scratch))
        except BaseException:
            # Everything was committed, so untracked files here are copier's.
            git(folder, "reset", "--quiet", "--", ".")
            git(folder, "checkout", "--quiet", "--", ".")
            git(folder, "clean", "--quiet", "-d", "--force", "--", ".")
            raise
    status = git(folder, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".")
    changed = status.rstrip("\0").split("\0")
    return Update(
        before,
        after,
        changed=tuple(line[3:] for line in changed),
        conflicts=tuple(line[3:] for line in changed if "U" in line[:2] or line[:2] in ("AA", "DD")),
    )


def version_of(folder: Path) -> str:
    """The template version a plugin is at, from its answers file."""
    path = folder / ANSWERS_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RrrError(
            f"{folder} has no {ANSWERS_FILE}, so it was not written by `rrr new`: name the folder of a plugin that was."
        ) from None
    # Parsed as copier does, so copier cannot be pointed to another template than the one checked here.
    require_copier()
    import yaml  # type: ignore[import-untyped]

    try:
        answers = yaml.safe_load(text)
    except yaml.YAMLError:
        answers = None
    version = answers.get("_commit") if isinstance(answers, dict) and answers.get("_src_path") == SOURCE else None
    if not isinstance(version, str):
        raise RrrError(
            f"{path} does not say which version of {SOURCE} the plugin is at: restore it as `rrr new` wrote it."
        )
    return version


def check_committed(folder: Path) -> None:
    """Raise RrrError unless the folder is in a git repository and everything in it is committed."""
    try:
        git(folder, "rev-parse", "--show-toplevel")
    except RrrError as error:
        if "git rev-parse" not in str(error):
            raise
        raise RrrError(
            f"{folder} is not in a git repository, so an update could not be undone: git init, git add and git commit "
            "first."
        ) from None
    if git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".").strip():
        raise RrrError(f"{folder} holds work that is not committed: git commit it first, so the update can be undone.")
