"""The results of the checks for machines: one JSON object, and JUnit's XML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from rrr_core.conformance.results import STATES, Result, exit_code

ELEMENTS = {"failed": "failure", "skipped": "skipped", "cannot be judged": "error", "fault": "error"}
"""State → JUnit's element for it."""
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold in any way (section 2.2)."""


def counts(results: Sequence[Result]) -> dict[str, int]:
    """State → the number of checks in it, in the order of the states."""
    found = Counter(result.state for result in results)
    return {state: found[state] for state in STATES}


def as_json(task: str, who: str, overlays: Sequence[str], results: Sequence[Result]) -> dict[str, Any]:
    """All results as one object that JSON can hold."""
    figures = {name: value for result in results for name, value in result.figures.items()}
    return {
        "task": task,
        "who": who,
        "overlays": list(overlays),
        "exit_code": exit_code(results),
        "counts": counts(results),
        "mutation_score": figures.get("mutation_score"),
        "checks": [asdict(result) for result in results],
    }


def as_junit(task: str, results: Sequence[Result]) -> bytes:
    """All results as JUnit's XML, one test case per check; well-formed whatever a plugin wrote."""
    found = counts(results)
    suite = ElementTree.Element(
        "testsuite",
        name=f"rrr check {writable(task)}",
        tests=str(len(results)),
        failures=str(found["failed"]),
        errors=str(found["cannot be judged"] + found["fault"]),
        skipped=str(found["skipped"]),
        time=f"{sum(result.seconds for result in results):.3f}",
    )
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"rrr.{writable(task)}", name=result.name, time=f"{result.seconds:.3f}"
        )
        if element := ELEMENTS.get(result.state):
            reason = ElementTree.SubElement(case, element, message=writable(result.message))
            if element == "error":
                reason.set("type", result.state)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    text: bytes = ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text


def writable(text: str) -> str:
    """The text with `�` for each character that XML cannot hold."""
    return _UNWRITABLE.sub("�", text)
