"""The trial of a fast path: its log-probabilities are held against those of each sequence run alone.

What a model does with a batch depends on its architecture, and shows at the lengths of training only: a sliding window
that masks alone know, positions counted from the padding, a layer that reads its neighbour's tokens. So a trial runs
at those lengths, on the weights and in the dtypes in use, before anything is done with the fast path.

Shape letters: `rrr_core.training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from rrr_core.generation.kv_cache import arguments_of

Score = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""A pass: ids and mask (B, P + R) and R in TRL's layout, to the completions' log-probabilities (B, R)."""

EXACT = 1e-3
"""Nats. A pass whose log-probabilities are all this close to those of the sequences alone is right, in any dtype.

Other orders of summation cost float32 a hundredth of it; a token more or less in view moves the mean by more."""

ROUNDINGS = 2.0
"""A pass is right as well if its mean difference is at most so many times what rounding moves a sequence alone by.

In bfloat16 a right pass stays below a half of that (measured with 2 and 8 layers, weights or autocast), and one that
ignores a sliding window is nine roundings away. The mean, since one expert chosen otherwise moves a single token
far."""

SCORED = 512
"""Most tokens of the trial's longest completion. Of a longer one the rest counts as prompt, so the length stays."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far a pass's log-probabilities are from those of the sequences alone, over all completions' tokens."""

    largest: float
    """In nats."""
    mean: float
    failed: str = ""
    """Why the pass gave none, if it failed."""

    @classmethod
    def of(cls, found: torch.Tensor, expected: torch.Tensor) -> Difference:
        """The difference of log-probabilities, two tensors of one shape."""
        apart = (found.double() - expected.double()).abs()
        return cls(float(apart.max()), float(apart.mean()))

    def wrong(self, noise: Callable[[], Difference]) -> str | None:
        """What is wrong with the pass, in a few words; None if the difference is no more than rounding.

        `noise` measures that, and is called only if it matters.
        """
        if self.failed:
            return self.failed
        if self.largest < EXACT or self.mean <= ROUNDINGS * noise().mean:
            return None
        return f"its log-probabilities differ by up to {self.largest:.2g} nats"


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch to try a pass on: a long prompt with a long and a short completion, and a short prompt with a short one.

    So rows are padded on both sides, and one prompt is shared. The short completion on the long prompt begins as the
    long one does: the sequence alone then has the log-probabilities of both.
    """

    long: torch.Tensor  # (P,), a prompt
    short: torch.Tensor  # (less than P,), another
    written: torch.Tensor  # (R,), the long completion
    few: int
    """Length of the short completions."""

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], tokens: int, context: int | None = None) -> Sample:
        """From the longest and the shortest of these prompts, for completions of up to `tokens` tokens.

        The short prompt is at most half the long one, as it may become when attempts are refreshed. Completions end
        with the context, if it is known, and are drawn from the prompts' own tokens.
        """
        longest, shortest = max(prompts, key=len), min(prompts, key=len)
        if context:
            longest = longest[: max(1, context - 1)]
            tokens = min(tokens, context - len(longest))
        known = torch.tensor([*longest, *shortest])
        drawn = torch.randint(len(known), (tokens,), generator=torch.Generator().manual_seed(0))
        scored = min(tokens, SCORED)
        long = torch.cat([torch.tensor(longest), known[drawn[:-scored]]])
        short = torch.tensor(shortest[-max(1, len(long) // 2) :])
        return cls(long, short, known[drawn[-scored:]], max(1, scored // 4))

    @classmethod
    def beyond_window(cls, config: Any, longest: int = 512) -> Sample:
        """Random tokens, more than fit this configuration's sliding window unless that holds `longest` tokens."""
        window = window_of(config)
        length = 9 + (window if window < longest else 0)
        source = torch.Generator().manual_seed(1)
        prompts = [torch.randint(config.vocab_size, (tokens,), generator=source).tolist() for tokens in (length, 5)]
        return cls.of(prompts, 8)

    def rows(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Prompt and completion of each row."""
        few = self.written[: self.few]
        return [(self.long, self.written), (self.long, few), (self.short, few)]

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Ids and mask (B, P + R), and R, as TRL pads them: prompts on the left, completions on the right."""
        edge, width = len(self.long), len(self.written)
        ids = torch.zeros(3, edge + width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, (prompt, completion) in enumerate(self.rows()):
            own = slice(edge - len(prompt), edge + len(completion))
            ids[row, own] = torch.cat([prompt, completion])
            mask[row, own] = 1
        return ids, mask, width

    def alone(self, network: Any, temperature: float = 1.0) -> torch.Tensor:
        """The log-probabilities (T,) of all completions' tokens, from one sequence at a time, without padding."""
        first = score_alone(network, self.long, self.written, temperature)
        last = score_alone(network, self.short, self.written[: self.few], temperature)
        return torch.cat([first, first[: self.few], last])

    def tried(self, score: Score, alone: torch.Tensor) -> Difference:
        """How far a pass over the batch is from the sequences alone."""
        ids, mask, width = self.batch()
        ids, mask = ids.to(alone.device), mask.to(alone.device)
        try:
            found = score(ids, mask, width)
        except Exception as error:  # noqa: BLE001 - a foreign architecture fails in its own way; the reason is returned
            return Difference(torch.inf, torch.inf, f"it fails: {' '.join(str(error).split())[:200]}")
        return Difference.of(found[mask[:, -width:].bool()], alone)

    def noise(self, network: Any, temperature: float = 1.0) -> Difference:
        """What rounding moves the log-probabilities of the sequences alone by."""
        plain = self.alone(network, temperature)
        with rounding(network):
            return Difference.of(self.alone(network, temperature), plain)


def window_of(config: Any) -> int:
    """Tokens in a configuration's sliding window or chunk; 0 if it has none."""
    config = config.get_text_config()
    sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return max((size for size in sizes if size), default=0)


def score_alone(network: Any, prompt: torch.Tensor, completion: torch.Tensor, temperature: float) -> torch.Tensor:
    """Log-probabilities (R,) in float32 of a completion after its prompt, from the network's own logits."""
    device = network.get_input_embeddings().weight.device
    known, width = arguments_of(network), len(completion) + 1
    wanted = {name: value for name, value in {"use_cache": False, "logits_to_keep": width}.items() if name in known}
    ids = torch.cat([prompt, completion]).to(device)
    logits = network(input_ids=ids[None], **wanted).logits[0, -width:-1].float() / temperature
    return logits.log_softmax(-1).gather(-1, ids[-len(completion) :, None])[:, 0]


@contextmanager
def rounding(network: Any) -> Iterator[None]:
    """Move each layer's output by up to half a unit in the last place, as another order of summation may.

    What a figure moves by then is the noise of its dtype in this network (Monte Carlo arithmetic, Parker 1997).
    """
    sources: dict[torch.device, torch.Generator] = {}

    def move(_module: Any, _arguments: Any, output: Any) -> Any:
        if not isinstance(output, torch.Tensor) or not output.is_floating_point():
            return None
        source = sources.setdefault(output.device, torch.Generator(output.device).manual_seed(0))
        half = torch.rand(output.shape, generator=source, device=output.device, dtype=torch.float32) - 0.5
        return (output * (1 + torch.finfo(output.dtype).eps * half)).to(output.dtype)

    layers = [module for module in network.modules() if not list(module.children()) and list(module.parameters())]
    layers = [layer for layer in layers if not isinstance(layer, torch.nn.Embedding)]  # a look-up is exact
    hooks = [layer.register_forward_hook(move) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluating(network: Any) -> Iterator[None]:
    """Put the network in evaluation mode; at the end every module returns to its former mode."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
