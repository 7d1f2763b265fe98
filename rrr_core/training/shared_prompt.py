"""One forward pass in which a group's prompt is computed once, and its completions on top of it.

The G reflections on one failure share a prompt that is often ten times as long as they are, and a padded batch computes
it G times, forward and backward. Here all tokens lie in one row without padding: first each distinct prompt, then each
completion, which begins with the last token of its prompt, since that token predicts the first one written:

    prompt A · prompt B · A₁ · A₂ · A₃ · B₁ · B₂ · B₃

Whatever treats tokens one by one (norms, projections, rotary positions, experts) needs no change. Only attention does:
a prompt attends to itself, and a completion to its prompt and itself. The language model's head is computed on the
completions alone. G completions of R tokens on a prompt of P cost P + G·R tokens instead of G·(P + R); the loss and the
gradient are the same but for the order of floating-point sums. The pass is a single call of the model, so gradient
checkpointing, LoRA, autocast and data-parallel wrappers work as they do on a padded batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

IGNORED = -100
"""The label of a token that is not scored, as in transformers."""


class Packing:
    """A padded batch laid out as one row of N tokens without padding, each distinct prompt in it once.

    D distinct prompts, B completions. It is given to the model as the argument `shared_prompt`, which transformers
    hands down to the attention function of every layer. No dataclass, so that data-parallel wrappers pass it as it is.
    """

    def __init__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, completion_width: int) -> None:
        """From TRL's batch: ids and mask (B, P + C), prompts padded on the left, completions on the right.

        Rows with one prompt must stand side by side to share it.
        """
        self.device = input_ids.device
        edge = input_ids.shape[1] - completion_width
        real = attention_mask.bool()
        same = (input_ids[1:, :edge] == input_ids[:-1, :edge]) & (real[1:, :edge] == real[:-1, :edge])
        is_first = torch.cat([real.new_ones(1), ~same.all(1)])  # (B,)
        self.owners = is_first.cumsum(0) - 1  # (B,), of each completion its prompt
        before = real[is_first, : edge - 1]  # (D, P - 1): a prompt's last token is its completions' first
        # A completion of no token (masked out as a whole) stays as one token that is not scored.
        self.written = real[:, edge:].clone()
        self.written[:, 0] = True
        labels = input_ids[:, edge:].masked_fill(~real[:, edge:], IGNORED)
        self.prompt_lengths, self.completion_lengths = before.sum(1), self.written.sum(1)
        self.prompt_tokens = int(self.prompt_lengths.sum())
        self.prompt_places = _places(self.prompt_lengths, 0)  # (D, longest prompt - 1)
        self.completion_places = _places(self.completion_lengths, self.prompt_tokens)  # (B, longest completion)
        self.ids = torch.cat([input_ids[is_first, : edge - 1][before], input_ids[:, edge - 1 : -1][self.written]])[None]
        self.labels = labels[self.written][None]  # (1, tokens of completions)
        starts = self.prompt_lengths[self.owners, None]  # (B, 1)
        width = self.completion_places.shape[1]
        self.completion_positions = starts + torch.arange(width, device=self.device)  # (B, width)
        self.positions = torch.cat(
            [
                torch.arange(before.shape[1], device=self.device).expand_as(before)[
                    torch.arange(before.shape[1], device=self.device) < self.prompt_lengths[:, None]
                ],
                self.completion_positions[torch.arange(width, device=self.device) < self.completion_lengths[:, None]],
            ]
        )[None]
        self._is_padded = bool(
            (self.prompt_lengths != self.prompt_lengths[0]).any() | (self.completion_lengths != width).any()
        )
        self._unpacking = self._unpacking_order()
        self._masks: dict[tuple[int | None, int], torch.Tensor] = {}
        self.layers = 0
        """Attention layers that have been computed with this packing: the proof that a model understood it."""

    @property
    def tokens(self) -> int:
        """N, the tokens that the model computes."""
        return int(self.ids.shape[1])

    def padded(self, values: torch.Tensor) -> torch.Tensor:
        """Values of the completions' tokens (1, tokens) in the batch's own layout (B, C), zero where it is padded."""
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

        `attention` is the function of transformers that stands in for a FlashAttention kernel; it is called once for
        prompts and once for completions. Without one (`is_flash` false) both are torch's own.
        """
        self.layers += 1
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
        flat = torch.cat([output.flatten(0, 1) for output in outputs])  # (padded tokens, H, d)
        return (flat if self._unpacking is None else flat.index_select(0, self._unpacking))[None], None

    def _rows(self, states: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """States (1, H, N, d) as rows (rows, H, width, d); what stands in the padding is of no account."""
        if self._is_padded:
            return states[0].index_select(1, places.flatten()).unflatten(1, places.shape).transpose(0, 1)
        start = self.prompt_tokens if places is self.completion_places else 0
        return states[0].narrow(1, start, places.numel()).unflatten(1, places.shape).transpose(0, 1)

    def _unpacking_order(self) -> torch.Tensor | None:
        """Where each of the N tokens stands in the padded rows of prompts and then of completions; None if in order."""
        if not self._is_padded:
            return None
        rows = [(self.prompt_places, self.prompt_lengths), (self.completion_places, self.completion_lengths)]
        real = [torch.arange(places.shape[1], device=self.device) < lengths[:, None] for places, lengths in rows]
        return torch.cat([each.flatten() for each in real]).nonzero()[:, 0]

    def _sdpa(self, arguments: dict[str, Any]) -> Callable[..., torch.Tensor]:
        unknown = [name for name in ("position_bias", "softcap", "s_aux") if arguments.get(name) is not None]
        if unknown:
            raise ValueError(f"scaled_dot_product_attention has no {unknown[0]}")
        drop, scale = arguments.get("dropout", 0.0), arguments.get("scaling")
        window = arguments.get("sliding_window")

        def compute(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, on_prompt: bool) -> torch.Tensor:
            """Output (rows, width, H, d)."""
            repeats = query.shape[1] // key.shape[1]
            if not on_prompt and (window is None or window >= query.shape[2]):
                # Prompts are padded on the right, where no real token can see it, so they need no mask.
                output = functional.scaled_dot_product_attention(
                    query, key, value, dropout_p=drop, is_causal=True, scale=scale, enable_gqa=repeats > 1
                )
                return output.transpose(1, 2)
            # The query heads of one key head as further queries: with a mask, kernels would copy the keys for each.
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
            if on_prompt and self._is_padded:  # (B, keys): a kernel for rows of uneven lengths is chosen by it
                mask = torch.cat([self._prompt_is_real()[self.owners], self._completion_is_real()], dim=1)
            output: torch.Tensor = attention(module, query, key, value, mask, **arguments)[0]
            return output

        return compute

    def _prompt_is_real(self) -> torch.Tensor:
        return torch.arange(self.prompt_places.shape[1], device=self.device) < self.prompt_lengths[:, None]

    def _completion_is_real(self) -> torch.Tensor:
        return torch.arange(self.completion_places.shape[1], device=self.device) < self.completion_lengths[:, None]

    def _mask(self, on_prompt: bool, window: int | None, repeats: int) -> torch.Tensor:
        """What may be attended to, (rows or 1, 1, repeats · queries, keys), the same for every layer of one window."""
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


def _places(lengths: torch.Tensor, start: int) -> torch.Tensor:
    """Places (rows, longest) of the tokens of rows of `lengths` (rows,) packed from `start` on; `start` as padding.

    >>> _places(torch.tensor([2, 1]), 5).tolist()
    [[5, 6], [7, 5]]
    """
    columns = torch.arange(int(lengths.max()), device=lengths.device)
    first = start + lengths.cumsum(0) - lengths
    return torch.where(columns < lengths[:, None], first[:, None] + columns, start)


def can_share(network: Any) -> str | None:
    """Ready a causal language model for packed passes; None where that worked, else why not, in a few words.

    A model is believed only after a trial: on two short prompts with three completions, each of its layers must have
    attended through the packing, and the log-probabilities must be those of the unpacked pass.
    """
    network = network.get_base_model() if hasattr(network, "get_base_model") else network
    config = network.config.get_text_config()
    implementation = str(config._attn_implementation)
    backbone = network.base_model
    if network.config.is_encoder_decoder or backbone is network:
        return "it is not a decoder with a head of its own"
    if implementation != "sdpa" and not _is_flash(implementation):
        return f"its attention is {implementation}, not sdpa or flash_attention"
    parameters = inspect.signature(backbone.forward).parameters.values()
    if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
        return "it hands no further arguments to its layers"
    _teach(implementation)
    if not getattr(backbone, "_scores_completions", False):
        backbone.register_forward_hook(_keep_completions, with_kwargs=True)
        backbone._scores_completions = True
    return _trial(network, config)


def _is_flash(implementation: str) -> bool:
    return "flash" in implementation and "flex" not in implementation


def _teach(implementation: str) -> None:
    """Let transformers' attention function of that name take packings; without one it is what it was."""
    attention = ALL_ATTENTION_FUNCTIONS[implementation]
    if getattr(attention, "takes_packings", False):
        return
    is_flash = _is_flash(implementation)

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        *arguments: Any,
        shared_prompt: Packing | None = None,
        **keywords: Any,
    ) -> Any:
        if shared_prompt is None:
            return attention(module, query, key, value, attention_mask, *arguments, **keywords)
        keywords.pop("position_ids", None)  # by which FlashAttention would look for packed sequences of its own
        return shared_prompt.attend(attention, module, query, key, value, is_flash, **keywords)

    attend.takes_packings = True  # type: ignore[attr-defined]
    AttentionInterface.register(implementation, attend)


def _keep_completions(_module: Any, _arguments: Any, keywords: dict[str, Any], output: Any) -> Any:
    """A hook on the backbone: of a packed pass only the completions' hidden states go on to the head."""
    packing = keywords.get("shared_prompt")
    if packing is not None:
        output.last_hidden_state = output.last_hidden_state[:, packing.prompt_tokens :]
    return output


def inputs_of(packing: Packing) -> dict[str, Any]:
    """What a causal language model is called with for a packed pass, labels apart."""
    return {
        "input_ids": packing.ids,
        "position_ids": packing.positions,
        # With four dimensions a mask is taken to be prepared, and none is built: the packing has its own.
        "attention_mask": torch.zeros(1, 1, 1, 1, device=packing.device),
        "shared_prompt": packing,
        "use_cache": False,
    }


PROMPTS, COMPLETIONS = (9, 5), ((0, 3), (0, 1), (1, 4))
"""The trial's prompts, by length, and completions, by prompt and length."""


def _trial(network: Any, config: Any) -> str | None:
    source = torch.Generator().manual_seed(0)
    device = network.get_input_embeddings().weight.device
    edge, width = max(PROMPTS), max(length for _, length in COMPLETIONS)
    prompts = [torch.randint(config.vocab_size, (length,), generator=source) for length in PROMPTS]
    ids = torch.zeros(len(COMPLETIONS), edge + width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (owner, length) in enumerate(COMPLETIONS):
        start, end = edge - PROMPTS[owner], edge + length
        ids[row, start:end] = torch.cat([prompts[owner], torch.randint(config.vocab_size, (length,), generator=source)])
        mask[row, start:end] = 1
    packing = Packing(ids.to(device), mask.to(device), width)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            packed = packing.padded(_of_labels(network(**inputs_of(packing)).logits, packing.labels)).cpu()
            for row, (owner, length) in enumerate(COMPLETIONS):
                alone = ids[row, edge - PROMPTS[owner] : edge + length].to(device)
                logits = network(input_ids=alone[None], use_cache=False).logits[:, -length - 1 : -1]
                expected = _of_labels(logits, alone[None, -length:])[0].cpu()
                tolerance = 1e-3 if expected.dtype == torch.float32 and logits.dtype == torch.float32 else 0.15
                if not torch.allclose(packed[row, :length], expected, rtol=tolerance, atol=tolerance):
                    return "its log-probabilities come out otherwise"
    except Exception as error:  # noqa: BLE001 - a foreign architecture refuses in its own way; the refusal is passed on
        return f"it fails on a packed pass: {' '.join(str(error).split())[:200]}"
    finally:
        for module, mode in modes:
            module.training = mode
    if packing.layers != config.num_hidden_layers:
        return f"{packing.layers} of its {config.num_hidden_layers} layers attend through transformers' interface"
    return None


def _of_labels(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Log-probabilities (1, T) in float32 of labels (1, T), each predicted by the logits (1, T, V) in its place."""
    return logits.float().log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
