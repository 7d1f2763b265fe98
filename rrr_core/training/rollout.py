"""One training rollout: G reflections on each failed attempt, a retry after each, a verdict on each retry.

Sampled ids are kept as sampled: decoded to be read and judged, never encoded again. A reflection that is empty, or that
the token limit cut off, gets no retry: its turn has failed, and no verifier is asked.
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
    """The failed verdict of a reflection that gets no retry; None if it gets one.

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
    """Reflects, retries and judges, with the task's prompts and verdicts and the engine's texts."""

    def __init__(self, task: Task, engine: TokenEngine, judge: Judge, settings: TrainSettings) -> None:
        self.task, self.engine, self.judge, self.settings = task, engine, judge, settings

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Episode]:
        """One round on each failure; the caller repeats a failure once for each reflection of its group."""
        tokenizer, model = self.engine.tokenizer, self.engine.model
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
        with self.engine.prefix_caching():
            reflections = self._written("reflection", prompts, self._max_tokens("reflection"), (*seed, "reflection"))
            early = [without_retry(reflection) for reflection in reflections]
            retried = [place for place, verdict in enumerate(early) if verdict is None]
            # It depends on a reflection only through its end token, so a group has one retry prompt, or very few.
            read = {
                (name, end): self._continued(again[name], conversations[name], end)
                for name, end in {(names[place], reflections[place].ids[-1]) for place in retried}
            }
            between = [read[names[place], reflections[place].ids[-1]] for place in retried]
            contexts = [
                (*prompts[place], *reflections[place].ids, *segment.ids)
                for place, segment in zip(retried, between, strict=True)
            ]
            # At their reflections' places, so an episode without a retry changes no other's.
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
        """One new, judged attempt at each failure's row by the current policy, from the mined prompt."""
        prompts = [encode_prompt(self.engine.tokenizer, failure.prompt) for failure in failures]
        attempts = self._written("attempt", prompts, self.settings.max_attempt_tokens, (*seed, "attempt"))
        verdicts = self.judge.judge([(one.row, made.text) for one, made in zip(failures, attempts, strict=True)])
        # Without ids: the training prompt is the whole prompt of its reflection.
        return [
            replace(made, ids=(), logprobs=None, verdict=verdict)
            for made, verdict in zip(attempts, verdicts, strict=True)
        ]

    def _continued(self, request: Segment, before: Sequence[Message], end: int) -> Segment:
        """A request with its ids, as it follows a text that ended with the id `end`."""
        (message,) = request.messages
        ids = continuation_ids(self.engine.tokenizer, before, message["content"], [end], True)
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
        """A segment of that role, sampled on each prompt."""
        written = self._sample(prompts, max_tokens, seed, places)
        drawn = drawn_logprobs(self.engine, prompts, written)
        return [
            Segment(
                role,
                text=self.engine.text_of(ids),
                ids=tuple(ids),
                is_cut_off=not self.engine.is_ended(ids),
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
        return self.engine.generate_ids(prompts, sampling, places=places)
