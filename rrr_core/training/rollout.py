"""One training rollout: rounds of a reflection and a retry on each failed attempt, and a verdict on each retry.

A group has G members. A member's chain of rounds ends with the first retry that does not fail, or after `--rounds`.
Sampled ids are kept as sampled: decoded to be read and judged, never encoded again, unless the chat template rewrites
what came before, such as a reflection's thought. A reflection that is empty, that the token limit cut off, or after
which a course has no room, gets no retry: its turn has failed, no verifier is asked, and its chain ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from rrr_core.answering import play_answers
from rrr_core.conversation import conversation, reflection_conversation, reflection_request, retry_request
from rrr_core.episode import Episode, Failure, Generation, Role, Segment, written
from rrr_core.generation.engine import Sampling, TokenEngine
from rrr_core.seeds import rollout_seed
from rrr_core.tasks import Task
from rrr_core.training.courses import Answers
from rrr_core.training.engine import drawn_logprobs
from rrr_core.training.options import drawn_by
from rrr_core.training.passes import Requests
from rrr_core.training.settings import TrainSettings
from rrr_core.verdicts import FULL, Verdict, failed
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
        self.context = engine.context if task.has_steps else None
        """Most ids of a course, which ends there. Without steps the lengths are checked before training."""

    def play(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        """The rounds on each failure; the caller repeats a failure once for each member of its group.

        With `places`, these are some of a batch, at those places in it: what is drawn on them is the same.
        """
        at = range(len(failures)) if places is None else places
        requests = {one.failure_id: retry_request(self.task, one.episode, self.engine.model) for one in failures}
        episodes = self._asked(failures)
        with self.engine.prefix_caching():
            for number in range(1, self.settings.rounds + 1):
                # Members keep their places in every round, so that a chain that ends changes no other's texts.
                going_on = [index for index, one in enumerate(episodes) if number == 1 or self._goes_on(one)]
                asked = [episodes[index] for index in going_on]
                if number > 1:  # a chain ends with the context
                    again = zip(going_on, self._asked_again(asked), strict=True)
                    with_room = [(index, one) for index, one in again if self._fits(one)]
                    going_on, asked = [index for index, _ in with_room], [one for _, one in with_room]
                if not going_on:
                    break
                played = self._round(
                    asked,
                    [requests[failures[index].failure_id] for index in going_on],
                    [at[index] for index in going_on],
                    seed,
                    number,
                )
                for index, episode in zip(going_on, played, strict=True):
                    episodes[index] = episode
        return episodes

    def _asked(self, failures: Sequence[Failure]) -> list[Episode]:
        """Each failure's episode with the request to reflect on it, whose ids are those of the whole prompt."""
        asked: dict[str, Episode] = {}
        for failure in failures:
            if failure.failure_id not in asked:
                # Ids that a file holds are of another conversation than this rollout's.
                episode = replace(failure.episode, segments=without_ids(failure.episode.segments))
                request = reflection_request(self.task, episode, self.engine.model)
                ids = self.engine.chat.encode_prompt(conversation((*episode.segments, request)))
                asked[failure.failure_id] = episode.extended(replace(request, ids=tuple(ids)))
        return [asked[failure.failure_id] for failure in failures]

    def _goes_on(self, episode: Episode) -> bool:
        """Whether another round follows: after a failed retry, if the conversation continues its sampled ids."""
        last = episode.segments[-1]
        is_failed = last.role == "retry" and last.verdict is not None and last.verdict.is_failed
        return is_failed and not episode.is_full and bool(last.ids) and self._extends(last)

    def _asked_again(self, episodes: Sequence[Episode]) -> list[Episode]:
        """Episodes that go on, each with the request to reflect on its failed retry."""
        requests = [reflection_request(self.task, episode, self.engine.model) for episode in episodes]
        return [
            episode.extended(request)
            for episode, request in zip(episodes, self._after(episodes, requests), strict=True)
        ]

    def _round(
        self,
        asked: Sequence[Episode],
        requests: Sequence[Segment],
        places: Sequence[int],
        seed: tuple[object, ...],
        number: int,
    ) -> list[Episode]:
        """A reflection on each episode, which ends in the request for it, and a judged retry after most of them.

        `requests` ask for the retries.
        """
        later = () if number == 1 else (number,)  # the first round has the seeds of a run without others
        contexts = [_ids(episode) for episode in asked]
        thoughts = self._sample(contexts, self.settings.max_reflection_tokens, (*seed, "reflection", *later), places)
        reflections = self._segments("reflection", contexts, thoughts)
        episodes = [
            episode.extended(replace(reflection, verdict=without_retry(reflection)))
            for episode, reflection in zip(asked, reflections, strict=True)
        ]
        retried = [index for index, reflection in enumerate(reflections) if without_retry(reflection) is None]
        between = self._after([episodes[index] for index in retried], [requests[index] for index in retried])
        again: dict[int, Episode] = {}
        for index, request in zip(retried, between, strict=True):
            asked_again = episodes[index].extended(request)
            if self._fits(asked_again):
                again[index] = asked_again
            else:
                episodes[index] = episodes[index].ending_in(verdict=FULL)
        played = self._answered(
            "retry",
            list(again.values()),
            self.settings.max_retry_tokens,
            (*seed, "retry", *later),
            [places[index] for index in again],
        )
        for index, episode in zip(again, played, strict=True):
            episodes[index] = episode
        return episodes

    def _answered(
        self, role: Role, asked: Sequence[Episode], most: int, seed: tuple[object, ...], places: Sequence[int]
    ) -> list[Episode]:
        """Each episode, which ends in a request, with a judged answer of actions of at most `most` tokens."""
        answers = Answers(
            places,
            seed,
            self._contexts,
            lambda contexts, seed, places: self._sample(contexts, most, seed, places),
            self._segments,
        )
        return play_answers(
            self.task,
            self.judge,
            role,
            asked,
            answers.draw,
            role,
            self.settings.max_steps,
            write=answers.write,
            follow=self._after,
            fits=self._fits,
            on_places=answers.at,
            read_calls=self.engine.read_calls,
        )

    def _fits(self, episode: Episode) -> bool:
        """Whether the model's context has room for a text after an episode that ends in a request."""
        return self.context is None or len(self._contexts([episode])[0]) < self.context

    def _contexts(self, episodes: Sequence[Episode]) -> list[Sequence[int]]:
        """The ids of episodes, each of which ends in a request; of the whole conversation where they do not go on."""
        encode = self.engine.chat.encode_prompt
        return [
            _ids(episode) if episode.segments[-1].ids else encode(conversation(episode.segments))
            for episode in episodes
        ]

    def prompt_of(self, failure: Failure) -> tuple[int, ...]:
        """The ids that a failure's reflections are sampled on; with `--credit attempt` its first tries."""
        messages: Sequence[dict[str, str]] = failure.prompt
        if not self.settings.only_first_tries:
            messages = reflection_conversation(self.task, failure.episode, self.engine.model)
        return tuple(self.engine.chat.encode_prompt(messages))

    def has_room(self, failure: Failure) -> bool:
        """Whether the model's context has room for a text after a failure's prompt; a mined course may fill it."""
        return self.context is None or len(self.prompt_of(failure)) < self.context

    def requests_of(self, failure: Failure) -> Requests:
        """How long what is read between a failure's texts is, if its retries were like its attempt."""
        model, last_try = self.engine.model, failure.episode.last_try
        asked = [
            reflection_request(self.task, failure.episode, model),
            retry_request(self.task, failure.episode, model),
        ]
        before = conversation(failure.episode.segments[:-1])
        asked += sorted(last_try[1::2], key=lambda each: len(each.messages[0]["content"]))[-1:]
        reflect, retry, *observe = (
            len(self.engine.chat.continuation_ids(before, request.messages[0]["content"], (), False))
            for request in asked
        )
        steps = self.settings.max_steps if self.task.has_steps else 1
        return Requests(reflect, retry, observe[0] if observe else 0, steps)

    def first_tries(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[Episode]:
        """A first try at each failure's row on its first prompt, judged; repeated and placed as for `play`."""
        chat = self.engine.chat
        distinct = {failure.failure_id: failure for failure in failures}
        prompts = {
            name: Segment("prompt", failure.prompt, ids=tuple(chat.encode_prompt(failure.prompt)))
            for name, failure in distinct.items()
        }
        asked = [Episode(one.row_index, one.row, (prompts[one.failure_id],)) for one in failures]
        with self.engine.prefix_caching():
            return self._answered(
                "attempt",
                asked,
                self.settings.max_attempt_tokens,
                (*seed, "first try"),
                range(len(asked)) if places is None else places,
            )

    def attempt(
        self, failures: Sequence[Failure], seed: tuple[object, ...], places: Sequence[int] | None = None
    ) -> list[tuple[Segment, ...]]:
        """One new, judged answer by the current policy to what each failure answers last; placed as for `play`.

        Of most that is an attempt, from the mined prompt. A failure that ends in a mined round's retry keeps what came
        before it, and gets a new retry. A task without steps is answered by one segment.
        """
        asked = []
        for failure in failures:
            *before, request = without_ids(failure.request)
            ids = self.engine.chat.encode_prompt(conversation((*before, request)))
            asked.append(Episode(failure.row_index, failure.row, (*before, replace(request, ids=tuple(ids)))))
        # The steps of a course share what is prefilled. A single text's last bit has never depended on a cache.
        with self.engine.prefix_caching() if self.task.has_steps else nullcontext():
            played = self._answered(
                "attempt",
                asked,
                self.settings.max_attempt_tokens,
                (*seed, "attempt"),
                range(len(asked)) if places is None else places,
            )
        # Without ids: the training prompt is the whole prompt of its reflection.
        return [
            without_ids(
                each if each.is_read else replace(each, role=failure.episode.segments[-1].role)
                for each in episode.segments[len(failure.request) :]
            )
            for failure, episode in zip(failures, played, strict=True)
        ]

    def _after(self, episodes: Sequence[Episode], requests: Sequence[Segment]) -> list[Segment]:
        """Each request as it follows its episode, with the ids that come after those of the text it ends in.

        Without ids where the template rewrites that text, such as one with a thought that it drops: then the whole
        conversation is encoded again.
        """
        chat = self.engine.chat
        known: dict[tuple[object, ...], tuple[int, ...]] = {}
        placed = []
        for episode, request in zip(episodes, requests, strict=True):
            *before, last = episode.segments
            (message,) = request.messages
            if not last.ids or not self._extends(last, message["role"]):
                placed.append(request)
                continue
            # They depend on the text only through its end token, so a group has one retry prompt, or very few; and on
            # the tool that it called last.
            end, called = None if last.is_cut_off else last.ids[-1], last.calls[-1].name if last.calls else None
            key = _ids_of(before), end, called, message["role"], message["content"]
            if key not in known:
                known[key] = tuple(
                    chat.continuation_ids(conversation(before), message, last.ids[-1:], end is not None, last.calls)
                )
            placed.append(replace(request, ids=known[key]))
        return placed

    def _extends(self, last: Segment, then: str = "user") -> bool:
        """Whether the conversation goes on from a text's sampled ids, if the user or a tool speaks then."""
        return self.engine.chat.extends(bool(last.thought), then, last.calls, last.text)

    def _segments(self, role: Role, prompts: Sequence[Sequence[int]], made: Sequence[Generation]) -> list[Segment]:
        """What was sampled on each prompt, with its ids."""
        drawn = drawn_logprobs(self.engine, prompts, [each.token_ids for each in made])
        return [
            replace(written(role, each), ids=each.token_ids, logprobs=logprobs)
            for each, logprobs in zip(made, drawn, strict=True)
        ]

    def _sample(
        self, prompts: Sequence[Sequence[int]], max_tokens: int, seed: tuple[object, ...], places: Sequence[int]
    ) -> list[Generation]:
        sampling = Sampling(
            temperature=self.settings.temperature,
            max_tokens=max_tokens,
            seed=rollout_seed(*seed),
            **self.drawn,
        )
        return [self.engine.read(ids) for ids in self.engine.generate_ids(prompts, sampling, places=places)]


def without_ids(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Segments as text alone."""
    return tuple(replace(each, ids=(), logprobs=None) for each in segments)


def _ids(episode: Episode) -> tuple[int, ...]:
    return _ids_of(episode.segments)


def _ids_of(segments: Sequence[Segment]) -> tuple[int, ...]:
    """The ids of segments, concatenated: what the network sees."""
    return tuple(token for segment in segments for token in segment.ids)
