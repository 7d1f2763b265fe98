"""The engine that writes the rollouts' texts: the policy itself, or vLLM following it.

Another program's distribution is not quite the policy's: its kernels round otherwise, and on a GPU it computes in
bfloat16. TRL corrects for that: each token's loss is weighted by the ratio of the policy's probability to the one that
the token was drawn with, which the engine tells (truncated importance sampling). It is set up by
`vllm_importance_sampling_correction` and its kin, to be given with `--grpo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trl import GRPOTrainer

from rrr_core.generation import ModelSettings, chosen_backend
from rrr_core.generation.addresses import shown
from rrr_core.generation.base import IdGenerator
from rrr_core.generation.transformers_generator import TransformersGenerator
from rrr_core.generation.vllm_engine import vllm_version


def open_engine(policy: TransformersGenerator, settings: ModelSettings) -> IdGenerator:
    """What is to write the texts of the policy's rollouts. Raises ModelError where vLLM is asked for and cannot."""
    if chosen_backend(settings) != "vllm":
        return policy
    from rrr_core.generation.vllm_backend import open_beside

    return open_beside(policy, settings)


def engine_identity(settings: ModelSettings) -> dict[str, object]:
    """What a training manifest records of the engine: nothing where the policy writes its own texts."""
    if chosen_backend(settings) != "vllm":
        return {}
    where: dict[str, object] = (
        {"vllm": vllm_version()} if settings.base_url is None else {"base_url": shown(settings.base_url)}
    )
    return {"engine": {"backend": "vllm", **where}}


class _Followed:
    """What TRL takes for its own vLLM: it need not sync the weights, since `follow` has."""

    def sync_weights(self) -> None:
        pass


def correct_for(trainer: GRPOTrainer, engine: IdGenerator) -> None:
    """Have TRL correct for the engine's distribution, where the engine tells it: it is what TRL does with its own vLLM.

    To be called on a trainer that was made without vLLM, so that TRL has started none.
    """
    if hasattr(engine, "logprobs_of"):
        trainer.use_vllm = True
        trainer.vllm_generation = _Followed()
        trainer._last_loaded_step = -1


def drawn_logprobs(
    engine: Any, contexts: Sequence[Sequence[int]], written: Sequence[Sequence[int]]
) -> list[tuple[float, ...] | None]:
    """For each text's ids the log-probabilities that it drew them with; None where it is the policy itself."""
    if not hasattr(engine, "logprobs_of"):
        return [None] * len(written)
    return [tuple(engine.logprobs_of(context, ids)) for context, ids in zip(contexts, written, strict=True)]
