"""The limit on texts without an answer, such as those that a server filtered: a job stops when there are too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rrr_core.episode import Generation
from rrr_core.errors import TooManyWithoutAnswer


class Unanswered:
    """Counts what an engine was asked to write, and what it has no answer to, by kind.

    No verifier is asked about these, so they count neither as its abstentions nor in any figure.
    """

    def __init__(self, allowed: float = 0.02, minimum: int = 100) -> None:
        """At most the share `allowed` (0 to 1) may be without an answer, checked once there are `minimum` texts."""
        self.allowed, self.minimum = allowed, minimum
        self.asked = 0
        self.kinds: Counter[str] = Counter()
        """Kind → texts without an answer."""

    def count(self, made: Sequence[Generation]) -> None:
        """Count what was written. Raises TooManyWithoutAnswer as soon as the limit is exceeded."""
        self.recall(len(made), [each.missing for each in made if each.missing])
        if self.asked >= self.minimum:
            self.check()

    def recall(self, asked: int, kinds: Iterable[str]) -> None:
        """Count an earlier call's texts, so that the limit holds for a resumed job as a whole."""
        self.asked += asked
        self.kinds.update(kinds)

    def check(self) -> None:
        """Raise TooManyWithoutAnswer if there are too many, however few texts there were."""
        missing = self.kinds.total()
        if missing <= self.allowed * self.asked:
            return
        counted = ", ".join(f"{count}× {kind}" for kind, count in self.kinds.most_common())
        raise TooManyWithoutAnswer(
            f"The model gave no answer to {missing} of {self.asked} requests ({counted}), and {self.allowed:.1%} are"
            " allowed. See the server's log, or allow more with --max-no-answer; what is finished is kept."
        )
