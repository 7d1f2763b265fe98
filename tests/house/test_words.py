"""The field's words: what is said in a private dialect elsewhere is said here as everybody says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED = {
    "mend": "fix",
    "told": "reported, said, shown",
    "tell": "say, report, show, raise",
    "pose": "ask, prompt",
    "anew": "again",
    "begun": "started",
    "of use": "useful",
    "goes before": "overrides",
    "untold": "unknown",
    "of the moment": "current",
}
"""Word → what to write instead."""
FORMS = re.compile(
    r"\b(?:mend(?:s|ed|ing)?|told|tells?|telling|untold|pos(?:e|es|ed|ing)|anew|begun|of use|go(?:es)? before"
    r"|of the moment)\b",
    re.IGNORECASE,
)
SPARED = {
    "rrr_core/overlays/judge_prompt.py": "the prompt that a judging model reads",
    "rrr_core/template/v1": "what `rrr new` has written, with the text of licences",
    "plugins/rrr_countdown/src/rrr_countdown/hostile": "answers of models",
    "plugins/rrr_apigen/src/rrr_apigen/hostile": "answers of models",
    "plugins/rrr_apigen/src/rrr_apigen/generated": "rows and queries",
    "plugins/rrr_apigen/src/rrr_apigen/examples.py": "answers of models",
    "plugins/rrr_person_judge/src/rrr_person_judge/record.py": "a detail that verdict files keep",
    "plugins/rrr_person_judge/tests": "the same",
    "tests/house/test_words.py": "this list",
}
TEXTS = [
    path
    for folder in ("rrr_core", "rrr_taskset", "plugins", "docs", "benchmarks", "examples", "tests", "findings", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".md", ".js", ".html", ".css", ".toml", ".jinja", ".sh", ""}
    and path.is_file()
    and not any(part.startswith(".") for part in path.relative_to(ROOT / folder).parts)  # what tests cache there
] + sorted([*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.py"), ROOT / "tox.ini"])


def spared(path: Path) -> bool:
    return any(path.relative_to(ROOT).as_posix().startswith(place) for place in SPARED)


def found(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"{number}: {line.strip()[:100]}" for number, line in enumerate(lines, start=1) if FORMS.search(line)]


@pytest.mark.parametrize("word", BANNED)
def test_each_word_is_found(word: str) -> None:
    assert FORMS.search(f"it is {word} now")


@pytest.mark.parametrize(
    "path", [path for path in TEXTS if not spared(path)], ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_a_text_is_in_the_fields_words(path: Path) -> None:
    assert found(path) == []
