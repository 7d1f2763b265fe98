"""What mining found: running sums over mined rows, and the summary made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class MiningSummary:
    """What mining found, counted over all shards; `summary.json` holds it."""

    rows: int = 0
    """Rows tried: fewer than were asked for where the data set has fewer."""
    failures: int = 0
    failed_rows: int = 0
    abstained_rows: int = 0
    """Rows set aside because their verifier withheld a verdict; failures found before that are kept."""
    tries: int = 0
    """Tries that count: those up to each row's last wanted failure."""
    passes: int = 0
    abstentions: int = 0
    pass_rate: float | None = None
    """Passes over judged tries. Rows that are often passed get more tries, so it is above the model's accuracy."""
    first_try_passes: int = 0
    first_try_pass_rate: float | None = None
    """The model's accuracy: rows whose first try passed over rows whose first try was judged."""
    tokens: int | None = None
    """Tokens of the tries that count; None where the engine does not tell."""
    seconds: float = 0.0
    """Wall time of the call that wrote the last shard."""

    def describe(self) -> str:
        """One line for a person."""
        rate = self.first_try_pass_rate
        parts = [
            f"{self.failures} failures in {self.rows} rows, {self.tries} tries",
            "" if rate is None else f"first try right in {rate:.1%}",
            f"{self.abstained_rows} rows set aside because their verifier abstained" if self.abstained_rows else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass
class Tally:
    """Running sums over the records of finished shards."""

    sums: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            (
                "rows",
                "failures",
                "failed_rows",
                "abstained_rows",
                "tries",
                "passes",
                "abstentions",
                "first_try_passes",
            ),
            0,
        )
    )
    first_tries: int = 0
    tokens: int | None = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count one row.

        Its first try failed where a failure has try 0, and was abstained from where it is the only one.
        """
        failures, abstentions = record["failures"], record["abstentions"]
        first_failed = any(failure["try_index"] == 0 for failure in failures)
        first_abstained = record["tries"] == 1 and abstentions == 1
        for name, count in {
            "rows": 1,
            "failures": len(failures),
            "failed_rows": bool(failures),
            "abstained_rows": bool(abstentions),
            "tries": record["tries"],
            "passes": record["passes"],
            "abstentions": abstentions,
            "first_try_passes": not first_failed and not first_abstained,
        }.items():
            self.sums[name] += int(count)
        self.first_tries += not first_abstained
        tokens = record.get("tokens")
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens

    def note(self) -> str:
        """A few words on how it goes; the rate is that of first tries, which no row's luck can skew."""
        rate = _share(self.sums["first_try_passes"], self.first_tries)
        return f"{self.sums['failures']} failures" + ("" if rate is None else f", pass rate {rate:.0%}")

    def summary(self, seconds: float) -> MiningSummary:
        return MiningSummary(
            **self.sums,
            pass_rate=_share(self.sums["passes"], self.sums["tries"] - self.sums["abstentions"]),
            first_try_pass_rate=_share(self.sums["first_try_passes"], self.first_tries),
            tokens=self.tokens,
            seconds=round(seconds, 3),
        )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
