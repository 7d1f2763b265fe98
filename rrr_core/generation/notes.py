"""What an engine finds out while it writes, such as fields that a server refuses: said once, and kept in a manifest."""

from __future__ import annotations

from pathlib import Path

from rrr_core.generation.engine import Engine
from rrr_core.progress import Progress
from rrr_core.runs.stage import note_in_manifest


class EngineNotes:
    """An engine's notices and findings during one stage."""

    def __init__(self, engine: Engine, folder: Path, progress: Progress) -> None:
        """A notice that the engine has already was said when it was opened."""
        self.engine, self.folder, self.progress = engine, folder, progress
        self._said = engine.notice

    def update(self) -> None:
        """Say a notice that is new, and record what was found."""
        if (notice := self.engine.notice) and notice != self._said:
            self.progress.notice(notice)
            self._said = notice
        if found := dict(self.engine.findings):
            note_in_manifest(self.folder, "engine", found)
