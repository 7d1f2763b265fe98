"""Whether the gain is real: the headline and the checks that could refute it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.report.words import typeset

Difference = Mapping[str, Any]
"""`{"value", "low", "high", "p", …}` as shares: a paired difference with its 95% interval."""

MODES = ("sampled", "greedy")
"""The headline is about the first of these modes that was evaluated."""
MOST_WITHHELD = 0.01
MOST_UNANSWERED = 0.02
MOST_LOST = 0.05
"""An interval that reaches further below zero cannot rule out that the first try got worse."""


@dataclass(frozen=True, slots=True)
class Check:
    """One condition for believing the gain, and whether it holds."""

    title: str
    state: Literal["holds", "fails", "unknown"]
    finding: str
    is_claim: bool = False
    """Whether it is the paper's striking claim, which need not hold for the gain to be real."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run shows about its gain."""

    mode: str | None
    baseline: str | None
    trained: str | None
    before: Mapping[str, Any] | None
    """The baseline's second try, `{"value", "low", "high", "passed", "total"}`."""
    after: Mapping[str, Any] | None
    """The trained model's."""
    gain: Difference | None
    """Second try, trained − baseline, over the same rows; without an interval if the two were not compared."""
    headline: str
    checks: list[Check]


def evidence_of(figures: Mapping[str, Mapping[str, Any]], pairs: Iterable[Mapping[str, Any]]) -> Evidence:
    """The evidence in `figures` (label → figures.json) and `pairs` (from comparison.json)."""
    baseline, trained = roles_of(list(figures))
    pairs = list(pairs)
    modes = [mode for mode in MODES if any(_of(figures, label, mode) for label in (baseline, trained))]
    if trained is None or not modes:
        return Evidence(None, baseline, trained, None, None, None, _without(baseline, trained), [])
    mode = modes[0]
    before, after = _of(figures, baseline, mode, "second_try"), _of(figures, trained, mode, "second_try")
    gain = _pair(pairs, baseline, trained, mode, "second_try")
    if gain is None and before and after:
        gain = {"value": after["value"] - before["value"]}
    headline = _headline(mode, before, after, gain)
    checks = [
        _check("The gain is more than chance", gain, "Second try, trained − before"),
        *(
            _check(
                f"It shows in {other} decoding too",
                _pair(pairs, baseline, trained, other, "second_try"),
                "Second try, trained − before",
            )
            for other in modes[1:]
        ),
        *(
            _check(
                typeset(control.claim),
                _of(figures, trained, mode, "gains", control.gain),
                typeset(control.difference),
            )
            for control in CONTROLS
        ),
        _kept(_pair(pairs, baseline, trained, mode, "first_try")),
        _withheld([_of(figures, label, mode) for label in (baseline, trained)]),
        *_limits([_of(figures, label, mode) for label in (baseline, trained)]),
        *_unanswered([_of(figures, label, mode) for label in (baseline, trained)]),
        _check(
            "First try, trained, beats second try before",
            _pair(pairs, baseline, trained, mode, "first_try_b_vs_second_try_a"),
            "First try trained − second try before",
            is_claim=True,
        ),
    ]
    return Evidence(mode, baseline, trained, before or None, after or None, gain, headline, checks)


def roles_of(labels: list[str]) -> tuple[str | None, str | None]:
    """The labels of the model before training and of the trained model.

    >>> roles_of(["trained", "big", "vanilla"])
    ('vanilla', 'trained')
    >>> roles_of(["vanilla"])
    ('vanilla', None)
    """
    baseline = "vanilla" if "vanilla" in labels else next((label for label in labels if label != "trained"), None)
    if "trained" in labels:
        return baseline, "trained"
    return baseline, next((label for label in reversed(labels) if label != baseline), None)


def points(share: float) -> str:
    """A difference of shares in signed percentage points.

    >>> points(0.3478), points(-0.004), points(0)
    ('+34.8', '−0.4', '0.0')
    """
    text = f"{abs(share) * 100:.1f}"
    return text if text == "0.0" else ("+" if share > 0 else "−") + text


def _headline(
    mode: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, gain: Difference | None
) -> str:
    if not (before and after and gain):
        have = "after" if after else "before"
        return f"Only the model {have} training was evaluated ({mode}), so the gain is unknown."
    change = points(gain["value"])
    levels = f"from {before['value'] * 100:.1f}% to {after['value'] * 100:.1f}% right"
    if "low" not in gain:
        return f"The second try went {levels}: {change} points, without an interval, since the two were not compared."
    change_with_interval = f"{levels}: {change} points, 95% interval {points(gain['low'])} to {points(gain['high'])}"
    if gain["low"] <= 0 <= gain["high"]:
        return f"The second try went {change_with_interval}, which chance could explain."
    return f"Training {'lifts' if gain['value'] > 0 else 'lowers'} the second try {change_with_interval}."


def _without(baseline: str | None, trained: str | None) -> str:
    if baseline is None:
        return "No model was evaluated, so the gain is unknown."
    if trained is None:
        return f"Only “{baseline}” was evaluated, so the gain is unknown."
    return "The evaluation has no figures, so the gain is unknown."


def _check(title: str, difference: Difference | None, what: str, *, is_claim: bool = False) -> Check:
    if not difference or "low" not in difference:
        return Check(title, "unknown", f"{what}: not measured.", is_claim)
    return Check(title, "holds" if difference["low"] > 0 else "fails", _finding(difference, what), is_claim)


def _kept(difference: Difference | None) -> Check:
    title = "The first try did not fall"
    if not difference or "high" not in difference:
        return Check(title, "unknown", "First try, trained − before: not measured.")
    finding = _finding(difference, "First try, trained − before")
    if difference["high"] < 0:
        fallen = points(-difference["value"]).lstrip("+")
        return Check(f"The first try fell by {fallen} point{'' if fallen == '1.0' else 's'}", "fails", finding)
    return Check(title, "holds" if difference["low"] > -MOST_LOST else "unknown", finding)


def _withheld(modes: Iterable[Mapping[str, Any] | None]) -> Check:
    title = "Hardly any verdict was withheld"
    withheld = total = 0
    for figures in modes:
        counts = (figures or {}).get("abstentions") or {}
        first = (figures or {}).get("first_try") or {"total": 0, "passed": 0}
        left_out = (figures or {}).get("left_out") or {}
        withheld += sum(counts.values())
        total += first["total"] + counts.get("first_try", 0)
        # After the first try, only failed rows are answered and judged again.
        failed = first["total"] - first["passed"]
        total += sum(failed - left_out.get(name, 0) for name in counts if name != "first_try")
    if not total:
        return Check(title, "unknown", "Not counted.")
    state: Literal["holds", "fails"] = "holds" if withheld <= MOST_WITHHELD * total else "fails"
    return Check(title, state, f"{withheld:,} of {total:,} verdicts ({withheld / total:.2%}).")


LIMITS = {
    "cut_off": "Hardly any text met the token limit",
    "step_limit": "Hardly any course met the step limit",
    "context_full": "Hardly any course filled the context",
}
"""A limit in `figures.json` → the check that it was hardly met."""


def _limits(modes: Sequence[Mapping[str, Any] | None]) -> list[Check]:
    """Whether hardly any text or course met a limit; nothing on a limit that none met."""
    checks = []
    for limit, title in LIMITS.items():
        counts: dict[str, tuple[int, int]] = {}
        for figures in modes:
            for name, (met, texts) in ((figures or {}).get(limit) or {}).items():
                so_far = counts.get(name, (0, 0))
                counts[name] = (so_far[0] + met, so_far[1] + texts)
        said = ", ".join(f"{name.replace('_', ' ')} {met / of:.1%} of {of:,}" for name, (met, of) in counts.items())
        fails = any(met > CUT_OFF_SHARE * of for met, of in counts.values())
        if counts:
            checks.append(Check(title, "fails" if fails else "holds", f"{said}."))
    return checks


def _unanswered(modes: Iterable[Mapping[str, Any] | None]) -> list[Check]:
    """Whether hardly any text lacks an answer; nothing if all have one."""
    kinds: Counter[str] = Counter()
    rows = 0
    for figures in modes:
        counts = (figures or {}).get("no_answers") or {}
        for counted in counts.values():
            kinds.update(counted)
        rows += ((figures or {}).get("first_try") or {"total": 0})["total"] + sum(counts.get("first_try", {}).values())
    if not kinds:
        return []
    said = ", ".join(f"{kind} {count:,}×" for kind, count in kinds.most_common())
    state: Literal["holds", "fails"] = "holds" if kinds.total() <= MOST_UNANSWERED * rows else "fails"
    return [Check("Hardly any answer is missing", state, f"{said}, in {rows:,} rows.")]


def _finding(difference: Difference, what: str) -> str:
    return (
        f"{what}: {points(difference['value'])} points"
        f" (95% interval {points(difference['low'])} to {points(difference['high'])})."
    )


def _pair(
    pairs: Iterable[Mapping[str, Any]], a: str | None, b: str | None, mode: str, figure: str
) -> Difference | None:
    for pair in pairs:
        if (pair.get("a"), pair.get("b"), pair.get("mode"), pair.get("figure")) == (a, b, mode, figure):
            return pair.get("difference") or None
    return None


def _of(figures: Mapping[str, Mapping[str, Any]], label: str | None, mode: str, *names: str) -> Any:
    value: Any = figures.get(label or "", {}).get("modes", {}).get(mode)
    for name in names:
        value = (value or {}).get(name)
    return value
