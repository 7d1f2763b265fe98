"""One training rollout: G reflections on each failed attempt, a retry after each, a verdict on each retry.

Sampled ids are kept as they were sampled. They are decoded to be read and judged, never encoded again. A reflection
that is empty, or that the token limit cut off, gets no retry: its turn has failed, and no verifier is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrr_core.conversation import conversation, reflection_request, retry_request
from rrr_core.episode import Episode, Failure, Role, Segment
from rrr_core.generation.continuation import continuation_ids, encode_prompt
from rrr_core.generation.engine import Sampling, TokenEngine
from rrr_core.hookspecs import Message
from rrr_core.seeds import rollout_seed
from rrr_core.tasks import Task
from rrr_core.training.engine import drawn_logprobs
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import Verdict, failed
from rrr_core.verification import Judge


def without_retry(reflection: Segment) -> Verdict | None:
    """The failed verdict of a reflection after which no retry is generated; None where there is to be one.

    >>> without_retry(Segment("reflection", text="I forgot the 7.")) is None
    True
    >>> without_retry(Segment("reflection", text=" ")).category
    'no reflection'
    """
    if reflection.is_cut_off:
        return failed("reflection cut off", "the reflection met the token limit, so no retry was generated")
    if not reflection.text.strip():
        return failed("no reflection", "the reflection is empty, so no retry was generated")
    return None


class Rollout:
    """Reflects, retries and judges. `task`'s prompts and verdicts, the policy's texts."""

    def __init__(self, task: Task, generator: TokenEngine, judge: Judge, settings: TrainSettings) -> None:
        self.task, self.generator, self.judge, self.settings = task, generator, judge, settings

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Episode]:
        """One round on each failure; a failure is repeated by the caller, once for each reflection of its group."""
        tokenizer, model = self.generator.tokenizer, self.generator.model
        distinct = {failure.failure_id: failure.episode for failure in failures}
        requests = {name: reflection_request(self.task, one, model) for name, one in distinct.items()}
        conversations = {name: conversation((*one.segments, requests[name])) for name, one in distinct.items()}
        asked = {
            name: one.extended(replace(requests[name], ids=tuple(encode_prompt(tokenizer, conversations[name]))))
            for name, one in distinct.items()
        }
        again = {name: retry_request(self.task, one, model) for name, one in distinct.items()}
        names = [failure.failure_id for failure in failures]
        prompts = [asked[name].segments[-1].ids for name in names]
        with self.generator.prefix_caching():
            reflections = self._written("reflection", prompts, self._max_tokens("reflection"), (*seed, "reflection"))
            early = [without_retry(reflection) for reflection in reflections]
            retried = [place for place, verdict in enumerate(early) if verdict is None]
            # It depends on a reflection only by its end token, so a group has one retry prompt, or very few.
            read = {
                (name, end): self._continued(again[name], conversations[name], end)
                for name, end in {(names[place], reflections[place].ids[-1]) for place in retried}
            }
            between = [read[names[place], reflections[place].ids[-1]] for place in retried]
            contexts = [
                (*prompts[place], *reflections[place].ids, *segment.ids)
                for place, segment in zip(retried, between, strict=True)
            ]
            # At the places of their reflections, so that an episode without a retry changes no retry of another.
            retries = self._written("retry", contexts, self._max_tokens("retry"), (*seed, "retry"), retried)
        verdicts = self.judge.judge(
            [(failures[place].row, retry.text) for place, retry in zip(retried, retries, strict=True)]
        )
        rounds: list[tuple[Segment, ...]] = [
            (replace(reflection, verdict=verdict),) for reflection, verdict in zip(reflections, early, strict=True)
        ]
        for place, more, retry, verdict in zip(retried, between, retries, verdicts, strict=True):
            rounds[place] = (reflections[place], more, replace(retry, verdict=verdict))
        return [asked[name].extended(*rest) for name, rest in zip(names, rounds, strict=True)]

    def attempt(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Segment]:
        """One new, judged attempt at each failure's row by the policy of the moment, from the prompt that was mined."""
        prompts = [encode_prompt(self.generator.tokenizer, failure.prompt) for failure in failures]
        attempts = self._written("attempt", prompts, self.settings.max_attempt_tokens, (*seed, "attempt"))
        verdicts = self.judge.judge([(one.row, made.text) for one, made in zip(failures, attempts, strict=True)])
        # Without ids: what is trained on it begins with the whole prompt of its reflection.
        return [
            replace(made, ids=(), logprobs=None, verdict=verdict)
            for made, verdict in zip(attempts, verdicts, strict=True)
        ]

    def _continued(self, request: Segment, before: Sequence[Message], end: int) -> Segment:
        """A request with its ids, where it follows a text that ended with the id `end`."""
        (message,) = request.messages
        ids = continuation_ids(self.generator.tokenizer, before, message["content"], [end], True)
        return replace(request, ids=tuple(ids))

    def _max_tokens(self, role: Role) -> int:
        return self.settings.max_reflection_tokens if role == "reflection" else self.settings.max_retry_tokens

    def _written(
        self,
        role: Role,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        seed: tuple[object, ...],
        places: Sequence[int] | None = None,
    ) -> list[Segment]:
        """A segment of that role sampled on each prompt."""
        written = self._sample(prompts, max_tokens, seed, places)
        drawn = drawn_logprobs(self.generator, prompts, written)
        return [
            Segment(
                role,
                text=self.generator.text_of(ids),
                ids=tuple(ids),
                is_cut_off=not self.generator.is_ended(ids),
                logprobs=logprobs,
            )
            for ids, logprobs in zip(written, drawn, strict=True)
        ]

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
