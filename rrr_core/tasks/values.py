"""What a plugin's hooks may return: each check returns a safe value, or raises ValueError saying what is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from rrr_core.errors import DataError
from rrr_core.hookspecs import DataOption, Manifest, Model
from rrr_core.row_files.options import KINDS, VALUE_KINDS, check_value
from rrr_core.tasks.tools import TOOLS_ROLE, read_tools
from rrr_core.text import one_line
from rrr_core.verdicts import WITHHELD, Verdict, passed

ROLES = ("system", "user", "assistant")
"""Of messages; a prompt and a worked conversation may begin with tools, too."""
_PASSED = passed()


def checked_row(row: object) -> dict[str, Any]:
    """A row as if read back from JSON, so a plugin sees the same row before and after it is stored.

    `{"numbers": (1, 2)}` → `{"numbers": [1, 2]}`
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"is {a_value(row)}, not a mapping")
    try:
        whole: dict[str, Any] = json.loads(json.dumps(dict(row), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON-able: {one_line(str(error))}") from None
    return whole


def private_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a row that a hook may change freely."""
    return {key: _copy(value) for key, value in row.items()}


def private(value: Any) -> Any:
    """A copy of a JSON value that a hook may change freely."""
    return _copy(value)


def checked_prompt(prompt: object, model: Model, may_call: bool = False) -> tuple[dict[str, str], ...]:
    """Messages that end with the user's; a string is a single user message.

    The first may be a tools message if the model takes tools; where a task may call them, if its calls can be read.
    """
    given = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    messages = checked_messages(given, (TOOLS_ROLE, *ROLES))
    for index, message in enumerate(messages):
        if message["role"] == TOOLS_ROLE:
            _check_tools(index, message["content"], model.takes_tools or (may_call and model.calls))
    if messages[-1]["role"] != "user":
        raise ValueError(f"its last message has the role {messages[-1]['role']!r}, not 'user'")
    return messages


def checked_messages(messages: object, roles: Sequence[str] = ROLES) -> tuple[dict[str, str], ...]:
    """At least one message, each with exactly a `role` (one of `roles`) and a `content`."""
    if not isinstance(messages, Sequence) or isinstance(messages, (str, bytes)):
        raise ValueError(f"gave {a_value(messages)}, not a list of messages")
    if not messages:
        raise ValueError("gave no message")
    return tuple(checked_message(index, message, roles) for index, message in enumerate(messages))


def checked_text(text: object) -> str:
    """Text that is not blank and can be encoded as UTF-8, as tokenizers require."""
    if not encodable(text).strip():
        raise ValueError("gave blank text")
    return str(text)


def encodable(text: object) -> str:
    """Text that can be encoded as UTF-8."""
    if not isinstance(text, str):
        raise ValueError(f"gave {a_value(text)}, not a str")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"gave text with a lone surrogate at character {error.start}") from None
    return text


def checked_optional_text(text: object) -> str | None:
    """A `str`, or None if the plugin knows none."""
    if text is not None and not isinstance(text, str):
        raise ValueError(f"gave {a_value(text)}, neither a str nor None")
    return text


def checked_series(given: object, noun: str) -> Iterable[object]:
    """An iterable of items named by `noun`; a string or a mapping is a mistake."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ValueError(f"gave {a_value(given)}: return or yield {noun}s")
    return given


def checked_mapping(given: object) -> dict[str, Any]:
    """A mapping whose keys are strings."""
    if not isinstance(given, Mapping):
        raise ValueError(f"gave {a_value(given)}, not a mapping")
    for key in given:
        if not isinstance(key, str):
            raise ValueError(f"has {a_value(key)} as a key, not a str")
    return dict(given)


def checked_manifest(manifest: object) -> Manifest:
    """A manifest with each text on one line."""
    if not isinstance(manifest, Manifest):
        raise ValueError(f"gave {a_value(manifest)}, not a Manifest")
    for name in ("summary", "source", "revision", "data_license"):
        if not isinstance(getattr(manifest, name), str):
            raise ValueError(f"has {a_value(getattr(manifest, name))} as its {name}, not a str")
    categories: object = manifest.categories
    if isinstance(categories, str) or not isinstance(categories, Sequence):
        raise ValueError(f"has {a_value(categories)} as its categories, not a tuple of str")
    for category in categories:
        if not isinstance(category, str):
            raise ValueError(f"has {a_value(category)} among its categories, not a str")
    return Manifest(
        one_line(manifest.summary),
        one_line(manifest.source),
        one_line(manifest.revision),
        one_line(manifest.data_license),
        tuple(one_line(category, 80) for category in categories),
        bool(manifest.deterministic),
    )


def checked_option(option: object) -> DataOption:
    """A declared data option, whose default is one of its values."""
    if not isinstance(option, DataOption):
        raise ValueError(f"is {a_value(option)}, not a DataOption")
    for name in ("name", "help", "kind", "default"):
        if not isinstance(getattr(option, name), str):
            raise ValueError(f"has {a_value(getattr(option, name))} as its {name}, not a str")
    if not option.name or "=" in option.name or option.name.split() != [option.name]:
        raise ValueError(f"has the name {one_line(option.name, 40)!r}, which --data NAME=VALUE cannot set")
    if option.kind not in VALUE_KINDS:
        raise ValueError(f"has the kind {one_line(option.kind, 40)!r}, which is none of {', '.join(VALUE_KINDS)}")
    for name in ("choices", "sources"):
        words: object = getattr(option, name)
        if isinstance(words, str) or not (isinstance(words, Sequence) and all(isinstance(word, str) for word in words)):
            raise ValueError(f"has {a_value(words)} as its {name}, not a tuple of str")
    if unknown := [source for source in option.sources if source not in KINDS]:
        raise ValueError(f"has the source {one_line(unknown[0], 40)!r}, which is none of {', '.join(KINDS)}")
    if option.default:
        try:
            check_value("it", option, option.default)
        except DataError as error:
            wrong = str(error).removeprefix("it's data option ").rstrip(".")
            raise ValueError(f"has a default that does not fit: {wrong}") from None
    return DataOption(
        option.name,
        one_line(option.help),
        option.kind,
        one_line(option.default),
        option.bounds,
        tuple(option.choices),
        tuple(option.sources),
    )


def checked_judgements(verdicts: object, count: int) -> list[Verdict | None]:
    """`count` verdicts of a judge, which may withhold any, or return None to leave one to the next judge."""
    if verdicts is None:
        return [None] * count
    if isinstance(verdicts, (str, bytes)) or not isinstance(verdicts, Sequence):
        raise ValueError(f"gave {a_value(verdicts)}, not a list of verdicts")
    if len(verdicts) != count:
        raise ValueError(f"gave {len(verdicts)} verdicts for {count} answers")
    return [None if verdict is None else checked_verdict(verdict, may_withhold=True) for verdict in verdicts]


def checked_verdict(verdict: object, *, may_withhold: bool = False) -> Verdict:
    """A passed or failed verdict, or one withheld by a judge that may, with each text on one line."""
    if verdict is _PASSED or (type(verdict) is Verdict and _is_fine(verdict)):
        return verdict
    if verdict is None:
        raise ValueError("gave nothing: return passed() or failed(category, detail)")
    if not isinstance(verdict, Verdict):
        raise ValueError(f"gave {a_value(verdict)}, not a Verdict: return passed() or failed(category, detail)")
    for name in ("outcome", "category", "detail"):
        if not isinstance(getattr(verdict, name), str):
            raise ValueError(f"gave a Verdict whose {name} is {a_value(getattr(verdict, name))}, not a str")
    if verdict.score is not None:
        raise ValueError("gave a Verdict with a score: give the reward in rrr_reward")
    withheld = may_withhold and (verdict.outcome, verdict.category) == ("abstained", WITHHELD)
    if verdict.outcome not in ("passed", "failed") and not withheld:
        raise ValueError(
            f"gave a Verdict of the outcome {one_line(verdict.outcome, 40)!r}: return passed() or failed(…), "
            f"and raise where the verifier cannot judge"
        )
    return Verdict(verdict.outcome, one_line(verdict.category, 80), one_line(verdict.detail, 500))


def _is_fine(verdict: Any) -> bool:
    """Whether a verdict can be taken as it is, which nearly all can: a copy of each would cost more than the check."""
    category, detail = verdict.category, verdict.detail
    return (
        type(verdict.outcome) is type(category) is type(detail) is str
        and verdict.outcome in ("passed", "failed")
        and verdict.score is None
        and (not category or one_line(category, 80) == category)
        and (not detail or one_line(detail, 500) == detail)
    )


def checked_reward(reward: object) -> float | None:
    """A reward from 0 to 1, or None for the verdict's own."""
    if reward is None:
        return None
    if isinstance(reward, bool) or not isinstance(reward, Real):
        raise ValueError(f"gave {a_value(reward)}, not a number from 0 to 1 or None")
    try:
        number = float(reward)
    except OverflowError:
        raise ValueError("gave a number too large for a reward, which is from 0 to 1") from None
    if not 0 <= number <= 1:  # NaN is neither
        raise ValueError(f"gave {number:g}, not a number from 0 to 1")
    return number


def _check_tools(index: int, content: str, are_taken: bool) -> None:
    if index > 0:
        raise ValueError(f"message {index} has the role {TOOLS_ROLE!r}, which only the first may have")
    if not are_taken:
        raise ValueError(
            "gave tools to a model whose chat template has no place for them: where model.takes_tools is false, write"
            " them into the text"
        )
    try:
        read_tools(content)
    except ValueError as error:
        raise ValueError(f"message 0, the tools: {error}") from None


def checked_message(index: int, message: object, roles: Sequence[str]) -> dict[str, str]:
    if not isinstance(message, Mapping):
        raise ValueError(f"message {index} is {a_value(message)}, not a mapping")
    if set(message) != {"role", "content"}:
        found = ", ".join(sorted(one_line(str(key), 40) for key in message)) or "nothing"
        raise ValueError(f"message {index} has {found}; it must have exactly role and content")
    role = message["role"]
    if role not in roles:
        named = ", ".join(roles)
        raise ValueError(f"message {index} has the role {one_line(str(role), 40)!r}, which is none of {named}")
    try:
        return {"role": role, "content": checked_text(message["content"])}
    except ValueError as error:
        raise ValueError(f"message {index}: {error}") from None


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(inner) for inner in value]
    return value


def a_value(value: object) -> str:
    """A value described by its type, which is safe to print whatever its `__repr__` does."""
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
