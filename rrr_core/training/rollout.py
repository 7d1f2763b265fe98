"""One training rollout: G reflections on each failed attempt, a retry after each, a verdict on each retry.

Sampled ids are kept as sampled: decoded to be read and judged, never encoded again, unless the chat template rewrites
what came before, such as a reflection's thought. A reflection that is empty, or that the token limit cut off, gets no
retry: its turn has failed, and no verifier is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rrr_core.conversation import conversation, reflection_conversation, reflection_request, retry_request
from rrr_core.episode import Episode, Failure, Generation, Role, Segment, written
from rrr_core.generation.engine import Sampling, TokenEngine
from rrr_core.seeds import rollout_seed
from rrr_core.tasks import Task
from rrr_core.training.engine import drawn_logprobs
from rrr_core.training.options import drawn_by
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
        self.drawn = drawn_by(settings)

    def play(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Episode]:
        """One round on each failure; the caller repeats a failure once for each reflection of its group."""
        chat, model = self.engine.chat, self.engine.model
        distinct = {failure.failure_id: failure.episode for failure in failures}
        requests = {name: reflection_request(self.task, one, model) for name, one in distinct.items()}
        conversations = {name: conversation((*one.segments, requests[name])) for name, one in distinct.items()}
        asked = {
            name: one.extended(replace(requests[name], ids=tuple(chat.encode_prompt(conversations[name]))))
            for name, one in distinct.items()
        }
        again = {name: retry_request(self.task, one, model) for name, one in distinct.items()}
        names = [failure.failure_id for failure in failures]
        prompts = [asked[name].segments[-1].ids for name in names]
        with self.engine.prefix_caching():
            thoughts = self._sample(prompts, self.settings.max_reflection_tokens, (*seed, "reflection"))
            reflections = self._segments("reflection", prompts, thoughts)
            early = [without_retry(reflection) for reflection in reflections]
            retried = [place for place, verdict in enumerate(early) if verdict is None]
            between = self._after(
                [asked[names[place]].extended(reflections[place]) for place in retried],
                [again[names[place]] for place in retried],
            )
            contexts = [
                (*prompts[place], *reflections[place].ids, *request.ids)
                if request.ids
                else chat.encode_prompt(conversation((*asked[names[place]].segments, reflections[place], request)))
                for place, request in zip(retried, between, strict=True)
            ]
            # At their reflections' places, so an episode without a retry changes no other's.
            answers = self._sample(contexts, self.settings.max_retry_tokens, (*seed, "retry"), retried)
        retries = [
            retry if request.ids else replace(retry, ids=(), logprobs=None)
            for request, retry in zip(between, self._segments("retry", contexts, answers), strict=True)
        ]
        verdicts = self.judge.judge_written(
            [(failures[place].row, answer) for place, answer in zip(retried, answers, strict=True)]
        )
        rounds: list[tuple[Segment, ...]] = [
            (replace(reflection, verdict=verdict),) for reflection, verdict in zip(reflections, early, strict=True)
        ]
        for place, more, retry, verdict in zip(retried, between, retries, verdicts, strict=True):
            rounds[place] = (reflections[place], more, replace(retry, verdict=verdict))
        return [asked[name].extended(*rest) for name, rest in zip(names, rounds, strict=True)]

    def prompt_of(self, failure: Failure) -> tuple[int, ...]:
        """The ids that a failure's reflections are sampled on."""
        messages = reflection_conversation(self.task, failure.episode, self.engine.model)
        return tuple(self.engine.chat.encode_prompt(messages))

    def attempt(self, failures: Sequence[Failure], seed: tuple[object, ...]) -> list[Segment]:
        """One new, judged attempt at each failure's row by the current policy, from the mined prompt."""
        prompts = [self.engine.chat.encode_prompt(failure.prompt) for failure in failures]
        attempts = self._sample(prompts, self.settings.max_attempt_tokens, (*seed, "attempt"))
        verdicts = self.judge.judge_written([(one.row, made) for one, made in zip(failures, attempts, strict=True)])
        # Without ids: the training prompt is the whole prompt of its reflection.
        return [written("attempt", made, verdict) for made, verdict in zip(attempts, verdicts, strict=True)]

    def _after(self, episodes: Sequence[Episode], requests: Sequence[Segment]) -> list[Segment]:
        """Each request as it follows its episode, with the ids that come after the reflection's.

        Without ids where the template rewrites the reflection, such as one with a thought that it drops: then the whole
        conversation is encoded again.
        """
        chat = self.engine.chat
        known: dict[tuple[tuple[int, ...], int, str], tuple[int, ...]] = {}
        placed = []
        for episode, request in zip(episodes, requests, strict=True):
            reflection = episode.segments[-1]
            if not chat.extends(bool(reflection.thought)):
                placed.append(request)
                continue
            # They depend on a reflection only through its end token, so a group has one retry prompt, or very few.
            (message,) = request.messages
            key = episode.segments[-2].ids, reflection.ids[-1], message["content"]
            if key not in known:
                before = conversation(episode.segments[:-1])
                known[key] = tuple(chat.continuation_ids(before, message["content"], reflection.ids[-1:], True))
            placed.append(replace(request, ids=known[key]))
        return placed

    def _segments(self, role: Role, prompts: Sequence[Sequence[int]], made: Sequence[Generation]) -> list[Segment]:
        """What was sampled on each prompt, with its ids."""
        drawn = drawn_logprobs(self.engine, prompts, [each.token_ids for each in made])
        return [
            replace(written(role, each), ids=each.token_ids, logprobs=logprobs)
            for each, logprobs in zip(made, drawn, strict=True)
        ]

    def _sample(
        self,
        prompts: Sequence[Sequence[int]],
        max_tokens: int,
        seed: tuple[object, ...],
        places: Sequence[int] | None = None,
    ) -> list[Generation]:
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=max_tokens,
            seed=rollout_seed(*seed),
            **self.drawn,
        )
        return [self.engine.read(ids) for ids in self.engine.generate_ids(prompts, sampling, places=places)]
