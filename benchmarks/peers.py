"""Other packages' verifiers behind a line protocol, run by an interpreter that has them. Started by verifiers.py.

Reads JSON lines and answers each with one line: `{"row", "answer"}` → `{"passed"}` or `{"error"}`; `{"pairs",
"seconds"}` → `{"verdicts", "seconds"}`, in processor time. Whatever a peer can work out from a row alone is worked out
once per row, before its time is taken, as a user in a hurry would. It runs in a scratch folder and is killed if it
takes too long, because some of these verifiers execute the answers.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
import types
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MOST_MEMORY = 4 << 30
"""Bytes of address space."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Peer:
    """A verifier in two steps."""

    prepare: Callable[[Row], Any]
    """What it needs of a row."""
    judge: Callable[[Any, str], bool]
    """Whether an answer passes, given what is needed of its row."""


def reasoning_gym() -> Peer:
    """Its Countdown score, after its own extraction of the answer; 1.0 is a pass."""
    import reasoning_gym as package
    from reasoning_gym.utils import extract_answer

    dataset = package.create_dataset("countdown", size=1, seed=1)

    def prepare(row: Row) -> Row:
        return {"metadata": {"numbers": row["nums"], "target": row["target"]}}

    def judge(entry: Row, answer: str) -> bool:
        return bool(dataset.score_answer(extract_answer(answer), entry) == 1.0)

    return Peer(prepare, judge)


def math_verify() -> Peer:
    """Compares what is between the answer's tags, as mathematics, with the target.

    It gets only the target, so it does not know which numbers had to be used.
    """
    from math_verify import parse
    from math_verify import verify as compare

    def prepare(row: Row) -> Any:
        return parse(str(row["target"]))

    def judge(target: Any, answer: str) -> bool:
        between = answer.rpartition("<answer>")[2].partition("</answer>")[0]
        return bool(compare(target, parse(f"${between}$")))

    return Peer(prepare, judge)


def bfcl() -> Peer:
    """BFCL's comparison of calls in any order, on the JSON that its handlers for open models find in the text.

    Types come from the gold values. Its model table, which imports every vendor's client, is replaced by one
    that changes no name.
    """
    table = types.ModuleType("bfcl_eval.constants.model_config")
    table.MODEL_CONFIG_MAPPING = defaultdict(lambda: types.SimpleNamespace(underscore_to_dot=False))  # type: ignore[attr-defined]
    sys.modules[table.__name__] = table
    from bfcl_eval.constants.enums import Language
    from bfcl_eval.eval_checker.ast_eval.ast_checker import ast_checker

    kinds = {bool: "boolean", int: "integer", float: "float", str: "string", list: "array", dict: "dict"}

    def described(value: Any) -> Row:
        kind = kinds.get(type(value), "any")
        return {"type": kind, "items": described(value[0] if value else "")} if kind == "array" else {"type": kind}

    def allowed(value: Any) -> Any:
        return {key: [item] for key, item in value.items()} if isinstance(value, dict) else value

    def found(answer: str) -> Any:
        tagged = re.findall(r"<tool_call>\s*(.*?)\s*</tool_call>", answer, re.DOTALL)
        if tagged:
            return [json.loads(text) for text in tagged]
        return json.loads(answer.strip("`\n ").removeprefix("json"))

    def prepare(row: Row) -> tuple[list[Row], list[Row]]:
        functions = [
            {
                "name": call["name"],
                "parameters": {
                    "properties": {name: described(value) for name, value in call["arguments"].items()},
                    "required": list(call["arguments"]),
                },
            }
            for call in row["answers"]
        ]
        gold = [
            {call["name"]: {name: [allowed(value)] for name, value in call["arguments"].items()}}
            for call in row["answers"]
        ]
        return functions, gold

    def judge(prepared: tuple[list[Row], list[Row]], answer: str) -> bool:
        try:
            output = [{call["name"]: call["arguments"]} for call in found(answer)]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False  # its handlers count what they cannot decode as wrong
        functions, gold = prepared
        return bool(ast_checker(functions, output, gold, Language.PYTHON, "parallel_multiple", "any")["valid"])

    return Peer(prepare, judge)


PEERS: dict[str, Callable[[], Peer]] = {"reasoning-gym": reasoning_gym, "math-verify": math_verify, "bfcl-eval": bfcl}


def timed(judge: Callable[[Any, str], Any], pairs: list[tuple[Any, str]], seconds: float) -> dict[str, float]:
    """Repeated verdicts, and their processor time."""
    verdicts = 0
    start = time.process_time()
    while time.process_time() - start < seconds:
        for row, answer in pairs:
            judge(row, answer)
        verdicts += len(pairs)
    return {"verdicts": verdicts, "seconds": time.process_time() - start}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    replies, sys.stdout = sys.stdout, sys.stderr
    peer = PEERS[sys.argv[1]]()
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        if "pairs" in asked:
            pairs = [(peer.prepare(row), answer) for row, answer in asked["pairs"]]
            reply: dict[str, Any] = timed(peer.judge, pairs, asked["seconds"])
        else:
            try:
                reply = {"passed": peer.judge(peer.prepare(asked["row"]), asked["answer"])}
            except BaseException as error:  # noqa: BLE001  # an exit or an exhausted stack is the verifier's fault too
                reply = {"error": type(error).__name__}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
