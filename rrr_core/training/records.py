"""What a training run records as it goes: a line of metrics per step, and a sample of its episodes."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.episode import Episode
from rrr_core.evaluation.controls import read_evaluated
from rrr_core.profiling.profile import Profile
from rrr_core.progress import Advance
from rrr_core.records import COUNT, Record
from rrr_core.runs.files import explained, open_own, read_numbered_lines, write_lines
from rrr_core.runs.layout import TrainFolder
from rrr_core.runs.metrics import read_metrics
from rrr_core.training.profiling import Laps

RENAMED = {
    "completions/mean_length": "trained_tokens",
    "step_time": "step_seconds",
}
"""TRL's metric names → ours."""
DROPPED = ("rewards/", "completions/", "clip_ratio/", "frac_reward_zero_std")
"""Prefixes of TRL's redundant metrics."""


class Journal:
    """A file of JSON lines, one or more per step, which a resumed run cuts back to its checkpoint."""

    def __init__(self, path: Path, check: Callable[[Any, str], object]) -> None:
        """`check` reads a line given with its place, and raises DataError for one that is damaged."""
        self.path, self._check = path, check
        self._size, self._digest = 0, hashlib.sha256()

    def cut_back(self, step: int) -> None:
        """Drop what was written after `step`, and a last line that a kill cut off. Raises DataError naming a line."""
        write_lines(self.path, self._until(step))
        content = self.path.read_bytes()
        self._size, self._digest = len(content), hashlib.sha256(content)

    def _until(self, step: int) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for number, record in read_numbered_lines(self.path, may_end_early=True):
            place = f"{self.path}:{number}"
            self._check(record, place)
            if Record(record, place, "a line").get("step", COUNT) <= step:
                yield record

    def write(self, records: Iterable[dict[str, Any]]) -> None:
        lines = "".join(json.dumps(record, ensure_ascii=True, allow_nan=False) + "\n" for record in records).encode()
        with explained(self.path), open(open_own(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
            file.write(lines)
        self._size += len(lines)
        self._digest.update(lines)

    def digest(self) -> tuple[int, str]:
        """The bytes that this process cut back to or wrote, and their SHA-256."""
        return self._size, self._digest.hexdigest()


class Recorder(TrainerCallback):  # type: ignore[misc]
    """Writes `metrics.jsonl` and `episodes.jsonl` in the training folder, and advances the progress bar."""

    def __init__(
        self,
        folder: Path,
        tokenizer: PreTrainedTokenizerBase,
        kept: int,
        advance: Advance,
        writes: bool = True,
        profile: Profile | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.metrics = Journal(TrainFolder(folder).metrics, read_metrics)
        self.episodes = Journal(TrainFolder(folder).episodes, read_evaluated)
        self.tokenizer, self.kept, self.advance = tokenizer, kept, advance
        self.laps = Laps(profile or Profile())
        self.say = say
        self.note = ""
        self._warned = False
        self.writes = writes
        """False in all but one process of a distributed run."""

    def cut_back(self, step: int) -> None:
        """Drop what an earlier call wrote after `step`, from which this one resumes."""
        self.laps.step = step
        if not self.writes:
            return
        self.metrics.cut_back(step)
        self.episodes.cut_back(step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        # Each step has a loss, and only one that samples new texts has rewards; the last line of all has neither.
        if not logs or "loss" not in logs or not self.writes:
            return
        self.metrics.write([{"step": state.global_step, **metrics_of(logs), **self.laps.metrics(state.global_step)}])
        self._warn(state.global_step, logs.get("reflections_cut_off", 0.0))
        # The trainer logs a step after it has ended, so this is where the step's own figures are known.
        rates = {"retry": logs.get("retry_success_rate"), "first-try": logs.get("first_try_success_rate")}
        said = ", ".join(f"{what} success {rate:.0%}" for what, rate in rates.items() if rate is not None)
        self.note = said or self.note
        self.advance(1, self.note)

    def _warn(self, step: int, cut_off: float) -> None:
        """Say once that many reflections are cut off: they get no retry, and cannot be rewarded."""
        if cut_off > CUT_OFF_SHARE and not self._warned:
            self._warned = True
            self.say(
                f"Step {step}: {cut_off:.0%} of the reflections met the token limit. They get no retry and cannot be"
                " rewarded: raise --max-reflection-tokens."
            )

    def keep(
        self,
        step: int,
        episodes: Sequence[Episode],
        rewards: Sequence[float | None],
        advantages: Sequence[float | None],
    ) -> None:
        """Keep the first `kept` episodes: whole groups, since a group's episodes are adjacent."""
        if not self.writes:
            return
        self.episodes.write(
            as_kept(episode, step, reward, advantage, self.tokenizer).to_json()
            for episode, reward, advantage in list(zip(episodes, rewards, advantages, strict=True))[: self.kept]
        )


def as_kept(
    episode: Episode, step: int, reward: float | None, advantage: float | None, tokenizer: PreTrainedTokenizerBase
) -> Episode:
    """A training episode as the report shows it: trained tokens as texts, no ids.

    `advantage` is None if the episode's segments have their own.
    """
    segments = tuple(
        replace(
            segment,
            ids=(),
            logprobs=None,
            token_texts=tuple(tokenizer.decode([token]) for token in segment.ids) if segment.is_trained else None,
            advantage=_rounded(segment.advantage),
        )
        for segment in episode.segments
    )
    return replace(episode, segments=segments, step=step, reward=reward, advantage=_rounded(advantage))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def metrics_of(logs: dict[str, Any]) -> dict[str, float]:
    """The numbers of one log line under our names, in a fixed order.

    >>> metrics_of({"reward": 0.5, "step_time": 2.0, "epoch": 1, "rewards/x/mean": 0.5})
    {'reward': 0.5, 'step_seconds': 2.0}
    """
    numbers = {
        RENAMED.get(name, name): float(value)
        for name, value in logs.items()
        if isinstance(value, (int, float)) and (name in RENAMED or not name.startswith(DROPPED)) and name != "epoch"
    }
    return {name: value for name, value in numbers.items() if math.isfinite(value)}
