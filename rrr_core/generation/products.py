"""Matrix products on a CPU by oneDNN, where they are faster than torch's own.

In float32 on an AMD processor of the Zen 5 generation or later: torch 2.13 leaves them to MKL, which uses no AVX-512
on a processor that is not Intel's. Products of a language model's shapes reach some 105 GFLOP/s on a Zen 5 core that
way, and 230 by oneDNN, which torch brings along. Zen 4 has AVX-512, too, but computes it in halves: there oneDNN is
level, and slower at few rows. Products keep float32's precision either way; bfloat16 goes through oneDNN anyway.

With a weight that is packed beforehand (`rrr_core.generation.packed_weights`) on any AMD processor, and in bfloat16 on
any that multiplies it: a call with few rows takes as long to pack the weight as to multiply with it.
"""

from __future__ import annotations

import functools
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

FORMS = (256, 192, 128, 96, 64, 48, 32, 24, 16, 8)
"""Rows of a product. oneDNN compiles code for every form of a product, which takes a millisecond and a megabyte, and
keeps it: texts of all lengths would need hundreds. So rows are taken 256 at a time, and the rest is filled up with
zeros to the next form. A text that is decoded has one row: fewer than 64 are the rule, not the exception."""

CHUNKS = (256, 64)
"""The same where rows are summed over; the rest stays with MKL."""

WIDE = 26
"""AMD's family of Zen 5, the first that computes 512 bits at once. The rule is the processor's name, not a measurement,
since a resumed run must compute the same bits."""

FEWEST_PACKED = 1 << 18
"""Numbers of the smallest weight that is packed: caches hold smaller ones, and torch is as fast with those. With more
rows than the largest form has, packing is a small part of any product."""

PACKED_FOR = 32
"""Rows that a weight is packed for. The layout is as good for any other number but one, whose own is slow for many."""

LEAST = 1 << 20
"""Multiplications of the smallest product that oneDNN is faster at: a call costs 10 µs more than MKL's."""


@functools.cache
def is_faster() -> bool:
    """Whether oneDNN's products in float32 are faster than torch's own here, with any weight."""
    has_avx512 = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return has_avx512 and torch.backends.mkldnn.is_available() and amd_family() >= WIDE


@functools.cache
def packed_types() -> frozenset[torch.dtype]:
    """The types of weights that are packed here. On Intel's processors it is not known whether float32's would gain."""
    is_known = sys.platform == "linux" and platform.machine() == "x86_64"
    if not is_known or not torch.backends.mkldnn.is_available():
        return frozenset()
    narrow = {torch.bfloat16} if torch.ops.mkldnn._is_mkldnn_bf16_supported() else set()
    return frozenset(narrow | ({torch.float32} if amd_family() else set()))


def packing_pays(weight: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether products of few rows with this weight, in this type, are faster here if it is packed."""
    return dtype in packed_types() and weight.numel() >= FEWEST_PACKED


def amd_family() -> int:
    """AMD's number of the family that this processor is of; 0 if it is not AMD's, or not known."""
    try:
        about = Path("/proc/cpuinfo").read_text()
    except OSError:
        return 0
    family = re.search(r"^cpu family\s*: (\d+)$", about, re.MULTILINE)
    return int(family[1]) if family is not None and "AuthenticAMD" in about else 0


@contextmanager
def float32_by_bfloat16() -> Iterator[None]:
    """Compute products of float32 from their operands rounded to bfloat16, with sums in float32, by Intel's AMX.

    It does nothing on processors without. It holds for the whole process: no other thread may compute meanwhile.
    """
    if not torch.cpu._is_amx_tile_supported() or not torch.backends.mkldnn.is_available():
        yield
        return
    matmul = torch.backends.mkldnn.matmul
    own, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = own


def product(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`rows @ weight.T`, (N, O), of rows (N, I) and a weight (O, I). It has no gradient: `Product` has."""
    if is_faster() and _is_ours(rows, weight):
        return _by_onednn(rows, weight, None)
    return rows @ weight.t()


def product_of_form(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`rows @ weight.T`, (N, O), of rows (N, I) and a weight (O, I), for sizes of which there are few. No gradient."""
    return _compiled(rows, weight, None) if is_faster() else rows @ weight.t()


def product_of_columns(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """`left.T @ right`, (O, I), of N rows (N, O) and (N, I): a weight's gradient. It has none itself."""
    if not is_faster() or not _is_ours(left, right.t()):
        return left.t() @ right
    total = left.new_zeros(left.shape[1], right.shape[1])
    for start, end in _chunks(len(left)):
        if end - start in CHUNKS:
            total += _compiled(left[start:end].t(), right[start:end].t(), None)
        else:
            total.addmm_(left[start:end].t(), right[start:end])
    return total


class Packer(Protocol):
    """Who has layers' weights packed."""

    def packed(self, layer: FastLinear, dtype: torch.dtype) -> torch.Tensor | None:
        """The layer's weight in this type as `pack` lays it out; None if it stays as it is."""


def use_fast_products(network: nn.Module) -> None:
    """Have a network's linear layers compute their products by oneDNN, where that is faster."""
    if is_faster() or packed_types():
        for module in network.modules():
            if type(module) is nn.Linear and is_wide(module):
                module.__class__ = FastLinear


def is_wide(layer: nn.Linear) -> bool:
    """Whether a linear layer's products may be oneDNN's. Adapters are narrow."""
    return bool(min(layer.weight.shape) >= CHUNKS[-1])


class FastLinear(nn.Linear):  # type: ignore[misc]  # torch is not typed
    """A linear layer whose products are oneDNN's where they are faster.

    With a packed weight those of few rows without a gradient; in float32 all, forward and backward.
    """

    packer: Packer | None = None
    """Who has its weight packed, while texts are written."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        packer, is_narrowed = self.packer, torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if is_narrowed else input.dtype
        if packer is not None and self._may_be_packed(input, dtype):
            packed = packer.packed(self, dtype)
            if packed is not None:
                return _by_onednn(input.to(dtype), packed, None if self.bias is None else self.bias.to(dtype))
        if is_narrowed or not is_faster() or not _is_ours(input, self.weight):
            return super().forward(input)
        if not torch.is_grad_enabled():
            return _by_onednn(input, self.weight, self.bias)
        found: torch.Tensor = Product.apply(input, self.weight, self.bias)
        return found

    def _may_be_packed(self, input: torch.Tensor, dtype: torch.dtype) -> bool:
        is_plain = torch.is_autocast_enabled("cpu") or input.dtype is self.weight.dtype
        if torch.is_grad_enabled() or not is_plain or not _is_large(input, self.weight):
            return False
        is_for_any = dtype is torch.float32 and is_faster()
        return is_for_any or bool(input.numel() <= FORMS[0] * self.in_features)


class Product(torch.autograd.Function):  # type: ignore[misc]
    """`rows @ weight.T + bias`, (..., O), of rows (..., I), a weight (O, I) and a bias (O,) or None."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(rows, weight)
        return _by_onednn(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        needs_rows, needs_weight, needs_bias = ctx.needs_input_grad
        flat = _in_rows(gradient)
        return (
            product(flat, weight.t()).view(rows.shape) if needs_rows else None,
            product_of_columns(flat, _in_rows(rows)) if needs_weight else None,
            flat.sum(0) if needs_bias else None,
        )


def pack(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor | None:
    """A weight (O, I) in this type and the layout in which oneDNN multiplies with it.

    None if that does not pay, or it is sharded.
    """
    if weight.device.type != "cpu" or not _is_plain(weight) or not packing_pays(weight, dtype):
        return None
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype), PACKED_FOR)
    return packed


def _is_ours(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    is_float32 = rows.dtype is weight.dtype is torch.float32 and rows.device.type == "cpu"
    return is_float32 and _is_plain(weight) and _is_large(rows, weight)


def _is_plain(weight: torch.Tensor) -> bool:
    """Whether the weight is here as a whole, not sharded."""
    return type(weight) in (torch.Tensor, nn.Parameter) and not hasattr(weight, "ds_id")


def _is_large(rows: torch.Tensor, weight: torch.Tensor) -> bool:
    return bool(rows.numel() * len(weight) >= LEAST)


def _by_onednn(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    flat, width = _in_rows(rows), weight.shape[0]
    count = len(flat)
    if count <= FORMS[0]:
        return _filled_up(flat, weight, bias).view(*rows.shape[:-1], width)
    found = flat.new_empty(count, width)
    for start in range(0, count, FORMS[0]):
        found[start : start + FORMS[0]] = _filled_up(flat[start : start + FORMS[0]], weight, bias)
    return found.view(*rows.shape[:-1], width)


def _in_rows(rows: torch.Tensor) -> torch.Tensor:
    """A tensor (..., I) as (N, I)."""
    return rows.reshape(-1, rows.shape[-1])


def _filled_up(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The product of at most as many rows as the largest form has, computed in the smallest form that holds them."""
    count = len(rows)
    form = min(form for form in FORMS if form >= count)
    if form > count:
        rows = nn.functional.pad(rows, (0, 0, 0, form - count))
    return _compiled(rows, weight, bias)[:count]


def _chunks(rows: int) -> Iterator[tuple[int, int]]:
    """Ranges of so many rows, as long as `CHUNKS`; the last may be shorter.

    >>> list(_chunks(400))
    [(0, 256), (256, 320), (320, 384), (384, 400)]
    """
    start = 0
    for size in CHUNKS:
        while rows - start >= size:
            yield start, start + size
            start += size
    if start < rows:
        yield start, rows


def _compiled(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    found: torch.Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
    return found
