"""Fuzzing targets: each task's rows, the tokens of its language, seed texts, and its oracle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

ROWS = 32
LITERAL = 0xE0
"""Bytes below this are tokens."""

SPACES = [" ", "\n", "\t", "\r", "\u00a0", "\u200b", "\x0b", "\x00"]
ODD = ["\ud800", "\u202e", "４", "٤", "²", "é", "e\u0301", "🙂", "\x7f", "\\", "'", '"', "`", "$", "#", "_", ".", ","]


@dataclass(frozen=True)
class Target:
    """What to fuzz in one task."""

    verify: Callable[[Mapping[str, Any], str], Any]
    oracle: Callable[[Mapping[str, Any], str], bool | None]
    rows: Sequence[Mapping[str, Any]]
    tokens: Sequence[Sequence[str]]
    """For each row, the token of every byte below LITERAL."""
    build: Callable[[Mapping[str, Any], bytes], str]
    """Builds a well-formed text, right or nearly so, from a row and any bytes."""
    seeds: Sequence[tuple[int, str]]
    """Seed texts, each with its row's index; split into tokens where possible."""


def every_byte(tokens: Sequence[str]) -> list[str]:
    """The tokens, repeated until every byte below LITERAL has one."""
    return [tokens[code % len(tokens)] for code in range(LITERAL)]


def build_equation(row: Mapping[str, Any], body: bytes) -> str:
    """The row's numbers in some order, with operators and parentheses, built so most of it parses."""
    codes = iter(body)
    waiting = list(row["nums"])
    parts: list[str] = []
    opened = 0
    while waiting:
        code = next(codes, 0)
        if code & 0x80:
            parts.append("(" * (1 + (code & 1)))
            opened += 1 + (code & 1)
        if code & 0x40:
            parts.append("-")
        parts.append(str(waiting.pop(next(codes, 0) % len(waiting)) + (code == 0x3F)))
        if code & 0x20 and opened:
            parts.append(")")
            opened -= 1
        if waiting:
            parts.append(" " * (code & 1) + "+-*/×÷−·"[code >> 1 & 7])
    parts.append(")" * opened)
    if next(codes, 0) & 1:
        parts.append(f" = {row['target']}")
    return f"<answer>{''.join(parts)}</answer>"


WRAPPINGS = [
    "{}", "```json\n{}\n```", "```{}```", "So:\n```\n{}\n```\nDone.", "<tool_call>{}</tool_call>",
    "<|tool_call|>{}<|/tool_call|>", "<|python_tag|>{}", "<think>[]</think>{}", "\n {} ", "{} ", "```{}", "{}[]",
]  # fmt: skip
VALUES = [
    "0", "-0", "1", "1.0", "true", "false", "null", '""', '"1"', "[]", "{}", "[1]", '{"a": 1}', "1e999", "0.1",
    '"\\ud800"', "9007199254740992", "9007199254740993", "1e-400", "[[1], 1]", '"é"', '"e\\u0301"', "5", "5.0", "50e-1",
    "-1E400",
]  # fmt: skip


def build_calls(row: Mapping[str, Any], body: bytes) -> str:
    """The row's calls in valid JSON, each call and argument respelt, moved, broken or left out as the bytes say."""
    codes = iter(body)
    wrapping = WRAPPINGS[next(codes, 0) % len(WRAPPINGS)]
    chosen = list(row["answers"])
    code = next(codes, 0)
    if chosen:
        turn = code % len(chosen)
        chosen = chosen[turn:] + chosen[:turn]
        if code & 0xE0 == 0xE0:
            chosen.append(chosen[0])
        elif code & 0xE0 == 0xC0:
            chosen.pop()
    texts = [call_text(call, codes) for call in chosen]
    if code & 0xF0 == 0xA0:
        return "\n".join(f"<tool_call>{text}</tool_call>" for text in texts)
    return wrapping.replace("{}", f"[{', '.join(texts)}]", 1)


def call_text(call: Mapping[str, Any], codes: Iterator[int]) -> str:
    """One call: one byte for the whole, and one for each argument."""
    arguments = []
    for name, value in call["arguments"].items():
        code = next(codes, 0)
        key, text = json.dumps(name), json.dumps(value, ensure_ascii=bool(code & 1))
        match code >> 4:
            case 15:
                continue
            case 14:
                key = json.dumps(f"{name}_")
            case 13:
                text = VALUES[next(codes, 0) % len(VALUES)]
            case 12:
                text = f"[{text}]"
            case 11:
                text = json.dumps(text)
            case 10 if type(value) is int:
                text = f"{value}{('.0', 'e0', '.000E+0', '0e-1')[code & 3]}"
            case 9 if type(value) is int:
                text = f"{value}.{'0' * (code & 7)}1"
            case 8 if type(value) is str:
                text = f'"{"".join(f"{chr(92)}u{ord(letter):04x}" for letter in value if ord(letter) < 65536)}"'
            case 7 if type(value) is list:
                text = json.dumps(value[::-1])
            case 6:
                arguments.append(f"{key}: {text}")
        arguments.append(f"{key}:{' ' * (code & 1)}{text}")
    code = next(codes, 0)
    if code & 1:
        arguments.reverse()
    if code & 0xF0 == 0xF0:
        arguments.append(f'"extra": {VALUES[next(codes, 0) % len(VALUES)]}')
    members = [f'"name": {json.dumps(call["name"] + ("_" if code & 0xF0 == 0xE0 else ""))}']
    members.append(f'"arguments": {{{", ".join(arguments)}}}')
    if code & 2:
        members.reverse()
    if code & 0xF0 == 0xD0:
        members.append('"id": 1')
    return f"{{{', '.join(members)}}}"


def countdown() -> Target:
    from oracles import countdown as oracle
    from rrr_countdown.equations import verify
    from rrr_countdown.generated import Recipe, generate
    from rrr_countdown.gold import gold_answer
    from rrr_countdown.hostile import CASES

    rows = [
        *islice(generate("test", Recipe((2, 5), 99, "+-*/")), ROWS - 6),
        {"nums": [0, 7], "target": 7},
        {"nums": [2, 5], "target": -3},
        {"nums": [3, 3, 8, 8], "target": 24},
        {"nums": [1], "target": 1},
        {"nums": [0, 0], "target": 0},
        {"nums": [44, 19, 35], "target": 60},
    ]
    general = [
        *"0123456789+-*/()=×·÷−", *SPACES, "<answer>", "</answer>", "<answer", "</", ">", "<", "**", "//",
        "--", "1e", "0x", "inf", "x", "=-", "(-", "-(", ")*(", "/0", "*0", "+0", "-0", *ODD, "<think>", "</think>",
    ]  # fmt: skip
    tokens = [every_byte([*map(str, row["nums"]), str(row["target"]), *general]) for row in rows]
    seeds = [(i, gold_answer(tuple(row["nums"]), row["target"]) or "") for i, row in enumerate(rows)]
    seeds += [(i, text.replace("</answer>", f"={rows[i]['target']}</answer>")) for i, text in seeds]
    seeds += [(rows.index(case.row), case.answer) for case in CASES if case.row in rows and len(case.answer) < 500]
    return Target(verify, oracle, rows, tokens, build_equation, seeds)


def apigen() -> Target:
    from oracles import apigen as oracle
    from rrr_apigen.calls import verify
    from rrr_apigen.generated import Recipe, generate

    rows: list[dict[str, Any]] = [
        *islice(generate("test", Recipe()), ROWS - 4),
        {"answers": []},
        {"answers": [{"name": "ping", "arguments": {}}, {"name": "ping", "arguments": {}}]},
        {"answers": [{"name": "f", "arguments": {"a": 0, "b": 0.5, "c": 9007199254740993, "d": -1e300}}]},
        {"answers": [{"name": "f", "arguments": {"x": [1, "1", True, None, {"y": [], "z": {}}]}}]},
    ]
    general = [
        *'[]{},:"0123456789-+.eE\\', *SPACES, "```", "```json\n", "\n```", "<tool_call>", "</tool_call>",
        "<|tool_call|>", "<|/tool_call|>", "<|python_tag|>", "<think>", "</think>", '"name"', '"arguments"',
        '{"name": ', ', "arguments": ', "{}", "[]", "null", "true", "false", "NaN", "Infinity", "-Infinity", "1.0",
        "-0", "e0", "e1", "e-1", ".0", "0.", "00", "1e400", "1e999999999999999999999", "\\u0061", "\\ud800", "\\n",
        '\\"', ", ", "}]", "[{", "}}", "So: ", *ODD,
    ]  # fmt: skip
    tokens = []
    seeds = []
    for index, row in enumerate(rows):
        pieces: list[str] = []
        calls = [json.dumps(call) for call in row["answers"]]
        for call in row["answers"]:
            pieces += [json.dumps(call), json.dumps(call["name"]), json.dumps(call["arguments"])]
            for name, value in call["arguments"].items():
                pieces += [f"{json.dumps(name)}: {json.dumps(value)}", json.dumps(name), json.dumps(value)]
        tokens.append(every_byte([*dict.fromkeys(pieces)][: LITERAL - len(general)] + general))
        array = f"[{', '.join(calls)}]"
        tagged = "".join(f"<tool_call>{call}</tool_call>\n" for call in calls)
        reversed_array = f"[{', '.join(reversed(calls))}]"
        seeds += [
            (index, text)
            for text in (
                array, reversed_array, f"```json\n{array}\n```", tagged, f"<tool_call>{array}</tool_call>",
                f"So: ```{array}```", f"<|tool_call|>{array}<|/tool_call|>", f"<|python_tag|>{array}",
                f"<think>{array}</think>{array}", json.dumps(row["answers"], indent=1),
            )
        ]  # fmt: skip
    return Target(verify, oracle, rows, tokens, build_calls, seeds)


TARGETS: dict[str, tuple[Callable[[], Target], list[str]]] = {
    "countdown": (countdown, ["rrr_countdown.equations"]),
    "apigen": (
        apigen,
        ["rrr_apigen.calls", "rrr_apigen.strict_json", "rrr_apigen.wrappings", "rrr_apigen.differences"],
    ),
}
"""By task: how to make its target, and which modules to instrument."""
