"""Checks of the rows: both splits load, quickly, as JSON, the same each time, and they are disjoint."""

from __future__ import annotations

from rrr_core.conformance.results import Seen, Violation
from rrr_core.conformance.subject import Subject
from rrr_core.tasks.task import SPLITS
from rrr_core.text import counted

DATA_OPTIONS = "hooks.md#rrr_data_options"
HASHED_SPLITS = "cookbook.md#splits-from-one-pool-of-rows"


def check_splits_load(subject: Subject) -> Seen:
    """`train` and `test` each give at least one row."""
    counts = {split: len(subject.observed(f"rows {split}")["digests"]) for split in subject.rows}
    most = subject.settings.compared
    return Seen(" and ".join(f"{_counted(count, most)} of {split}" for split, count in counts.items()))


def check_rows_are_json(subject: Subject) -> Seen:
    """Each row is a mapping that JSON can hold."""
    return Seen(f"{sum(len(subject.observed(f'rows {split}')['digests']) for split in SPLITS):,} rows")


def check_splits_load_lazily(subject: Subject) -> Seen:
    """The first row of a split comes quickly, before all the others are made and held in memory."""
    limits, slowest = subject.settings, 0.0
    for split in SPLITS:
        found = subject.observed(f"rows {split}")
        slowest = max(slowest, found["seconds"])
        if found["seconds"] > limits.first_row_seconds:
            raise Violation(
                f"the first row of {split!r} took {found['seconds']:.1f} s; {limits.first_row_seconds:g} are allowed.",
                "Yield rows one by one as they are read or made.",
            )
        if found["megabytes"] > limits.first_row_megabytes:
            raise Violation(
                f"the first row of {split!r} took {found['megabytes']:,.0f} MB of memory; "
                f"{limits.first_row_megabytes:,} are allowed.",
                "Yield rows one by one instead of building a list of them all.",
            )
    return Seen(f"first row after {slowest:.2f} s")


def check_rows_are_deterministic(subject: Subject) -> Seen:
    """Loading a split again gives the same rows in the same order, in this process and in another."""
    again = subject.observed("again")
    for split in SPLITS:
        first = subject.observed(f"rows {split}")["digests"][: subject.settings.rows]
        elsewhere = subject.second.value(f"rows {split}")["digests"][: subject.settings.rows]
        for rows, where in ((again[split], "loaded a second time"), (elsewhere, "loaded in another process")):
            if rows != first:
                raise Violation(
                    f"{split!r} {where} differs {_difference(first, rows)}.",
                    "Seed every random choice with a fixed value, and sort what comes from a set or a folder.",
                )
    return Seen(f"{subject.settings.rows} rows of each split, three times")


def check_data_options_are_known(subject: Subject) -> Seen:
    """A misspelt `--data` key is refused in one line, and each declared default is what the rows get without it."""
    found = subject.observed("options")
    declare = f"Declare every option: `rrr docs {DATA_OPTIONS}`."
    if not found["refused"]:
        raise Violation(f"the data option {found['wrong']!a}, which it does not have, is ignored.", declare)
    if found["refused"] == "fault":
        raise Violation(
            f"the data option {found['wrong']!a}, which it does not have, gets {found['text'][:300]!a}.", declare
        )
    if not found["same"]:
        given = " ".join(f"{name}={text}" for name, text in found["defaults"].items())
        raise Violation(
            f"with its declared defaults spelt out (--data {given[:300]!a}) the rows of train are others.",
            "Let each DataOption's default be the value that the rows get without it.",
        )
    if found["declared"] is None:
        return Seen("none are declared, and an unknown one is refused")
    return Seen(counted(len(found["declared"]), "option") if found["declared"] else "it takes none")


def check_own_rows_are_kept(subject: Subject) -> Seen:
    """`rrr_row` gives the task's own rows back as they are, and refuses what is no row in one line."""
    found = subject.observed("own rows")
    if found is None:
        return Seen("there is no hook rrr_row: rows are taken as they are")
    if found["changed"]:
        raise Violation(
            f"rrr_row changes {found['changed']}, which is the task's own.",
            "Let it convert what is published, and return a row that is as rrr_load_dataset gives it.",
        )
    if not found["refused"]:
        said = f"gets {found['text'][:300]!a}" if found["text"] else "is taken as a row"
        raise Violation(
            f"an object without any key {said}.",
            "Raise RowError of rrr_core.row_files for what is no row of the task, saying what is wrong.",
        )
    return Seen(f"{sum(map(len, subject.rows.values())):,} rows")


def check_splits_are_disjoint(subject: Subject) -> Seen:
    """No row of `test` is also in `train` or has the same prompt as a row of `train`."""
    train, test = (subject.observed(f"rows {split}")["digests"] for split in SPLITS)
    _check_disjoint(train, test, "is also a row of train", "Does rrr_load_dataset use its argument `split`?")
    prompts = subject.observed("prompts")["prompts"]
    all_shared = "Does rrr_prompt use its row?"
    _check_disjoint(prompts["train"], prompts["test"], "has the same prompt as a row of train", all_shared)
    return Seen(f"the first {len(train):,} of train and {len(test):,} of test")


def _check_disjoint(train: list[str], test: list[str], what: str, all_shared: str) -> None:
    """Raise Violation if a row is shared; the remedy is `all_shared` if all of several are."""
    known = {row: place for place, row in reversed(list(enumerate(train)))}
    shared = [(place, known[row]) for place, row in enumerate(test) if row in known]
    if shared:
        place, other = shared[0]
        remedy = f"Assign each row to a split by a hash of its content: `rrr docs {HASHED_SPLITS}`."
        raise Violation(
            f"row {place} of test {what} (row {other}). {len(shared):,} of the first {len(test):,} are shared.",
            all_shared if len(shared) == len(test) > 1 else remedy,
        )


def _difference(first: list[str], again: list[str]) -> str:
    for place, (one, other) in enumerate(zip(first, again, strict=False)):
        if one != other:
            return f"from row {place} on"
    return f"in length: {len(first):,} rows, then {len(again):,}"


def _counted(count: int, most: int) -> str:
    return ("" if count < most else "the first ") + counted(count, "row")
