"""The prompts of a task as a model reads them: rendered by its chat template and counted by its tokenizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from rrr_core.conversation import conversation, reflection_request, retry_request
from rrr_core.episode import Episode, Segment
from rrr_core.errors import DataError, ModelError
from rrr_core.hookspecs import Model
from rrr_core.planning.lengths import Lengths
from rrr_core.verdicts import failed

if TYPE_CHECKING:
    from rrr_core.chat.format import ChatFormat
    from rrr_core.pipeline.opening import OpenTask

ROWS = 256
"""Most rows of a split whose prompts are rendered."""


@dataclass(frozen=True)
class Rendered:
    """What a task's rows come to in a model's tokens."""

    chat: ChatFormat
    prompt: Lengths
    shared: int
    """Tokens that all of the prompts begin with."""
    reflect: float
    again: float
    rows: dict[str, int]
    """Split → its rows, counted up to the number wanted."""
    extends: bool

    def tokens(self, episode: Episode) -> int:
        """Of a whole conversation."""
        written = sum(each.length or 0 for each in episode.segments if not each.is_read)
        read = sum(self._text(str(m.get("content", ""))) for each in episode.segments for m in each.messages)
        return written + read

    def shown(self, written: Iterable[Segment]) -> float:
        """The share of the tokens of texts that later prompts show, if the chat template drops their thoughts."""
        pairs = [(self._text(each.text) + 1, each.length) for each in written if each.length]
        if self.extends or not pairs:
            return 1.0
        return min(sum(shown for shown, _ in pairs) / sum(length for _, length in pairs), 1.0)

    def observed(self, episode: Episode) -> int:
        """What is read within the first answer."""
        read = [each for each in episode.segments if each.role == "observation"]
        return sum(self._text(str(message.get("content", ""))) for each in read for message in each.messages)

    def _text(self, text: str) -> int:
        return len(self.chat.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def rendered(each: OpenTask, chat: ChatFormat, model: Model, wanted: dict[str, int]) -> Rendered:
    """The prompts of the first rows of each split, of which so many are wanted.

    Raises DataError for a split without rows, ModelError for prompts that the model's context cannot hold, and what the
    task raises.
    """
    counts, rows = {}, []
    for split, most in wanted.items():
        counted = _counted(each, split, most)
        first = list(islice(counted, ROWS))
        counts[split] = len(first) + sum(1 for _ in counted)
        if not first:
            raise DataError(f"The {split} split of task {each.name!r} has no rows: check the `--data` options.")
        rows += first
    ids = chat.encode_prompts([each.task.prompt(row, model) for row in rows])
    asked = [_requests(each, chat, model, row) for row in rows[:16]]
    return Rendered(
        chat=chat,
        prompt=Lengths.of(map(len, ids)),
        shared=_common(min(ids), max(ids)) if len(ids) > 1 else 0,
        reflect=sum(one for one, _ in asked) / len(asked),
        again=sum(other for _, other in asked) / len(asked),
        rows=counts,
        extends=chat.extends(chat.thinks),
    )


def _counted(each: OpenTask, split: str, most: int) -> Iterator[Any]:
    return islice(iter(each.task.load_dataset(split, each.data)), most)


def _requests(each: OpenTask, chat: ChatFormat, model: Model, row: Any) -> tuple[int, int]:
    """Tokens of the requests to reflect and to try again, after a wrong answer."""
    prompt = Segment("prompt", each.task.prompt(row, model))
    answer = each.task.gold_answer(row) or "0"
    judged = answer if each.task.has_steps else None
    episode = Episode(0, row, (prompt, Segment("attempt", text=answer, judged=judged, verdict=failed("wrong"))))
    before = conversation(episode.segments[:1])
    requests = (reflection_request(each.task, episode, model), retry_request(each.task, episode, model))
    found = [len(chat.continuation_ids(before, one.messages[0]["content"], (), False)) for one in requests]
    return found[0], found[1]


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    return next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(one))


def check_fits(prompts: Rendered, context: int | None, task: str) -> None:
    """Raise ModelError for a prompt that leaves no room in the model's context."""
    if context is not None and prompts.prompt.longest >= context:
        raise ModelError(
            f"A prompt of task {task!r} has {prompts.prompt.longest:.0f} tokens, and the model's context holds"
            f" {context}: shorten the rows (--data) or use another model."
        )
