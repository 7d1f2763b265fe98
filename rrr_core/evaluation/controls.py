"""The controls: second tries that could refute a gain. All names, texts and conversations of a control are here.

To add a control, add an entry to `CONTROLS` and a heading to docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.conversation import retry_conversation, with_reflection
from rrr_core.episode import Episode, Segment
from rrr_core.errors import DataError, RrrError, nearest
from rrr_core.evaluation.borrowing import lenders
from rrr_core.hookspecs import Message, Model
from rrr_core.tasks import Task
from rrr_core.text import shown


@dataclass(frozen=True, slots=True)
class FailedRows:
    """The rows of a shard that a control has yet to answer right, from which it builds the conversations of a round."""

    task: Task
    model: Model
    episodes: Sequence[Episode]
    """One per row: what the control has read and written so far, ending in its last failed answer. In the first round
    that is the failed attempt; later, all earlier messages are the prompt."""
    prompts: Sequence[Sequence[Message]]
    """For each, the messages that present its row."""
    reflections: Mapping[int, Segment | None]
    """Row index → the model's own reflection in this round; None where it gave none. Only the rows that reached the
    round have an entry."""
    seed: int
    """The seed of the evaluation."""


Conversations = Sequence[Sequence[Message] | None]
"""For each row, the conversation to sample its next try from; None if the control cannot be run on it."""


@dataclass(frozen=True, slots=True)
class Control:
    """A second try that removes one ingredient of the retry after a reflection, with its names and texts."""

    key: str
    """Name in settings, seeds and `Episode.controls`."""
    figure: str
    """Name of the control's figure in `figures.json`."""
    heading: str
    """Full title of the figure: `second try, no reflection`."""
    short: str
    """Title in a word or two: a column heading, and `over …` for a gain."""
    answer: str
    """What the model writes, with an article: title of an answer in the report, and a choice in the option's help."""
    claim: str
    """What holds if the second try beats the control: a sentence of the report."""
    doubt: str
    """What is to be said if it does not."""
    difference: str
    """What is subtracted from what in that check."""
    conversations: Callable[[FailedRows], Conversations]
    is_always_sampled: bool = False
    """Whether to sample it in greedy mode too, since a greedy answer would repeat the first try."""
    short_later: str = "{short}"
    """`short` after several rounds: `{short}` stands for that, `{answers}` for how many answers that makes in all."""

    @property
    def gain(self) -> str:
        """The name in `figures.json` of the second try minus this control."""
        return f"reflection_vs_{self.figure}"

    def short_after(self, rounds: int) -> str:
        """Title in a word or two of as many tries as there were rounds."""
        return self.short_later.format(short=self.short, answers=rounds + 1)


def _at_once(failed: FailedRows) -> Conversations:
    return [retry_conversation(failed.task, each, failed.model) for each in failed.episodes]


def _after_anothers(failed: FailedRows) -> Conversations:
    given = {row: each for row, each in failed.reflections.items() if each is not None}
    rows = [each.row_index for each in failed.episodes]
    borrowers = [row for row in rows if row in given or row not in failed.reflections]
    # A lone failure has no reflection to borrow: the control is skipped, and the figures count it in `left_out`.
    lent = lenders({row: each.text for row, each in given.items()}, borrowers, failed.seed)

    def after(episode: Episode, reflection: Segment) -> Sequence[Message]:
        reflected = with_reflection(failed.task, episode, reflection.text, failed.model, reflection.thought)
        return retry_conversation(failed.task, reflected, failed.model)

    return [
        after(each, given[lent[row]]) if row in lent else None for row, each in zip(rows, failed.episodes, strict=True)
    ]


def _from_the_first_prompt(failed: FailedRows) -> Conversations:
    return failed.prompts


CONTROLS: tuple[Control, ...] = (
    Control(
        key="no_reflection",
        figure="no_reflection",
        heading="second try, no reflection",
        short="no reflection",
        answer="a retry without a reflection",
        claim="Reflecting beats just trying again",
        doubt="Reflecting is not shown to beat just trying again",
        difference="Its own reflection − none",
        conversations=_at_once,
    ),
    Control(
        key="other_reflection",
        figure="other_reflection",
        heading="second try, another row's reflection",
        short="another row's reflection",
        answer="a retry after another row's reflection",
        claim="The reflection is about its own row",
        doubt="Another row's reflection may do as well",
        difference="Its own reflection − another row's",
        conversations=_after_anothers,
    ),
    Control(
        key="independent",
        figure="pass_at_2",
        heading="two samples, either right (pass@2)",
        short="pass@2",
        answer="a second, independent sample",
        claim="Reflecting beats a second sample",
        doubt="Reflecting is not shown to beat a second sample",
        difference="Second try − pass@2",
        conversations=_from_the_first_prompt,
        is_always_sampled=True,
        short_later="pass@{answers}",
    ),
)
CONTROL_KEYS = tuple(control.key for control in CONTROLS)
NO_REFLECTION, OTHER_REFLECTION, INDEPENDENT = CONTROLS[:3]
"""The first shows whether reflecting adds anything at all."""
ALWAYS_SAMPLED = tuple(control for control in CONTROLS if control.is_always_sampled)


def control_named(key: str) -> Control:
    """The control with this key. Raises RrrError suggesting the nearest name."""
    for control in CONTROLS:
        if control.key == key:
            return control
    known = ", ".join(CONTROL_KEYS)
    raise RrrError(f"There is no evaluation control {shown(key)}: use {known}.{nearest(key, CONTROL_KEYS)}")


def read_evaluated(record: Any, place: str) -> Episode:
    """The episode in a JSON line. Raises DataError naming `place`, also for an unknown control."""
    episode = Episode.from_json(record, place)
    for key in episode.controls:
        try:
            control_named(key)
        except RrrError as error:
            raise DataError(f"{place}: {error}") from None
    return episode
