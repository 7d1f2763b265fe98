"""The decoding loop: left-padded batch in, sampled ids out.

It samples from exactly the requested distribution, whatever a hub model's `generation_config` says. It is faster than
`generate` for two reasons: nothing is prefilled twice, neither a prompt that occurs several times nor one that
continues an earlier text, and rows that have ended are dropped from the batch. `tests/generation/test_decoding.py`
holds it to `generate`'s own greedy output.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch

from rrr_core.errors import ModelError
from rrr_core.generation.engine import Sampling
from rrr_core.generation.kv_cache import arguments_of, cache_argument, drop_rows, is_plain, is_served, without_adapters
from rrr_core.generation.prefix_cache import PrefixCache
from rrr_core.generation.reading import forward, read
from rrr_core.generation.trial import Difference, Sample, evaluating, score_alone, window_of
from rrr_core.seeds import stream_seed
from rrr_core.text import one_line

DROP_SHARE = 0.25
"""Share of a batch's rows that must have ended before they are dropped: dropping moves rows of the cache."""

CPU_LOGITS = 1 << 19
"""Logits that a CPU samples from at once. A vocabulary of 150,000 for 32 rows takes a fifth of the time this way, since
tensors of that size stay in its caches and need no new pages."""


SHORT = 40
"""Tokens that every network is tried on. A sliding window that holds more is tried when texts are longer than it."""

_tried: WeakKeyDictionary[Any, dict[int, bool]] = WeakKeyDictionary()
"""For each network, whether the loop is right at the lengths tried so far."""


def can_decode(network: Any) -> bool:
    """Whether the loop serves this network, and is right on a trial."""
    return serves(network) and decodes_beyond_window(network, SHORT)


def serves(network: Any) -> bool:
    """Whether the loop knows how to run this architecture: a decoder with position ids and a plain key-value cache."""
    base = without_adapters(network)
    if base.config.is_encoder_decoder or base._is_stateful or not base._supports_default_dynamic_cache():
        return False
    wanted = {"input_ids", "attention_mask", "position_ids", "use_cache", "logits_to_keep"}
    if not wanted <= arguments_of(network) or cache_argument(network) is None:
        return False
    return is_served(base.config)


def decodes_beyond_window(network: Any, longest: int) -> bool:
    """Whether the loop gives the log-probabilities of each sequence alone, in texts of up to `longest` tokens.

    Tried once per network, on a few random tokens, and once more on enough to pass its sliding window if `longest`
    does.
    """
    base = without_adapters(network)
    window = window_of(base.config)
    length = SHORT if longest <= window else max(SHORT, window + 1)
    if length not in (tried := _tried.setdefault(base, {})):
        sample = Sample.beyond_window(base.config.get_text_config(), length)
        with torch.no_grad(), evaluating(network):
            found = decoded(network, sample)
            if found is None:
                return True
            tried[length] = found.wrong(lambda: sample.noise(network)) is None
    return tried[length]


def decoded(network: Any, sample: Sample) -> Difference | None:
    """How far the loop is from the sequences alone, on both prompts.

    None if those fail or are not finite, for lack of memory or with diverged weights: decoding itself reports that.
    """
    prompts = [sample.long.tolist(), sample.short.tolist()]
    try:
        alone = [score_alone(network, torch.tensor(prompt), sample.written, 1.0) for prompt in prompts]
    except Exception:  # noqa: BLE001 - a foreign architecture fails in its own way
        return None
    if not all(bool(scores.isfinite().all()) for scores in alone):
        return None
    try:
        reading = read(network, prompts, 0, None)
        logits, mask, columns = reading.logits, reading.mask, []
        positions = mask.sum(-1, keepdim=True)
        for token in sample.written.tolist():
            columns.append(logits.log_softmax(-1)[:, token])
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = forward(network, reading.cache, mask.new_full((len(mask), 1), token), mask, positions)
            positions = positions + 1
    except Exception as error:  # noqa: BLE001 - a foreign architecture fails in its own way; `generate` serves it
        return Difference(torch.inf, torch.inf, f"it fails: {one_line(error, 200)}")
    return Difference.of(torch.stack(columns, 1), torch.stack([alone[row] for row in reading.rows]))


def uniforms(seed: int, row: int, count: int) -> torch.Tensor:
    """Row `row`'s own stream of `count` numbers in [0, 1), float64, independent of batch, device and global state."""
    source = torch.Generator().manual_seed(stream_seed(seed, row))
    return torch.rand(count, dtype=torch.float64, generator=source)


def seen_tokens(prompts: Sequence[Sequence[int]], vocabulary: int, device: torch.device) -> torch.Tensor:
    """Which tokens each prompt holds: (B, V)."""
    seen = torch.zeros(len(prompts), vocabulary, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        seen[row, list(prompt)] = True
    return seen.to(device)


def penalised(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits (B, V), those of seen tokens divided by the penalty if positive, else multiplied by it."""
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def filtered(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Logits (B, V) after temperature, top-k, top-p and min-p, in that order; -inf where a token is ruled out."""
    logits = logits / sampling.temperature
    if 0 < sampling.top_k < logits.shape[-1]:
        smallest = logits.topk(sampling.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    if sampling.top_p < 1:
        ascending, order = logits.sort(dim=-1)
        out = ascending.softmax(-1).cumsum(-1) <= 1 - sampling.top_p
        out[:, -1] = False
        logits = logits.masked_fill(out.scatter(-1, order, out), -torch.inf)
    if sampling.min_p > 0:
        chances = logits.softmax(-1)
        logits = logits.masked_fill(chances < sampling.min_p * chances.amax(-1, keepdim=True), -torch.inf)
    return logits


def choose(logits: torch.Tensor, sampling: Sampling, drawn: torch.Tensor) -> torch.Tensor:
    """One id for each row of logits (B, V), by inverting the distribution at `drawn` (B,); the likeliest if greedy."""
    if sampling.temperature == 0:
        return logits.argmax(-1)
    rows = max(1, CPU_LOGITS // logits.shape[-1]) if logits.device.type == "cpu" else len(logits)
    parts = zip(logits.split(rows), drawn.split(rows), strict=True)
    return torch.cat([_invert(filtered(part, sampling).softmax(-1), numbers) for part, numbers in parts])


def _invert(probabilities: torch.Tensor, drawn: torch.Tensor) -> torch.Tensor:
    cumulative = probabilities.double().cumsum(-1)
    # Below the total even after rounding, so that the first id whose cumulative exceeds it has a nonzero chance.
    point = (drawn[:, None] * cumulative[:, -1:]).clamp(max=cumulative[:, -1:] * (1 - 1e-12))
    return torch.searchsorted(cumulative, point, right=True)[:, 0]


def decode(
    network: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    draws: torch.Tensor,
    sampling: Sampling,
    end_ids: Sequence[int],
    pad_id: int,
    on_done: Callable[[int], None],
    known: PrefixCache | None,
    on_read: Callable[[int], None],
) -> list[list[int]]:
    """The sampled ids of each prompt, in order, the end id included if one was sampled.

    `limits` are each row's most tokens, `draws` (B, R) its uniform numbers, R the largest limit. What the prefix cache
    `known` has of a prompt is not prefilled again, and what is prefilled and decoded here is kept in it; `on_read` gets
    the number of prompt tokens prefilled. Call it under `torch.no_grad()`, on a network in evaluation mode. Raises
    ModelError if the network's output is not finite.
    """
    device = network.device
    if known is not None and not is_plain(network.config):
        known = None
    reading = read(network, prompts, pad_id, known)
    on_read(reading.tokens)
    cache, logits, mask = reading.cache, reading.logits, reading.mask
    width = mask.shape[1]
    positions = mask.sum(-1, keepdim=True)  # (B, 1), of the next token
    rows = torch.tensor(reading.rows, device=device)  # the prompts of the rows still in the batch
    limit, drawn = torch.tensor(limits, device=device), draws.to(device)
    ends = torch.tensor(sorted(end_ids), device=device)
    sampled = torch.full((len(prompts), max(limits)), pad_id, device=device)
    lengths = limit.clone()
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    penalty = sampling.repetition_penalty
    seen = None if penalty == 1 else seen_tokens([prompts[row] for row in reading.rows], logits.shape[-1], device)
    del reading  # its logits would be held until the end
    reported = 0

    def keep_ended(places: torch.Tensor) -> None:
        """Keep the cache of the rows at these places of the batch, all ended."""
        if known is not None:
            leaving = rows[places]
            written = zip(leaving.tolist(), sampled[leaving].tolist(), lengths[leaving].tolist(), strict=True)
            ids = [(*prompts[row], *row_ids[:length]) for row, row_ids, length in written]
            known.keep(cache, places, [width - len(prompts[row]) for row in leaving.tolist()], ids)

    for time in range(max(limits)):
        if not bool(logits.amax(-1).isfinite().all()):
            raise ModelError(
                "The model's output is not finite: its weights have diverged or overflow; try --dtype float32."
            )
        if seen is not None:
            logits = penalised(logits, seen, penalty)
        chosen = choose(logits, sampling, drawn[rows, time])
        if seen is not None:
            seen.scatter_(1, chosen[:, None], True)
        sampled[rows, time] = torch.where(done, pad_id, chosen)
        stops = ~done & (torch.isin(chosen, ends) | (time + 1 >= limit[rows]))
        lengths[rows[stops]] = time + 1
        done |= stops
        left = int((~done).sum())
        finished = len(prompts) - left
        if finished > reported:
            on_done(finished - reported)
            reported = finished
        if left == 0:
            keep_ended(torch.arange(len(rows), device=device))
            break
        if left <= len(done) * (1 - DROP_SHARE):
            keep_ended(done.nonzero()[:, 0])
            keep = drop_rows(cache, done)
            chosen, mask, positions, rows, done = chosen[keep], mask[keep], positions[keep], rows[keep], done[keep]
            seen = None if seen is None else seen[keep]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        logits = forward(network, cache, chosen[:, None], mask, positions)
        positions = positions + 1
    return [row[:length] for row, length in zip(sampled.tolist(), lengths.tolist(), strict=True)]
