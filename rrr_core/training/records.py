"""What a training run records as it goes: a line of metrics per step, and a sample of its episodes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.episode import Episode
from rrr_core.profiling.profile import Profile
from rrr_core.progress import Advance
from rrr_core.runs.files import write_lines
from rrr_core.runs.layout import TrainFolder
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

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut_back(self, step: int) -> None:
        """Drop what was written after `step`, and a last line that a kill cut off."""
        kept = []
        if self.path.exists():
            with self.path.open(encoding="utf-8") as lines:
                whole = [line for line in lines if line.endswith("\n")]
            kept = [record for record in map(json.loads, whole) if record["step"] <= step]
        write_lines(self.path, kept)

    def write(self, records: Iterable[dict[str, Any]]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for record in records:
                file.write(json.dumps(record, ensure_ascii=True) + "\n")


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
        self.metrics = Journal(TrainFolder(folder).metrics)
        self.episodes = Journal(TrainFolder(folder).episodes)
        self.tokenizer, self.kept, self.advance = tokenizer, kept, advance
        self.laps = Laps(profile or Profile())
        self.note = ""
        self.say = say
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
        if not logs or "reward" not in logs or not self.writes:
            return
        self.metrics.write([{"step": state.global_step, **metrics_of(logs), **self.laps.metrics(state.global_step)}])
        self._warn(state.global_step, logs.get("reflections_cut_off", 0.0))
        if logs.get("retry_success_rate") is not None:
            self.note = f"retry success {logs['retry_success_rate']:.0%}"

    def _warn(self, step: int, cut_off: float) -> None:
        """Say once that many reflections are cut off: they get no retry, and cannot be rewarded."""
        if cut_off > CUT_OFF_SHARE and not self._warned:
            self._warned = True
            self.say(
                f"Step {step}: {cut_off:.0%} of the reflections met the token limit. They get no retry and cannot be"
                " rewarded: raise --max-reflection-tokens."
            )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.advance(1, self.note)

    def keep(
        self, step: int, episodes: Sequence[Episode], rewards: Sequence[float | None], advantages: Sequence[float]
    ) -> None:
        """Keep the first `kept` episodes: whole groups, since a group's episodes are adjacent."""
        if not self.writes:
            return
        self.episodes.write(
            as_kept(episode, step, reward, advantage, self.tokenizer).to_json()
            for episode, reward, advantage in list(zip(episodes, rewards, advantages, strict=True))[: self.kept]
        )


def as_kept(
    episode: Episode, step: int, reward: float | None, advantage: float, tokenizer: PreTrainedTokenizerBase
) -> Episode:
    """A training episode as the report shows it: trained tokens as texts, no ids."""
    segments = tuple(
        replace(
            segment,
            ids=(),
            logprobs=None,
            token_texts=tuple(tokenizer.decode([token]) for token in segment.ids) if segment.is_trained else None,
        )
        for segment in episode.segments
    )
    return replace(episode, segments=segments, step=step, reward=reward, advantage=round(advantage, 6))


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
