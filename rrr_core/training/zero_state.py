"""The optimiser state of DeepSpeed's ZeRO as whole tensors, and back.

DeepSpeed's own checkpoints are pickles, which rrr does not load, and are tied to the number of processes. Its
optimisers keep flat tensors: a process's part of each group of parameters (ZeRO 2), or its part of each parameter, one
after the other (ZeRO 3). All processes have to call these functions together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

State = Mapping[str, Any]
"""Of one parameter: `exp_avg` and its kin by name, as whole tensors; and what has no elements, such as `step`."""


def whole_states(zero: Any, stage: int) -> Iterator[tuple[torch.Tensor, State]]:
    """Each parameter of a DeepSpeed optimiser with its whole state; nothing before its first step."""
    for part, pieces, group in _parts(zero, stage):
        values = zero.optimizer.state.get(part, {})
        flats = {name: value for name, value in values.items() if _is_of(value, part)}
        rest = {name: value for name, value in values.items() if name not in flats}
        if not values:
            continue
        if stage == 2:
            flats = {name: _gathered(value, group) for name, value in flats.items()}
        for weight, start, size in pieces:
            yield (
                weight,
                {
                    **rest,
                    **{name: _whole(flat.narrow(0, start, size), weight, stage, group) for name, flat in flats.items()},
                },
            )


def take_states(zero: Any, stage: int, state_of: Callable[[torch.Tensor], State | None]) -> None:
    """Give a DeepSpeed optimiser each parameter's whole state, if it has one."""
    for part, pieces, group in _parts(zero, stage):
        states = [(weight, start, size, state_of(weight)) for weight, start, size in pieces]
        known = [state for *_, state in states if state is not None]
        if not known:
            continue
        rank, count = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)
        taken: dict[str, Any] = {}
        for name, example in known[0].items():
            if not isinstance(example, torch.Tensor) or example.dim() == 0:
                taken[name] = example
                continue
            flat = part.detach().new_zeros(len(part) * (count if stage == 2 else 1))
            for _, start, size, state in states:
                if state is not None:
                    whole = state[name].to(flat.device, flat.dtype).flatten()
                    if stage == 3:  # padded to parts of equal size, of which one is this process's
                        whole = torch.cat([whole, whole.new_zeros(size * count - len(whole))])[rank * size :][:size]
                    flat[start : start + size] = whole
            taken[name] = flat.narrow(0, rank * len(part), len(part)).clone() if stage == 2 else flat
        zero.optimizer.state[part] = taken


def _parts(zero: Any, stage: int) -> Iterator[tuple[torch.Tensor, list[tuple[torch.Tensor, int, int]], Any]]:
    """Each flat tensor here; the parameters in it, or in the flat group that it is part of, each with its place."""
    if stage == 2:
        for number, part in enumerate(zero.single_partition_of_fp32_groups):
            weights, starts = zero.round_robin_bit16_groups[number], zero.round_robin_bit16_offsets[number]
            pieces = [(weight, start, weight.numel()) for weight, start in zip(weights, starts, strict=True)]
            yield part, pieces, zero.real_dp_process_group[number]
        return
    for weights, part in zip(zero.fp16_groups, zero.fp32_partitioned_groups_flat, strict=True):
        start, pieces = 0, []
        for weight in weights:
            pieces.append((weight, start, weight.partition_numel()))
            start += weight.partition_numel()
        yield part, pieces, zero.dp_process_group


def _is_of(value: Any, part: torch.Tensor) -> bool:
    return isinstance(value, torch.Tensor) and value.shape == part.shape


def _gathered(value: torch.Tensor, group: Any) -> torch.Tensor:
    parts = [torch.empty_like(value) for _ in range(torch.distributed.get_world_size(group))]
    torch.distributed.all_gather(parts, value.contiguous(), group=group)
    return torch.cat(parts)


def _whole(piece: torch.Tensor, weight: Any, stage: int, group: Any) -> torch.Tensor:
    if stage == 2:
        return piece.view(weight.shape)
    return _gathered(piece, group)[: weight.ds_numel].view(weight.ds_shape)
