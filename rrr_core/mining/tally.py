"""What mining found: running sums over mined rows, and their summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.mining.mined_row import MinedRow, Reflected
from rrr_core.text import counted


@dataclass(frozen=True)
class MiningSummary:
    """What mining found, counted over all shards; `summary.json` holds it."""

    rows: int = 0
    """Rows tried: fewer than asked for if the data set has fewer."""
    failures: int = 0
    """Failing attempts; failed retries are counted in `reflected`."""
    failed_rows: int = 0
    abstained_rows: int = 0
    """Rows set aside because a verdict was withheld; failures found before that are kept."""
    tries: int = 0
    """Tries that count: those up to each row's last wanted failure."""
    passes: int = 0
    abstentions: int = 0
    """Verdicts that the verifier withheld."""
    unanswered_rows: int = 0
    """Rows set aside because a try had no answer."""
    no_answers: Mapping[str, int] = field(default_factory=dict)
    """Kind, such as `content filter` → tries without an answer, which are no abstentions."""
    cut_off: int = 0
    """Tries that met the token limit."""
    pass_rate: float | None = None
    """Passes over judged tries. Above the model's accuracy, since rows that are often passed get more tries."""
    first_try_passes: int = 0
    first_try_pass_rate: float | None = None
    """The model's accuracy: rows whose first try passed over rows whose first try was judged."""
    tokens: int | None = None
    """Tokens of the tries that count; None if the engine reports none."""
    sampled: int | None = None
    """All tries that were sampled, including those discarded; None if an older version mined some rows."""
    sampled_tokens: int | None = None
    """Tokens of all sampled tries: the cost of mining. None if the engine reports none or an older version mined."""
    seconds: float = 0.0
    """Wall time of the call that wrote the last shard."""
    reflected: Mapping[str, int | None] = field(default_factory=dict)
    """What came of reflecting on the failures: sums of the fields of `Reflected`; empty if no round was played."""

    def to_json(self) -> dict[str, Any]:
        """What `summary.json` holds: `reflected` only if a round was played."""
        return {name: value for name, value in asdict(self).items() if name != "reflected" or value}

    def describe(self) -> str:
        """The summary as one line of text."""
        share = self.cut_off / self.tries if self.tries else 0.0
        later = self.reflected
        kinds = ", ".join(f"{count}× {kind}" for kind, count in self.no_answers.items())
        rate, thrown_away = self.first_try_pass_rate, (self.sampled or 0) - self.tries
        tried = f"{counted(self.rows, 'row')}, {counted(self.tries, 'try', 'tries')}"
        again = later and f"{counted(later['retries'] or 0, 'retry', 'retries')} after a reflection"
        parts = [
            f"{counted(self.failures, 'failure')} in {tried}",
            f"{thrown_away} more thrown away" if thrown_away > 0 else "",
            f"{counted(later['failures'] or 0, 'more failure')} in {again}" if later else "",
            "" if rate is None else f"first try right in {rate:.1%}",
            _aside(self.abstained_rows, "the verifier abstained"),
            f"{share:.0%} of the tries cut off by --max-tokens" if share > CUT_OFF_SHARE else "",
            _aside(self.unanswered_rows, f"the model gave no answer ({kinds})"),
        ]
        return ", ".join(part for part in parts if part)


def _aside(rows: int, why: str) -> str:
    return f"{counted(rows, 'row')} set aside because {why}" if rows else ""


@dataclass
class Tally:
    """Running sums over the records of mined rows."""

    rows: int = 0
    failures: int = 0
    failed_rows: int = 0
    abstained_rows: int = 0
    tries: int = 0
    passes: int = 0
    abstentions: int = 0
    unanswered_rows: int = 0
    cut_off: int = 0
    no_answers: Counter[str] = field(default_factory=Counter)
    first_tries: int = 0
    """First tries that were judged."""
    first_try_passes: int = 0
    reflected: Counter[str] = field(default_factory=Counter)
    """Field of `Reflected` → its sum."""
    reflected_rows: int = 0
    failed_retries: int = 0
    tokens: int = 0
    sampled: int = 0
    sampled_tokens: int = 0
    unknown: dict[str, int] = field(
        default_factory=lambda: {"tokens": 0, "sampled": 0, "sampled_tokens": 0, "reflected": 0}
    )
    """Name of a sum → rows without a value for it. A sum with any such row is unknown."""

    def add(self, row: MinedRow, times: int = 1) -> None:
        """Count one row; `times=-1` removes it again.

        Its first try failed if a failure has try index 0; it was not judged if it is the only try and was withheld.
        """
        missing = row.unanswered
        self.rows += times
        self.failures += times * len(row.failures)
        self.failed_rows += times * bool(row.failures)
        self.abstained_rows += times * (row.abstentions > len(missing))
        self.unanswered_rows += times * bool(missing)
        self.tries += times * row.tries
        self.passes += times * row.passes
        self.cut_off += times * row.cut_off
        self.abstentions += times * (row.abstentions - len(missing))
        for kind in missing:
            self.no_answers[kind] += times
        self.count_first(row.failures[0].try_index if row.failures else None, row.tries, row.abstentions, times)
        if row.reflected is not None:
            self._add_reflected(row.reflected, times)
        for name in ("tokens", "sampled", "sampled_tokens"):
            value = getattr(row, name)
            if value is None:
                self.unknown[name] += times
            else:
                setattr(self, name, getattr(self, name) + times * value)

    def _add_reflected(self, later: Reflected, times: int) -> None:
        self.reflected_rows += times
        self.failed_retries += times * len(later.failures)
        self.unknown["reflected"] += times * (later.tokens is None)
        for name in ("reflections", "retries", "passes", "tokens", "abstentions", "unanswered"):
            self.reflected[name] += times * (getattr(later, name) or 0)

    def count_first(self, first_failure: int | None, tries: int, abstentions: int, times: int = 1) -> None:
        """Count a row's first try; `first_failure` is the try index of its first failure, None if it has none."""
        if tries == 1 and abstentions == 1:
            return
        self.first_tries += times
        self.first_try_passes += times * (first_failure != 0)

    def note(self) -> str:
        """A short progress note; its pass rate is of first tries, which repeated tries of a row cannot skew."""
        rate = _share(self.first_try_passes, self.first_tries)
        later = f" and {self.failed_retries} after a reflection" if self.failed_retries else ""
        return f"{counted(self.failures, 'failure')}{later}" + ("" if rate is None else f", pass rate {rate:.0%}")

    def summary(self, seconds: float) -> MiningSummary:
        return MiningSummary(
            rows=self.rows,
            failures=self.failures,
            failed_rows=self.failed_rows,
            abstained_rows=self.abstained_rows,
            tries=self.tries,
            passes=self.passes,
            abstentions=self.abstentions,
            unanswered_rows=self.unanswered_rows,
            no_answers={kind: count for kind, count in self.no_answers.most_common() if count},
            cut_off=self.cut_off,
            pass_rate=_share(self.passes, self.tries - self.abstentions - self.no_answers.total()),
            first_try_passes=self.first_try_passes,
            first_try_pass_rate=_share(self.first_try_passes, self.first_tries),
            tokens=None if self.unknown["tokens"] else self.tokens,
            sampled=None if self.unknown["sampled"] else self.sampled,
            sampled_tokens=None if self.unknown["sampled_tokens"] else self.sampled_tokens,
            seconds=round(seconds, 3),
            reflected=self._reflected(),
        )

    def _reflected(self) -> dict[str, int | None]:
        if not self.reflected_rows:
            return {}
        sums = {name: self.reflected[name] for name in ("reflections", "retries", "passes")}
        tokens = None if self.unknown["reflected"] else self.reflected["tokens"]
        withheld = {name: self.reflected[name] for name in ("abstentions", "unanswered")}
        return {**sums, "failures": self.failed_retries, **withheld, "tokens": tokens}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
