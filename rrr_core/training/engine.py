"""The engine that writes the rollouts' texts: the policy itself, or one beside it that its weights are synced to.

Another program's distribution is not quite the policy's: its kernels round differently, and on a GPU it computes in
bfloat16. TRL corrects for that: each token's loss is weighted by the ratio of the policy's probability to the one the
token was drawn with, which the engine reports (truncated importance sampling). Configure it with `--grpo` and the
fields `vllm_importance_sampling_*`.
"""

from __future__ import annotations

from collections.abc import Sequence

from trl import GRPOTrainer

from rrr_core.errors import ModelError
from rrr_core.generation import ModelSettings, chosen_backend
from rrr_core.generation.addresses import shown
from rrr_core.generation.engine import TokenEngine
from rrr_core.generation.engines import CORE_ENGINES
from rrr_core.generation.finding import find_engine
from rrr_core.generation.transformers_engine import TransformersEngine
from rrr_core.generation.vllm_start import vllm_version


def open_engine(policy: TransformersEngine, settings: ModelSettings) -> TokenEngine:
    """The engine to write the policy's rollouts.

    Raises ModelError for an engine that cannot be opened or trained with, and PluginError for a broken one.
    """
    found = find_engine(chosen_backend(settings))
    engine = found.open_beside(policy, settings)
    check_correctable(engine, f"The {found.entry.name} backend ({found.entry.who})")
    return engine


def engine_identity(settings: ModelSettings) -> dict[str, object]:
    """What a training manifest records of the engine: nothing if the policy writes its own texts.

    Raises ModelError for an engine that cannot be trained with, or settings that do not fit it.
    """
    found = find_engine(chosen_backend(settings))
    found.check_beside(settings)
    if found.is_policy:
        return {}
    identity: dict[str, object] = {"backend": found.entry.name}
    if settings.base_url:
        addresses = sorted(map(shown, settings.base_url))
        identity["base_url"] = addresses[0] if len(addresses) == 1 else addresses
    if found.entry.name not in CORE_ENGINES:
        identity[found.entry.distribution] = found.entry.version
    elif not settings.base_url:
        identity["vllm"] = vllm_version()
    return {"engine": identity}


def check_correctable(engine: TokenEngine, who: str) -> None:
    """Raise ModelError for an off-policy engine without log-probabilities: nothing could correct for it."""
    if engine.off_policy and not engine.keeps_logprobs:
        raise ModelError(
            f"{who} cannot be trained with: it is off-policy and keeps no log-probabilities, without which training"
            " cannot correct for its distribution. Use --backend transformers, or have it keep them."
        )


class _Synced:
    """What TRL takes for its own vLLM. It syncs no weights, since the engine has them already."""

    def sync_weights(self) -> None:
        pass


def correct_for(trainer: GRPOTrainer, engine: TokenEngine) -> None:
    """Have TRL correct for an off-policy engine's distribution, as it does for its own vLLM.

    Call it on a trainer made without vLLM, so that TRL has started none. Raises ModelError for an off-policy engine
    without log-probabilities, which cannot be corrected for.
    """
    check_correctable(engine, f"The engine of {engine.model.name!r}")
    if engine.off_policy:
        trainer.use_vllm = True
        trainer.vllm_generation = _Synced()
        trainer._last_loaded_step = -1


def drawn_logprobs(
    engine: TokenEngine, contexts: Sequence[Sequence[int]], written: Sequence[Sequence[int]]
) -> list[tuple[float, ...] | None]:
    """The log-probabilities that each text's ids were drawn with; None where the engine is the policy."""
    if not engine.off_policy:
        return [None] * len(written)
    return [tuple(engine.logprobs_of(context, ids)) for context, ids in zip(contexts, written, strict=True)]
