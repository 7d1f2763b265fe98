"""One training rollout: G reflections on each failed attempt, a retry after each, a verdict on each retry.

Sampled ids are kept as they were sampled. They are decoded to be read and judged, never encoded again. A reflection
that is empty, or that the token limit cut off, gets no retry: its turn has failed, and no verifier is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rrr_core.conversation import reflection_conversation
from rrr_core.episode import Failure
from rrr_core.generation.base import IdGenerator, Sampling, remembering
from rrr_core.generation.continuation import continuation_ids, encode_prompt
from rrr_core.seeds import rollout_seed
from rrr_core.tasks import Task
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict, failed
from rrr_core.verification import Judge


@dataclass(frozen=True, slots=True)
class Turn:
    """One reflection on one failure, with the retry that followed it, if any. Ids hold their end tokens."""

    failure: Failure
    prompt_ids: list[int]
    reflection_ids: list[int]
    reflection: str
    reflection_ended: bool
    """False where the token limit cut it off."""
    between_ids: list[int]
    """The retry prompt, from the end of the reflection to where the retry starts; empty without a retry."""
    retry_ids: list[int]
    retry: str | None
    """None where the reflection is empty or cut off: `retry_ids` are empty then, and the verdict is a failed one."""
    verdict: Verdict

    @property
    def sampled_tokens(self) -> int:
        return len(self.reflection_ids) + len(self.retry_ids)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A first answer to a failure's prompt by the policy of the moment."""

    text: str
    tokens: int
    verdict: Verdict


def without_retry(reflection: str, ended: bool) -> Verdict | None:
    """The failed verdict of a reflection after which no retry is generated; None where there is to be one.

    >>> without_retry("I forgot the 7.", ended=True) is None
    True
    >>> without_retry(" ", ended=True).category
    'no reflection'
    """
    if not ended:
        return failed("reflection cut off", "the reflection met the token limit, so no retry was generated")
    if not reflection.strip():
        return failed("no reflection", "the reflection is empty, so no retry was generated")
    return None


def reward_of(turn: Turn, credit: str) -> float | None:
    """1 where the retry passed, 0 where it failed; None where the verifier abstained, or nothing can be trained."""
    return None if credit == "retry" and turn.retry is None else turn.verdict.reward


class Rollout:
    """Reflects, retries and judges. `task`'s prompts and verdicts, the policy's texts."""

    def __init__(self, task: Task, generator: IdGenerator, judge: Judge, settings: TrainSettings) -> None:
        self.task, self.generator, self.judge, self.settings = task, generator, judge, settings

    def conversation(self, failure: Failure) -> list[dict[str, str]]:
        """Everything before the reflection: the training prompt."""
        return reflection_conversation(self.task, failure.row, failure.prompt, failure.attempt, self.generator.model)

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Turn]:
        """One turn for each failure; a failure is repeated by the caller, once for each reflection of its group."""
        tokenizer = self.generator.tokenizer
        distinct = {failure.failure_id: failure for failure in failures}
        conversations = {name: self.conversation(failure) for name, failure in distinct.items()}
        encoded = {name: encode_prompt(tokenizer, conversation) for name, conversation in conversations.items()}
        again = {name: self.task.retry_prompt(one.row, self.generator.model) for name, one in distinct.items()}
        names = [failure.failure_id for failure in failures]
        prompts = [encoded[name] for name in names]
        with remembering(self.generator):
            reflections = self._sample(prompts, self.settings.max_reflection_tokens, (*seed, "reflection"))
            ended = [self.generator.is_ended(ids) for ids in reflections]
            texts = [self.generator.text_of(ids) for ids in reflections]
            early = [without_retry(text, done) for text, done in zip(texts, ended, strict=True)]
            going_on = [place for place, verdict in enumerate(early) if verdict is None]
            # It depends on a reflection only by its end token, so a group has one retry prompt, or very few.
            ends = {(names[place], reflections[place][-1]) for place in going_on}
            continued = {
                (name, end): continuation_ids(tokenizer, conversations[name], again[name], [end], True)
                for name, end in ends
            }
            between = [list(continued[names[place], reflections[place][-1]]) for place in going_on]
            contexts = [
                [*prompts[place], *reflections[place], *more] for place, more in zip(going_on, between, strict=True)
            ]
            # At the places of their reflections, so that a turn without a retry changes no retry of another turn.
            retries = self._sample(contexts, self.settings.max_retry_tokens, (*seed, "retry"), going_on)
        answers = [self.generator.text_of(ids) for ids in retries]
        verdicts = self.judge.judge(
            [(failures[place].row, answer) for place, answer in zip(going_on, answers, strict=True)]
        )
        rests: dict[int, tuple[list[int], list[int], str | None, Verdict]] = {
            place: ([], [], None, verdict) for place, verdict in enumerate(early) if verdict is not None
        }
        rests.update(zip(going_on, zip(between, retries, answers, verdicts, strict=True), strict=True))
        return [
            Turn(failure, prompts[place], reflections[place], texts[place], ended[place], *rests[place])
            for place, failure in enumerate(failures)
        ]

    def attempt(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Attempt]:
        """One new attempt at each failure's row by the policy of the moment, from the prompt that was mined."""
        prompts = [encode_prompt(self.generator.tokenizer, failure.prompt) for failure in failures]
        written = self._sample(prompts, self.settings.max_attempt_tokens, (*seed, "attempt"))
        texts = [self.generator.text_of(ids) for ids in written]
        verdicts = self.judge.judge([(failure.row, text) for failure, text in zip(failures, texts, strict=True)])
        return [Attempt(text, len(ids), verdict) for text, ids, verdict in zip(texts, written, verdicts, strict=True)]

    def _sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        seed: tuple[object, ...],
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=max_tokens,
            top_p=float(self.settings.grpo.get("top_p", 1.0)),
            top_k=int(self.settings.grpo.get("top_k", 0)),
            seed=rollout_seed(*seed),
        )
        return self.generator.generate_ids(prompts, sampling, places=places)
