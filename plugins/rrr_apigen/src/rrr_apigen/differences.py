"""Differences: whether two lists of calls are the same multiset, and if not, in which class and where they differ.

Calls are matched by hashing, never by trying orders. The details pair each leftover call with the nearest one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias, TypeVar

from rrr_apigen.strict_json import hashable, shown

TOOL_CHOICE = "tool choice"
PARAMETER_NAMES = "parameter names"
PARAMETER_VALUES = "parameter values"

Call: TypeAlias = dict[str, Any]
Item = TypeVar("Item")

MOST_COMPARED = 20
"""Calls on either side that are searched for the nearest pair."""
MOST_SHOWN = 3
"""Names that a detail lists."""
LONGEST_SHOWN = 60
"""Characters of a value or name that a detail quotes."""


def find(calls: Sequence[Call], gold: Sequence[Call]) -> tuple[str, str] | None:
    """The class in which the calls differ from the row's and a detail in printable ASCII, or None if they match."""
    names, gold_names = [call["name"] for call in calls], [call["name"] for call in gold]
    if names != gold_names:
        extra, missing = _beyond(names, names, gold_names), _beyond(gold_names, gold_names, names)
        if extra or missing:
            return TOOL_CHOICE, _counted(extra, missing)
    wrong, lacking = _unmatched(calls, gold, lambda call: (call["name"], frozenset(call["arguments"])))
    if wrong:
        return PARAMETER_NAMES, _names_detail(wrong, lacking)
    if len(calls) == 1:  # the usual case, which needs no hashing
        wrong, lacking = ([], []) if calls == gold else (list(calls), list(gold))
    else:
        wrong, lacking = _unmatched(calls, gold, lambda call: (call["name"], hashable(call["arguments"])))
    if wrong:
        return PARAMETER_VALUES, _values_detail(wrong, lacking)
    return None


def _unmatched(
    calls: Sequence[Call], gold: Sequence[Call], key: Callable[[Call], Hashable]
) -> tuple[list[Call], list[Call]]:
    """The calls that no call of the row matches by a key, and the row's calls that none matches; repetitions count."""
    keys, gold_keys = [key(call) for call in calls], [key(call) for call in gold]
    return _beyond(calls, keys, gold_keys), _beyond(gold, gold_keys, keys)


def _beyond(items: Sequence[Item], keys: Sequence[Hashable], others: Sequence[Hashable]) -> list[Item]:
    """The items left over when each of the other keys has taken one that equals it."""
    left: dict[Hashable, int] = {}
    for key in others:
        left[key] = left.get(key, 0) + 1
    beyond = []
    for item, key in zip(items, keys, strict=True):
        count = left.get(key, 0)
        if count:
            left[key] = count - 1
        else:
            beyond.append(item)
    return beyond


def _names_detail(wrong: Sequence[Call], lacking: Sequence[Call]) -> str:
    """What the nearest pair of calls of one function differs in: which parameters are too many, which are missing."""

    def distance(call: Call, other: Call) -> int:
        return len(call["arguments"].keys() ^ other["arguments"].keys())

    call, gold = _nearest(wrong, lacking, lambda call: call["name"], distance)
    names, gold_names = call["arguments"], gold["arguments"]
    return f"{_cut(shown(call['name']))}: " + _counted(
        [name for name in names if name not in gold_names], [name for name in gold_names if name not in names]
    )


def _values_detail(wrong: Sequence[Call], lacking: Sequence[Call]) -> str:
    """What the nearest pair of calls of one function with the same parameters differs in: the first wrong value."""

    def different(call: Call, other: Call) -> list[str]:
        return [name for name, value in call["arguments"].items() if other["arguments"][name] != value]

    call, gold = _nearest(
        wrong,
        lacking,
        lambda call: (call["name"], frozenset(call["arguments"])),
        lambda call, other: len(different(call, other)),
    )
    names = different(call, gold)
    value, gold_value = _window(shown(call["arguments"][names[0]]), shown(gold["arguments"][names[0]]))
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return f"{_cut(shown(call['name']))}: {_cut(shown(names[0]))} is {value}, not {gold_value}{more}"


def _nearest(
    calls: Sequence[Call],
    others: Sequence[Call],
    group: Callable[[Call], Hashable],
    distance: Callable[[Call, Call], int],
) -> tuple[Call, Call]:
    """The nearest two calls of one group. Both sides have the same number of calls in each group, so a pair exists."""
    first = group(calls[0])
    some = [call for call in calls if group(call) == first][:MOST_COMPARED]
    other_some = [other for other in others if group(other) == first][:MOST_COMPARED]
    return min(((call, other) for call in some for other in other_some), key=lambda pair: distance(*pair))


def _counted(extra: Sequence[str], missing: Sequence[str]) -> str:
    """`lacks "a"; has "b" too many`."""
    parts = []
    if missing:
        parts.append(f"lacks {_listed(missing)}")
    if extra:
        parts.append(f"has {_listed(extra)} too many")
    return "; ".join(parts)


def _listed(names: Sequence[str]) -> str:
    texts = [_cut(shown(name)) for name in names[:MOST_SHOWN]]
    return ", ".join(texts) + (f" and {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")


def _window(text: str, other: str) -> tuple[str, str]:
    """Two texts cut to show the place where they start to differ."""
    if max(len(text), len(other)) <= LONGEST_SHOWN:
        return text, other
    both = min(len(text), len(other))
    start = next((place for place in range(both) if text[place] != other[place]), both) - LONGEST_SHOWN // 3
    if start <= 0:
        return _cut(text), _cut(other)
    return _cut(f"...{text[start:]}"), _cut(f"...{other[start:]}")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."
