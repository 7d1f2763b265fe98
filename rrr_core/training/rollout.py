"""One training rollout: G reflections on each failed attempt, a retry after each, a verdict on each retry.

Sampled ids are kept as they were sampled. They are decoded to be read and judged, never encoded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from rrr_core.conversation import reflection_conversation
from rrr_core.episode import Failure
from rrr_core.generation.base import Sampling
from rrr_core.generation.continuation import continuation_ids, encode_prompt
from rrr_core.generation.transformers_backend import TransformersGenerator
from rrr_core.tasks import Task
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict
from rrr_core.verification import Judge


@dataclass(frozen=True, slots=True)
class Turn:
    """One reflection on one failure, with the retry that followed it. Ids hold their end tokens."""

    failure: Failure
    prompt_ids: list[int]
    reflection_ids: list[int]
    reflection: str
    reflection_ended: bool
    """False where the token limit cut it off."""
    between_ids: list[int]
    """The retry prompt, from the end of the reflection to where the retry starts."""
    retry_ids: list[int]
    retry: str
    verdict: Verdict


def derived_seed(*parts: object) -> int:
    """A seed for one draw: a pure function of what the draw is, so that a resumed run draws the same.

    >>> derived_seed(0, 7, "retry") == derived_seed(0, 7, "retry") != derived_seed(0, 8, "retry")
    True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


class Rollout:
    """Reflects, retries and judges. `task`'s prompts and verdicts, the policy's texts."""

    def __init__(self, task: Task, generator: TransformersGenerator, judge: Judge, settings: TrainSettings) -> None:
        self.task, self.generator, self.judge, self.settings = task, generator, judge, settings

    def conversation(self, failure: Failure) -> list[dict[str, str]]:
        """Everything before the reflection: the training prompt."""
        return reflection_conversation(self.task, failure.row, failure.prompt, failure.attempt, self.generator.model)

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Turn]:
        """One turn for each failure; a failure is repeated by the caller, once for each reflection of its group."""
        tokenizer = self.generator.tokenizer
        conversations: dict[str, list[dict[str, str]]] = {}
        prompts: dict[str, list[int]] = {}
        for failure in failures:
            if failure.failure_id not in prompts:
                conversations[failure.failure_id] = self.conversation(failure)
                prompts[failure.failure_id] = encode_prompt(tokenizer, conversations[failure.failure_id])
        prompt_ids = [prompts[failure.failure_id] for failure in failures]
        reflections = self._sample(prompt_ids, self.settings.max_reflection_tokens, (*seed, "reflection"))
        ended = [self.generator.is_ended(ids) for ids in reflections]
        again = {failure.failure_id: self.task.retry_prompt(failure.row, self.generator.model) for failure in failures}
        between = [
            continuation_ids(tokenizer, conversations[failure.failure_id], again[failure.failure_id], ids, done)
            for failure, ids, done in zip(failures, reflections, ended, strict=True)
        ]
        contexts = [
            [*prompt, *reflection, *more]
            for prompt, reflection, more in zip(prompt_ids, reflections, between, strict=True)
        ]
        retries = self._sample(contexts, self.settings.max_retry_tokens, (*seed, "retry"))
        texts = [self.generator.text_of(ids) for ids in retries]
        verdicts = self.judge.judge([(failure.row, text) for failure, text in zip(failures, texts, strict=True)])
        return [
            Turn(
                failure=failure,
                prompt_ids=prompt_ids[index],
                reflection_ids=reflections[index],
                reflection=self.generator.text_of(reflections[index]),
                reflection_ended=ended[index],
                between_ids=between[index],
                retry_ids=retries[index],
                retry=texts[index],
                verdict=verdicts[index],
            )
            for index, failure in enumerate(failures)
        ]

    def _sample(self, prompts: Sequence[Sequence[int]], max_tokens: int, seed: tuple[object, ...]) -> list[list[int]]:
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=max_tokens,
            top_p=float(self.settings.grpo.get("top_p", 1.0)),
            top_k=int(self.settings.grpo.get("top_k", 0)),
            seed=derived_seed(*seed),
        )
        return self.generator.generate_ids(prompts, sampling)
