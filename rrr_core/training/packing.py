"""One forward pass in which a group's prompt is computed once, and its completions on top of it.

The G reflections on one failure share a prompt that is often ten times as long as they are, and a padded batch computes
it G times, forward and backward. Here all tokens form one row without padding: first each distinct prompt, then each
completion, which begins with the last token of its prompt, since that token predicts the first one written:

    prompt A · prompt B · A₁ · A₂ · A₃ · B₁ · B₂ · B₃

Whatever treats tokens one by one (norms, projections, rotary positions, experts) needs no change. Only attention does:
a prompt attends to itself, and a completion to its prompt and itself. The language model's head is computed on the
completions alone. G completions of R tokens on a prompt of P cost P + G·R tokens instead of G·(P + R); loss and
gradient are the same up to the order of floating-point sums. The pass is a single call of the model, so gradient
checkpointing, LoRA, autocast and data-parallel wrappers work as they do on a padded batch.

`rrr_core.training` lists the letters of shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional

from rrr_core.training.blockwise import Blockwise, Span, as_autocast, pays
from rrr_core.training.split_attention import Part, SplitAttention, parts_of, splitting_pays

IGNORED = -100
"""The label of a token that is not scored, as in transformers."""


class Packing:
    """A padded batch laid out as one row of N tokens without padding, each distinct prompt in it once.

    The model takes it as the argument `shared_prompt`, which transformers passes down to the attention function of
    every layer. Not a dataclass, so that data-parallel wrappers leave it intact.
    """

    def __init__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> None:
        """From TRL's batch: ids and mask (B, P + R), prompts padded on the left, completions on the right.

        `completion_width` is R. Only adjacent rows share a prompt.
        """
        self.device = input_ids.device
        edge = input_ids.shape[1] - completion_width
        real = attention_mask.bool()
        same = (input_ids[1:, :edge] == input_ids[:-1, :edge]) & (real[1:, :edge] == real[:-1, :edge])
        is_first = torch.cat([real.new_ones(1), ~same.all(1)])  # (B,)
        self.owners = is_first.cumsum(0) - 1  # (B,), each completion's prompt
        before = real[is_first, : edge - 1]  # (D, P - 1): a prompt's last token is its completions' first
        # A completion without tokens (masked out as a whole) stays as one token that is not scored.
        self.written = real[:, edge:].clone()  # (B, R)
        self.written[:, 0] = True
        labels = input_ids[:, edge:].masked_fill(~real[:, edge:], IGNORED)
        self.prompt_lengths, self.completion_lengths = before.sum(1), self.written.sum(1)
        self.prompt_tokens = int(self.prompt_lengths.sum())
        self.prompt_places = _places(self.prompt_lengths, 0)  # (D, P - 1), P the longest prompt here
        self.completion_places = _places(self.completion_lengths, self.prompt_tokens)  # (B, R), R the longest here
        self.ids = torch.cat([input_ids[is_first, : edge - 1][before], input_ids[:, edge - 1 : -1][self.written]])[None]
        self.labels = labels[self.written][None]  # (1, completions' part of N)
        starts = self.prompt_lengths[self.owners, None]  # (B, 1)
        width = self.completion_places.shape[1]
        self.completion_positions = starts + torch.arange(width, device=self.device)  # (B, R)
        prompt_positions = torch.arange(self.prompt_places.shape[1], device=self.device).expand_as(self.prompt_places)
        self.positions = torch.cat(
            [prompt_positions[self._prompt_is_real()], self.completion_positions[self._completion_is_real()]]
        )[None]
        self._is_padded = bool(
            (self.prompt_lengths != self.prompt_lengths[0]).any() | (self.completion_lengths != width).any()
        )
        self._unpacking = self._unpacking_order()
        self._masks: dict[tuple[int | None, int], torch.Tensor] = {}
        self.layers = 0
        """Attention layers computed with this packing: the proof that the model used it."""

    @property
    def tokens(self) -> int:
        """N, the tokens the model computes."""
        return int(self.ids.shape[1])

    def padded(self, values: torch.Tensor) -> torch.Tensor:
        """Values of the completions' tokens (1, ...) in the batch's own layout (B, R), zero in its padding."""
        return values.new_zeros(self.written.shape).masked_scatter(self.written, values)

    def attend(
        self,
        attention: Callable[..., Any],
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        is_flash: bool,
        **arguments: Any,
    ) -> tuple[torch.Tensor, None]:
        """Attention's output (1, N, H, d) of query (1, H, N, d), key and value (1, K, N, d).

        `attention` is transformers' function for a FlashAttention kernel, called once for prompts and once for
        completions. Without one (`is_flash` false) torch's own attention computes both; on a CPU in parts, or ours by
        tiles, where that is faster.
        """
        self.layers += 1
        if not is_flash and self._is_plain(query, arguments):
            scale = arguments.get("scaling") or query.shape[-1] ** -0.5
            operands = (as_autocast(states) for states in (query, key, value))  # only where they are used
            if pays(query, key, self._spans):
                rows = (states[0].transpose(0, 1) for states in operands)
                return Blockwise.apply(*rows, self._spans, scale)[None], None
            if splitting_pays(query, value, self._parts):
                return SplitAttention.apply(*operands, self._parts, scale)[None], None
        compute = self._flash(attention, module, arguments) if is_flash else self._sdpa(arguments)
        outputs = []
        prompt_key, prompt_value = self._rows(key, self.prompt_places), self._rows(value, self.prompt_places)
        if self.prompt_places.shape[1]:
            outputs.append(compute(self._rows(query, self.prompt_places), prompt_key, prompt_value, False))
        own_key, own_value = self._rows(key, self.completion_places), self._rows(value, self.completion_places)
        outputs.append(
            compute(
                self._rows(query, self.completion_places),
                torch.cat([prompt_key.index_select(0, self.owners), own_key], dim=2),
                torch.cat([prompt_value.index_select(0, self.owners), own_value], dim=2),
                True,
            )
        )
        flat = torch.cat([output.flatten(0, 1) for output in outputs])  # (D·(P - 1) + B·R, H, d)
        return (flat if self._unpacking is None else flat.index_select(0, self._unpacking))[None], None

    def _is_plain(self, query: torch.Tensor, arguments: dict[str, Any]) -> bool:
        """Whether attention on a CPU is asked for nothing beyond a scale."""
        if query.device.type != "cpu" or _unknown(arguments) or arguments.get("dropout", 0.0):
            return False
        window = arguments.get("sliding_window")
        return window is None or window >= max(span.prompt_length + span.length for span in self._spans)

    @cached_property
    def _parts(self) -> tuple[Part, ...]:
        return parts_of(self._spans)

    @cached_property
    def _spans(self) -> tuple[Span, ...]:
        """The prompts and completions of the row."""
        prompts, found, start = [], [], 0
        for length in self.prompt_lengths.tolist():
            prompts.append(Span(start, length))
            start += length
        for owner, length in zip(self.owners.tolist(), self.completion_lengths.tolist(), strict=True):
            found.append(Span(start, length, prompts[owner].start, prompts[owner].length))
            start += length
        return tuple(span for span in (*prompts, *found) if span.length)

    def _rows(self, states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """States (1, H, N, d) as rows: (D, H, P - 1, d) or (B, H, R, d). Values in the padding do not matter."""
        if self._is_padded:
            return states[0].index_select(1, places.flatten()).unflatten(1, places.shape).transpose(0, 1)
        start = self.prompt_tokens if places is self.completion_places else 0
        return states[0].narrow(1, start, places.numel()).unflatten(1, places.shape).transpose(0, 1)

    def _unpacking_order(self) -> torch.Tensor | None:
        """The place (N,) of each token in the padded rows, prompts first, then completions; None if in order."""
        if not self._is_padded:
            return None
        real = torch.cat([self._prompt_is_real().flatten(), self._completion_is_real().flatten()])
        return real.nonzero()[:, 0]

    def _sdpa(self, arguments: dict[str, Any]) -> Callable[..., torch.Tensor]:
        if _unknown(arguments):
            raise ValueError(f"scaled_dot_product_attention has no {_unknown(arguments)[0]}")
        drop, scale = arguments.get("dropout", 0.0), arguments.get("scaling")
        window = arguments.get("sliding_window")

        def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, on_prompt: bool) -> torch.Tensor:
            """Output (B, Q, H, d) of query (B, H, Q, d), key and value (B, K, T, d); B is D for prompts."""
            repeats = query.shape[1] // key.shape[1]
            if not on_prompt and (window is None or window >= query.shape[2]):
                # Prompts are padded on the right, which no real token attends to, so they need no mask.
                output = functional.scaled_dot_product_attention(
                    query, key, value, dropout_p=drop, is_causal=True, scale=scale, enable_gqa=repeats > 1
                )
                return output.transpose(1, 2)
            # The H/K query heads of a key head become more queries: with a mask, kernels would copy the keys for each.
            folded = query.reshape(query.shape[0], key.shape[1], -1, query.shape[3])
            mask = self._mask(on_prompt, window, repeats)
            output = functional.scaled_dot_product_attention(
                folded, key, value, attn_mask=mask, dropout_p=drop, scale=scale
            )
            return output.reshape(query.shape[:3] + value.shape[3:]).transpose(1, 2)

        return compute

    def _flash(
        self, attention: Callable[..., Any], module: Any, arguments: dict[str, Any]
    ) -> Callable[..., torch.Tensor]:
        def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, on_prompt: bool) -> torch.Tensor:
            mask = None
            if on_prompt and self._is_padded:  # (B, T): selects a kernel for rows of uneven lengths
                mask = torch.cat([self._prompt_is_real()[self.owners], self._completion_is_real()], dim=1)
            output: torch.Tensor = attention(module, query, key, value, mask, **arguments)[0]
            return output

        return compute

    def _prompt_is_real(self) -> torch.Tensor:
        return _is_real(self.prompt_lengths, self.prompt_places.shape[1])

    def _completion_is_real(self) -> torch.Tensor:
        return _is_real(self.completion_lengths, self.completion_places.shape[1])

    def _mask(self, on_prompt: bool, window: int | None, repeats: int) -> torch.Tensor:
        """What may be attended to, (B or 1, 1, H/K·Q, T), the same for every layer with this window."""
        wanted = (window, repeats if on_prompt else -repeats)
        if wanted not in self._masks:
            prompt = torch.arange(self.prompt_places.shape[1], device=self.device)[None]  # positions of its keys
            if on_prompt:
                queries = self.completion_positions if self._is_padded else self.completion_positions[:1]
                owners = self.owners[: len(queries)]
                keys = torch.cat([prompt.expand(len(queries), -1), queries], dim=1)
                real = torch.cat([self._prompt_is_real()[owners], torch.ones_like(queries, dtype=torch.bool)], dim=1)
            else:
                queries, keys, real = prompt, prompt, torch.ones_like(prompt, dtype=torch.bool)
            distance = queries[:, :, None] - keys[:, None, :]
            mask = (distance >= 0) & real[:, None, :]
            if window is not None:
                mask &= distance < window
            self._masks[wanted] = mask.repeat(1, repeats, 1)[:, None]
        return self._masks[wanted]


def _unknown(arguments: dict[str, Any]) -> list[str]:
    """What attention is asked for that torch's does not have."""
    return [name for name in ("position_bias", "softcap", "s_aux") if arguments.get(name) is not None]


def _places(lengths: torch.Tensor, start: int) -> torch.Tensor:
    """Places (B, T) of the tokens of rows of `lengths` (B,), packed from `start`; the padding is `start`.

    >>> _places(torch.tensor([2, 1]), 5).tolist()
    [[5, 6], [7, 5]]
    """
    longest = int(lengths.max())
    places = start + (lengths.cumsum(0) - lengths)[:, None] + torch.arange(longest, device=lengths.device)
    return torch.where(_is_real(lengths, longest), places, start)


def _is_real(lengths: torch.Tensor, width: int) -> torch.Tensor:
    """Which places of rows of `lengths` (B,), padded on the right to width T, hold a token: (B, T)."""
    return torch.arange(width, device=lengths.device) < lengths[:, None]


def inputs_of(packing: Packing) -> dict[str, Any]:
    """A causal language model's arguments for a packed pass, without labels."""
    return {
        "input_ids": packing.ids,
        "position_ids": packing.positions,
        # A mask of four dimensions counts as prepared, so none is built: the packing has its own.
        "attention_mask": torch.zeros(1, 1, 1, 1, device=packing.device),
        "shared_prompt": packing,
        "use_cache": False,
    }
