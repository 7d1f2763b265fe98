"""Whether the gain is real: the headline and the checks that could refute it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rrr_core.config.limits import CUT_OFF_SHARE
from rrr_core.evaluation.controls import CONTROLS
from rrr_core.report.words import typeset
from rrr_core.text import percent
from rrr_core.text import points as plain_points

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


def evidence_of(
    figures: Mapping[str, Mapping[str, Any]], pairs: Iterable[Mapping[str, Any]], unfinished: Iterable[str] = ()
) -> Evidence:
    """The evidence in `figures` (label → figures.json) and `pairs` (from comparison.json).

    `unfinished` are the labels of evaluations that have episodes but no figures yet.
    """
    baseline, trained = roles_of(list(figures))
    pairs = list(pairs)
    modes = [mode for mode in MODES if any(_of(figures, label, mode) for label in (baseline, trained))]
    if trained is None or not modes:
        return Evidence(None, baseline, trained, None, None, None, _without(baseline, trained, unfinished), [])
    mode = modes[0]
    before, after = _of(figures, baseline, mode, "second_try"), _of(figures, trained, mode, "second_try")
    gain = _pair(pairs, baseline, trained, mode, "second_try")
    if gain is None and before and after:
        gain = {"value": after["value"] - before["value"]}
    headline = _headline(mode, before, after, gain)
    checks = [
        _check(
            "The gain of {size} is more than chance",
            "Chance could explain the change of {change}",
            gain,
            "Second try, trained − before",
            worse="The second try got worse by {size}",
        ),
        *(
            _check(
                f"It shows in {other} decoding too: {{change}}",
                f"It does not show in {other} decoding: {{change}}",
                _pair(pairs, baseline, trained, other, "second_try"),
                f"Second try, {other}, trained − before",
            )
            for other in modes[1:]
        ),
        *(
            _check(
                f"{typeset(control.claim)}: {{change}}",
                f"{typeset(control.doubt)}: {{change}}",
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
            "Trained, the first try beats the second try before training: {change}",
            "Trained, the first try does not beat the second try before training: {change}",
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
    """A difference of shares in signed percentage points, typeset.

    >>> points(0.3478), points(-0.004), points(0)
    ('+34.8', '−0.4', '0.0')
    """
    return plain_points(share).replace("-", "−")


def _headline(
    mode: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, gain: Difference | None
) -> str:
    if not (before and after and gain):
        have = "after" if after else "before"
        return f"Only the model {have} training was evaluated ({mode}), so the gain is unknown."
    change = points(gain["value"])
    levels = f"from {percent(before['value'])}% to {percent(after['value'])}% right"
    if "low" not in gain:
        return f"The second try went {levels}: {change} points, without an interval, since the two were not compared."
    change_with_interval = f"{levels}: {change} points, 95% interval {points(gain['low'])} to {points(gain['high'])}"
    if gain["low"] <= 0 <= gain["high"]:
        return f"The second try went {change_with_interval}, which chance could explain."
    return f"Training {'lifts' if gain['value'] > 0 else 'lowers'} the second try {change_with_interval}."


def _without(baseline: str | None, trained: str | None, unfinished: Iterable[str]) -> str:
    partial = " and ".join(f"“{label}”" for label in unfinished)
    if partial and trained is None:
        done = "" if baseline is None else f"“{baseline}” was evaluated; "
        return f"{done}{'the' if done else 'The'} evaluation of {partial} is unfinished, so the gain is unknown."
    if baseline is None:
        return "No model was evaluated, so the gain is unknown."
    if trained is None:
        return f"Only “{baseline}” was evaluated, so the gain is unknown."
    return "The evaluation has no figures, so the gain is unknown."


def _check(
    holds: str, fails: str, difference: Difference | None, what: str, *, worse: str = "", is_claim: bool = False
) -> Check:
    """A check in a sentence: that it holds, that it is in doubt, or, if the interval is below zero, that it is `worse`.

    `{change}` in a sentence is the signed difference, `{size}` the difference without its sign.
    """
    if not difference or "low" not in difference:
        return Check(f"{what}: not measured", "unknown", "Evaluate both models on the same rows.", is_claim)
    state: Literal["holds", "fails"] = "holds" if difference["low"] > 0 else "fails"
    sentence = holds if state == "holds" else worse if worse and difference["high"] < 0 else fails
    value = difference["value"]
    said = sentence.format(change=_counted(points(value)), size=_counted(points(abs(value)).lstrip("+")))
    return Check(said, state, _finding(difference, what), is_claim)


def _counted(number: str) -> str:
    """A number of points with its noun.

    >>> _counted("+1.0"), _counted("2.0")
    ('+1.0 point', '2.0 points')
    """
    return f"{number} point{'' if number.lstrip('+−') == '1.0' else 's'}"


def _kept(difference: Difference | None) -> Check:
    if not difference or "high" not in difference:
        return Check("First try, trained − before: not measured", "unknown", "Evaluate both models on the same rows.")
    finding = _finding(difference, "First try, trained − before")
    change = _counted(points(difference["value"]))
    if difference["high"] < 0:
        return Check(f"The first try fell by {change.lstrip('−')}", "fails", finding)
    if difference["low"] > -MOST_LOST:
        title = "The first try did not fall" if difference["value"] >= 0 else "The first try hardly changed"
        return Check(f"{title}: {change}", "holds", finding)
    return Check(f"The first try may have fallen: {change}", "unknown", finding)


def _withheld(modes: Iterable[Mapping[str, Any] | None]) -> Check:
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
        return Check("Withheld verdicts: not counted", "unknown", "The figures do not say how many there were.")
    said = f"{withheld:,} of {total:,} verdicts ({withheld / total:.2%})."
    if withheld > MOST_WITHHELD * total:
        return Check(f"The verifier withheld {percent(withheld / total)}% of its verdicts", "fails", said)
    return Check("Hardly any verdict was withheld" if withheld else "No verdict was withheld", "holds", said)


LIMITS = {
    "cut_off": "text met the token limit",
    "step_limit": "course met the step limit",
    "context_full": "course filled the context",
}
"""A limit in `figures.json` → what met it, as a sentence goes on after “Hardly any” or “Many a”."""


def _limits(modes: Sequence[Mapping[str, Any] | None]) -> list[Check]:
    """Whether hardly any text or course met a limit; nothing on a limit that none met."""
    checks = []
    for limit, what in LIMITS.items():
        counts: dict[str, tuple[int, int]] = {}
        for figures in modes:
            for name, (met, texts) in ((figures or {}).get(limit) or {}).items():
                so_far = counts.get(name, (0, 0))
                counts[name] = (so_far[0] + met, so_far[1] + texts)
        said = ", ".join(f"{name.replace('_', ' ')} {met / of:.1%} of {of:,}" for name, (met, of) in counts.items())
        fails = any(met > CUT_OFF_SHARE * of for met, of in counts.values())
        if counts:
            title = f"{'Many a' if fails else 'Hardly any'} {what}"
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
    many = kinds.total() > MOST_UNANSWERED * rows
    title = "Many an answer is missing" if many else "Hardly any answer is missing"
    return [Check(title, "fails" if many else "holds", f"{said}, in {rows:,} rows.")]


def _finding(difference: Difference, what: str) -> str:
    return f"{what}, 95% interval {points(difference['low'])} to {points(difference['high'])}."


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
