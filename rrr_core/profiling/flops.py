"""Model FLOPs utilisation: the share of a device's peak that a model's own arithmetic took.

A network of N parameters does about 2·N floating-point operations for each token that it reads or writes, and 4·N more
for the gradient: 6·N·tokens for training, 2·N·tokens without a gradient. That over seconds × the device's peak is the
utilisation of PaLM (arXiv 2204.02311, appendix B). Its attention term (12·layers·heads·head size·length a token) is
left out, as in most reports of this figure, so long prompts look slightly worse here than they are. What gradient
checkpointing recomputes counts once.
"""

from __future__ import annotations

import re

PEAK_TERAFLOPS = {
    "A100": 312.0,
    "A10": 125.0,
    "A30": 165.0,
    "L4": 121.0,
    "L40S": 362.0,
    "H100 PCIE": 756.0,
    "H100 NVL": 835.0,
    "H100": 989.0,
    "GH200": 989.0,
    "H200 NVL": 835.0,
    "H200": 989.0,
    "B200": 2250.0,
    "RTX 3090": 71.0,
    "RTX 4090": 165.2,
    "RTX 5090": 209.5,
}
"""Device → dense bfloat16 peak with float32 sums, in 10¹² operations a second, at the boost clock.

From NVIDIA's data sheets, half of the figure "with sparsity" if only that is given; of the RTX cards from the
architecture papers (GA102, Ada, Blackwell). Plain H100 and H200 are the SXM boards."""


def peak_flops(device: str) -> float | None:
    """The dense bfloat16 peak of a device by its name, in operations a second; None if unknown.

    A part of a device (MIG) is unknown: its name does not give its share of the peak.

    >>> peak_flops("NVIDIA H100 80GB HBM3"), peak_flops("NVIDIA L40S"), peak_flops("cpu")
    (989000000000000.0, 362000000000000.0, None)
    """
    words = re.split(r"[^A-Z0-9]+", device.upper())
    if "MIG" in words:
        return None
    # "H100 PCIE" is tried before "H100": the most specific name wins.
    for known in sorted(PEAK_TERAFLOPS, key=lambda name: -len(name.split())):
        if all(word in words for word in known.split()) and not _is_laptop(words):
            return PEAK_TERAFLOPS[known] * 1e12
    return None


def _is_laptop(words: list[str]) -> bool:
    """Whether it is a laptop's GPU or a `D` variant: these share the name of a larger one."""
    return "LAPTOP" in words or "D" in words


def training_flops(parameters: int, trainable: int, trained: int, scored: int) -> float:
    """Operations of `trained` tokens forward and backward, and `scored` tokens forward alone.

    2·N forward, 2·N for the gradient that passes through, 2 for each parameter that gets one: 6·N where all are
    trained, and less under LoRA.

    >>> training_flops(10, 10, trained=1, scored=0), training_flops(10, 0, trained=0, scored=1)
    (60.0, 20.0)
    """
    return float((4 * parameters + 2 * trainable) * trained + 2 * parameters * scored)


def generation_flops(parameters: int, tokens: int) -> float:
    """Operations to read or write `tokens` tokens; tokens from a cache cost none."""
    return 2.0 * parameters * tokens


def utilisation(flops: float, seconds: float, peak: float | None) -> float | None:
    """Share of the peak, 0 to 1; None if the peak is unknown or no time passed."""
    return flops / seconds / peak if peak and seconds > 0 else None
