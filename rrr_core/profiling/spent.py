"""What a stage has spent: the seconds and tokens that `profile.json` keeps, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rrr_core.profiling.flops import generation_flops, peak_flops, training_flops, utilisation
from rrr_core.records import COUNT, NUMBER
from rrr_core.text import duration, shown

KINDS = {
    "generate": "generating",
    "judge": "judging",
    "forward_backward": "forward and backward",
    "optimiser": "optimiser",
    "sync": "weight sync",
    "save": "saving",
    "other": "waiting and other",
}
"""Kind of work → its name for people. `docs/run-folders.md` says what each one is."""
OTHER = "other"
TOKENS = ("prompt", "cached", "written", "trained", "scored")
"""Kinds of tokens: in prompts given to an engine; of these, found in its prefix cache; sampled; computed with a
gradient; computed without one."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The model and the device a stage ran on."""

    parameters: int
    trainable: int
    """Parameters that get a gradient; unused in a stage that trains nothing."""
    device: str
    """A GPU's name as its driver gives it, else `cpu` or the like."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage's calls have spent: the content of `profile.json`."""

    calls: int = 0
    """Calls that did any work; a call on a finished stage does not count."""
    wall_seconds: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Kind of work, except `other` → seconds."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """Kind of tokens → count; a kind that no engine reported is missing."""
    verdicts: int = 0
    machine: Machine | None = None
    """None if the model is not in this process, or calls ran on different machines."""
    elsewhere_seconds: float = 0.0
    """What other processes worked on the same shards meanwhile. `seconds` and the counts hold their work as well."""

    @property
    def process_seconds(self) -> float:
        """The time of all processes together, of which the kinds of work and `other` are parts."""
        return self.wall_seconds + self.elsewhere_seconds

    @property
    def other_seconds(self) -> float:
        return max(0.0, self.process_seconds - sum(self.seconds.values()))

    def plus(self, later: Spent) -> Spent:
        """Both together."""
        return Spent(
            calls=self.calls + later.calls,
            wall_seconds=self.wall_seconds + later.wall_seconds,
            seconds=summed(self.seconds, later.seconds),
            tokens=summed(self.tokens, later.tokens),
            verdicts=self.verdicts + later.verdicts,
            machine=later.machine if not self.calls or self.machine == later.machine else None,
            elsewhere_seconds=self.elsewhere_seconds + later.elsewhere_seconds,
        )

    def minus(self, before: Spent) -> Spent:
        """What was spent since `before`, in the same call."""
        return Spent(
            wall_seconds=self.wall_seconds - before.wall_seconds,
            seconds=summed(self.seconds, {kind: -value for kind, value in before.seconds.items()}),
            tokens=summed(self.tokens, {kind: -value for kind, value in before.tokens.items()}),
            verdicts=self.verdicts - before.verdicts,
        )

    def rates(self) -> dict[str, float | None]:
        """Sampled tokens a second of generating, and tokens a second through the forward pass in training."""
        return {
            "generate": _rate(self.tokens.get("written"), self.seconds.get("generate", 0.0)),
            "train": _rate(self._computed(), self.seconds.get("forward_backward", 0.0)),
        }

    def utilisation(self) -> dict[str, float | None]:
        """Model FLOPs utilisation of generating and of training, 0 to 1; None if unknown."""
        if self.machine is None:
            return {"generate": None, "train": None}
        size, peak, tokens = self.machine.parameters, peak_flops(self.machine.device), self.tokens
        read = tokens.get("prompt", 0) - tokens.get("cached", 0) + tokens.get("written", 0)
        reported = "prompt" in tokens and "written" in tokens
        trained = training_flops(size, self.machine.trainable, tokens.get("trained", 0), tokens.get("scored", 0))
        return {
            "generate": utilisation(generation_flops(size, read), self.seconds.get("generate", 0.0), peak)
            if reported
            else None,
            "train": utilisation(trained, self.seconds.get("forward_backward", 0.0), peak) if trained else None,
        }

    def cache_hit_rate(self) -> float | None:
        """Share of prompt tokens found in an engine's prefix cache; None if it does not report them."""
        prompt, cached = self.tokens.get("prompt"), self.tokens.get("cached")
        return cached / prompt if prompt and cached is not None else None

    def describe(self) -> str:
        """The wall time, and the shares of what all processes did in it, the largest first.

        The wall time alone if nothing was measured.

        >>> Spent(1, 130.0, {"generate": 80.0, "forward_backward": 45.0, "sync": 0.1}).describe()
        '2 min 10 s: 62% generating, 35% forward and backward, 4% waiting and other'
        """
        seconds = {**self.seconds, OTHER: self.other_seconds}
        shares = sorted(((seconds[kind] / (self.process_seconds or 1), KINDS[kind]) for kind in seconds), reverse=True)
        largest = ", ".join(f"{share:.0%} {name}" for share, name in shares if share >= 0.005)
        return f"{duration(self.wall_seconds)}: {largest}" if self.seconds else duration(self.wall_seconds)

    def to_json(self) -> dict[str, Any]:
        machine = self.machine
        seconds = {kind: self.seconds.get(kind, 0.0) for kind in KINDS if kind != OTHER}
        return {
            "calls": self.calls,
            "wall_seconds": round(self.wall_seconds, 6),
            **({"elsewhere_seconds": round(self.elsewhere_seconds, 6)} if self.elsewhere_seconds else {}),
            "seconds": {kind: round(value, 6) for kind, value in {**seconds, OTHER: self.other_seconds}.items()},
            "tokens": {kind: self.tokens.get(kind) for kind in TOKENS},
            "verdicts": self.verdicts,
            "cache_hit_rate": _rounded(self.cache_hit_rate()),
            "tokens_per_second": {what: _rounded(value) for what, value in self.rates().items()},
            "flops_utilisation": {what: _rounded(value) for what, value in self.utilisation().items()},
            "parameters": machine and machine.parameters,
            "trainable": machine and machine.trainable,
            "device": machine and machine.device,
            "peak_flops": machine and peak_flops(machine.device),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Spent:
        """What `to_json` gave. Raises KeyError, TypeError, ValueError or AttributeError for anything but a profile."""
        machine = None
        if record["parameters"] is not None:
            machine = Machine(_count(record["parameters"]), _count(record["trainable"]), str(record["device"]))
        return cls(
            calls=_count(record["calls"]),
            wall_seconds=_number(record["wall_seconds"]),
            seconds={kind: _number(record["seconds"][kind]) for kind in KINDS if kind != OTHER},
            tokens={kind: _count(value) for kind in TOKENS if (value := record["tokens"][kind]) is not None},
            verdicts=_count(record["verdicts"]),
            machine=machine,
            elsewhere_seconds=_number(record.get("elsewhere_seconds", 0.0)),
        )

    def _computed(self) -> int | None:
        found = [self.tokens[kind] for kind in ("trained", "scored") if kind in self.tokens]
        return sum(found) if found else None


def summed(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in [*one, *(key for key in other if key not in one)]}


def _number(value: Any) -> float:
    if not NUMBER.holds(value) or value < 0:
        raise ValueError(f"not a number from 0: {shown(value)}")
    return float(value)


def _count(value: Any) -> int:
    if not COUNT.holds(value):
        raise ValueError(f"not a whole number from 0: {shown(value)}")
    return int(value)


def _rate(count: int | None, seconds: float) -> float | None:
    return count / seconds if count is not None and seconds > 0 else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
