"""Seconds of work: speeds that were measured, or follow from an accelerator's data sheet."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from rrr_core.planning.shape import Shape
from rrr_core.planning.work import Work
from rrr_core.profiling.flops import generation_flops, peak_flops, training_flops

BANDWIDTH = {
    "A100": 2.0,
    "A100 40GB": 1.56,
    "A10": 0.6,
    "A30": 0.93,
    "L4": 0.3,
    "L40S": 0.86,
    "H100 PCIE": 2.0,
    "H100 NVL": 3.9,
    "H100": 3.35,
    "GH200": 4.0,
    "H200 NVL": 4.8,
    "H200": 4.8,
    "B200": 8.0,
    "RTX 3090": 0.94,
    "RTX 4090": 1.01,
    "RTX 5090": 1.79,
}
"""Device → memory bandwidth in 10¹² bytes a second, from the sheets that `rrr_core.profiling.flops` is from."""

MEMORY = {
    "A100": 80,
    "A100 40GB": 40,
    "A10": 24,
    "A30": 24,
    "L4": 24,
    "L40S": 48,
    "H100 PCIE": 80,
    "H100 NVL": 94,
    "H100": 80,
    "GH200": 96,
    "H200 NVL": 141,
    "H200": 141,
    "B200": 180,
    "RTX 3090": 24,
    "RTX 4090": 24,
    "RTX 5090": 32,
}
"""Device → gigabytes (10⁹ bytes) of memory."""

PEAK_SHARE, BANDWIDTH_SHARE = 0.35, 0.5
"""What a pass in torch reaches of a device's peak, and decoding of its bandwidth. Assumed."""
SECONDS_PER_LAYER = 6e-4
"""Of a decoding step or a forward pass on an accelerator, for the layer's kernels to be started. Assumed."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Seconds of each kind of work. Those that are 0 are not known, and taken to cost nothing."""

    prefilled: float
    """Per prompt token."""
    step: float
    """Per decoding step, however many rows."""
    written: float
    """Per token written, besides its step."""
    trained: float
    """Per token with a gradient."""
    scored: float
    passing: float = 0.0
    """Per pass, however few tokens."""
    update: float = 0.0
    """Per optimiser step."""
    verdict: float = 0.0
    save: float = 0.0
    """Per checkpoint."""
    batch: float = 0.0
    """Per batch generated, besides its steps."""
    start: float = 0.0
    """Per stage: loading the model, starting the trainer and the judge's processes."""
    source: str = ""
    """Where they come from, for people."""

    def seconds(self, work: Work) -> float:
        """Of a stage's work."""
        return (
            self.start
            + work.prefilled * self.prefilled
            + work.steps * self.step
            + work.written * self.written
            + work.batches * self.batch
            + self.of_passes(work)
            + work.verdicts * self.verdict
            + work.saves * self.save
        )

    def of_passes(self, work: Work) -> float:
        """Of training's passes and updates, without what is sampled for them."""
        return (
            work.trained * self.trained
            + work.scored * self.scored
            + work.passes * self.passing
            + work.updates * self.update
        )

    def times(self, factor: float) -> Speeds:
        """All seconds times a factor."""
        numbers = [each.name for each in fields(self) if each.name != "source"]
        return replace(self, **{name: getattr(self, name) * factor for name in numbers})


def device_named(name: str, table: dict[str, float] | dict[str, int]) -> str | None:
    """The entry of a table for a device's name; None if it is unknown."""
    if peak_flops(name) is None:
        return None
    words = name.upper().replace("-", " ").split()
    known = [entry for entry in table if all(word in words for word in entry.split())]
    return max(known, key=lambda entry: len(entry.split()), default=None)


def of_device(
    name: str, shape: Shape, trainable: int, stored_bytes: int, trained_bytes: int, checkpointed: bool
) -> Speeds | None:
    """Speeds that a device's data sheet lets expect; None for an unknown device."""
    peak, entry = peak_flops(name), device_named(name, BANDWIDTH)
    if peak is None or entry is None:
        return None
    bandwidth = BANDWIDTH[entry] * 1e12 * BANDWIDTH_SHARE
    usable, active = peak * PEAK_SHARE, shape.active_parameters
    trained = training_flops(active, min(trainable, active), trained=1, scored=0)
    if checkpointed:
        trained += generation_flops(active, 1)
    keys = 2 * shape.layers * shape.cached * stored_bytes * 512  # of a text of middling length, read at each step
    return Speeds(
        prefilled=generation_flops(active, 1) / usable,
        step=shape.parameters * stored_bytes / bandwidth + shape.layers * SECONDS_PER_LAYER,
        written=generation_flops(active, 1) / usable + keys / bandwidth,
        trained=trained / usable,
        scored=generation_flops(active, 1) / usable,
        passing=2 * shape.layers * SECONDS_PER_LAYER,  # thrice there and back, once there alone
        update=trainable * trained_bytes * 7 / bandwidth,
        start=30.0,
        source=f"data sheet of {entry}, at {PEAK_SHARE:.0%} of its peak and {BANDWIDTH_SHARE:.0%} of its bandwidth"
        " (assumed)",
    )
