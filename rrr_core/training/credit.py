"""Credit: which segments of an episode are trained, and what rewards them. A new mode is one entry in `CREDITS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rrr_core.episode import Episode, Role, Round, Segment
from rrr_core.errors import RrrError, nearest
from rrr_core.training.rewards import PLAIN, Rewards

Trains = Callable[[Sequence[Segment]], Sequence[bool]]
"""Which of an episode's sampled segments are trained: from the first one sampled on, those only read among them."""


def roles(*trained: Role) -> Trains:
    """All segments of these roles."""
    return lambda segments: [segment.role in trained for segment in segments]


@dataclass(frozen=True, slots=True)
class Credit:
    """One way to credit an episode's reward to what the model wrote after its failure."""

    name: str
    trains: Trains
    """Whole segments: their tokens share the reward."""
    help: str
    """For `--credit`, after `which tokens are trained:`."""
    shuffles: bool = False
    """Whether rewards are shuffled across the batch, so that they carry no information: a control."""
    by_round: bool = False
    """Whether, with several rounds, each trained segment has the return of its own round as its reward."""
    of_rounds: bool = False
    """Whether it differs from the other credits only with several rounds."""

    def marked(self, episode: Episode) -> Episode:
        """The episode, each sampled segment marked as trained or not."""
        before, sampled = before_sampled(episode), sampled_of(episode)
        marked = (
            segment if segment.is_read else replace(segment, is_trained=trained)
            for segment, trained in zip(sampled, self.trains(sampled), strict=True)
        )
        return replace(episode, segments=(*before, *marked))


def last_reflection(segments: Sequence[Segment]) -> list[bool]:
    """The last round's reflection: the passing one, if a round passes."""
    last = max((place for place, segment in enumerate(segments) if segment.role == "reflection"), default=None)
    return [place == last for place in range(len(segments))]


ATTEMPT = Credit("attempt", roles("attempt"), "those of new first tries, without any reflection: plain GRPO")
REFLECTION = Credit("reflection", roles("reflection"), "the reflection's", by_round=True)
CREDITS: dict[str, Credit] = {
    credit.name: credit
    for credit in (
        REFLECTION,
        Credit("retry", roles("retry"), "the retry's"),
        Credit("all", roles("reflection", "retry"), "all that the model wrote after its failure"),
        Credit(
            "placebo",
            REFLECTION.trains,
            "as a control, the reflection's with verdicts shuffled across the batch (placebo)",
            shuffles=True,
            by_round=True,
        ),
        Credit(
            "passing",
            last_reflection,
            "with several rounds, the last one's reflection's, which is the passing one if a round passes (passing)",
            of_rounds=True,
        ),
        ATTEMPT,
    )
}


def credit_named(name: str) -> Credit:
    """The credit of that name. Raises RrrError for an unknown one, suggesting the nearest."""
    if name not in CREDITS:
        raise RrrError(f"There is no credit {name!r}: use {', '.join(CREDITS)}.{nearest(name, CREDITS)}")
    return CREDITS[name]


def trains_reflections(credit: Credit) -> bool:
    """Whether a round's reflection is among what the credit trains."""
    return credit.trains([Segment("reflection"), Segment("prompt"), Segment("retry")])[0]


def check_context(credit: Credit, extends: bool, rounds: int = 1) -> None:
    """Raise RrrError if what is trained does not continue the context of what was written before it.

    Where a chat template rewrites earlier turns, as those do that drop thoughts, reflection and retry were written in
    two contexts, and no one pass over an episode is both. So is any round after the first.
    """
    if extends:
        return
    if rounds > 1:
        raise RrrError(
            f"--rounds {rounds} goes on from what was written before, and this model's chat template rewrites that (it"
            " drops earlier thoughts): use --keep-thoughts, or train with one round."
        )
    if credit.trains([Segment("reflection"), Segment("prompt"), Segment("retry")])[2]:
        raise RrrError(
            f"--credit {credit.name} trains the retry, and this model's chat template rewrites what comes before it (it"
            " drops earlier thoughts): use --keep-thoughts, or --credit reflection."
        )


def reward_of(episode: Episode, rewards: Rewards = PLAIN) -> float | None:
    """What the last answer is paid, 1 or 0 without more; None if its verdict was withheld or nothing is trained."""
    if not any(segment.is_trained for segment in episode.segments):
        return None
    return rewards.of(episode.last_verdict, sampled_reflections(episode))


def is_first_try(episode: Episode) -> bool:
    """Whether a training episode is a first try, without a reflection. All others go on after a failed one."""
    return not any(each.role == "reflection" for each in episode.segments)


def rewards_by_round(episode: Episode, rewards: Rewards = PLAIN) -> list[float | None]:
    """What each sampled round's retry is paid, by the length of its own reflection; of a first try its own reward."""
    if is_first_try(episode):
        return [reward_of(episode, rewards)]
    return [
        None if each.verdict is None else rewards.of(each.verdict, [each.reflection])
        for each in sampled_rounds(episode)
    ]


def sampled_reflections(episode: Episode) -> list[Segment]:
    """The reflections that were sampled."""
    return [each.reflection for each in sampled_rounds(episode)]


@dataclass(frozen=True, slots=True)
class Completion:
    """What TRL calls a completion: the ids after the prompt, and which of them are trained; lists of one length."""

    ids: list[int]
    mask: list[int]
    """1 on trained tokens, 0 on those only read."""
    logprobs: list[float] | None
    """The log-probability each id was drawn with; 0 on ids that nothing drew. None if the policy drew them."""
    is_cut_off: bool = False
    """Whether the token limit cut off the last text in it."""
    advantages: list[float] | None = None
    """The advantage of each id, 0 on those only read, if segments have their own; else None."""


def sampled_of(episode: Episode) -> Sequence[Segment]:
    """The segments from the first sampled one on."""
    return episode.segments[_first_sampled(episode) :]


def sampled_rounds(episode: Episode) -> list[Round]:
    """The rounds that were sampled; a mined failure may have others before them."""
    mined = sum(segment.role == "reflection" for segment in before_sampled(episode))
    return episode.rounds[mined:]


def sampled_tokens(episode: Episode) -> int:
    """How many ids were sampled for an episode."""
    return sum(segment.length or 0 for segment in sampled_of(episode) if not segment.is_read)


def before_sampled(episode: Episode) -> Sequence[Segment]:
    """The segments before the first sampled one: the training prompt."""
    return episode.segments[: _first_sampled(episode)]


def prompt_ids(episode: Episode) -> list[int]:
    """The ids of the training prompt."""
    return [token for segment in before_sampled(episode) for token in segment.ids]


def completion_of(episode: Episode) -> Completion:
    """From the first sampled segment to the last trained one, or to the last of all if none is trained."""
    sampled = list(sampled_of(episode))
    while not sampled[-1].is_trained and any(segment.is_trained for segment in sampled):
        sampled.pop()
    drawn_elsewhere = any(segment.logprobs is not None for segment in sampled)
    logprobs = [each for segment in sampled for each in segment.logprobs or [0.0] * len(segment.ids)]
    has_advantages = any(segment.advantage is not None for segment in sampled)
    return Completion(
        ids=[token for segment in sampled for token in segment.ids],
        mask=[int(segment.is_trained) for segment in sampled for _ in segment.ids],
        logprobs=logprobs if drawn_elsewhere else None,
        is_cut_off=sampled[-1].is_cut_off,
        advantages=[segment.advantage or 0.0 for segment in sampled for _ in segment.ids] if has_advantages else None,
    )


def _first_sampled(episode: Episode) -> int:
    """The place of the first sampled segment: the read segment before it is the first with ids."""
    return next(place for place, segment in enumerate(episode.segments) if segment.ids) + 1
