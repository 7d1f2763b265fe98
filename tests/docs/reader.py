"""A reader who follows a page of the documentation literally: saves its files, runs its commands, compares."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import Block, blocks

SAVED = re.compile(r"^Save this as `([^`]+)`")
EXITS = re.compile(r"<!-- exits (\d+) -->\Z")


@dataclass
class Reader:
    """Follows pages. Each shell block starts in the folder and environment that the previous one ended with."""

    home: Path
    """The folder with the saved state of the shell."""
    folder: Path
    """The current folder."""
    environment: Mapping[str, str]
    module: str = ""
    """The last Python file that was saved."""
    typed: list[tuple[str, str, str]] = field(default_factory=list)
    """Each shell block, what the page shows for it, and what it printed on both streams."""

    def follow(self, page: Path, skipped: Collection[str] = ()) -> None:
        """Do what the page says, except in the skipped sections. Raises AssertionError if the page is wrong."""
        for block, shown in with_output(page):
            if block.section in skipped or block.reason:
                continue
            if saved := SAVED.match(block.before):
                self.save(saved[1], block.text)
            elif block.language == "python":
                self.replace(block.text)
            elif block.language == "sh":
                self.type(block, shown)

    def save(self, name: str, text: str) -> None:
        """Save a file."""
        (self.folder / name).write_text(text, encoding="utf-8")
        if name.endswith(".py"):
            self.module = name

    def replace(self, text: str) -> None:
        """Replace the function of the same name in the last saved module."""
        path = self.folder / self.module
        lines = path.read_text(encoding="utf-8").splitlines()
        (new,) = functions(text)
        (old,) = (each for each in functions("\n".join(lines)) if each.name == new.name)
        lines[old.decorator_list[0].lineno - 1 : old.end_lineno] = text.splitlines()
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def type(self, block: Block, shown: str | None) -> None:
        """Run a shell block, and compare its exit code and its output."""
        state = self.home / "state.sh"
        script = f"""
            cd '{self.folder}'; if [ -e '{state}' ]; then . '{state}'; fi
            trap '{{ export -p; echo "cd \\"$PWD\\""; }} > {state}' EXIT
            set -e
        """
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{block.text}"],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        self.folder = Path(re.findall(r'^cd "(.*)"$', state.read_text(), re.MULTILINE)[-1])
        self.typed.append((block.text, shown or "", done.stdout))
        expected = EXITS.search(block.before)
        assert done.returncode == int(expected[1] if expected else 0), f"$ {block.text}{done.stdout}"
        if shown is not None:
            assert fits(shown, done.stdout), f"$ {block.text}{done.stdout}\n\nbut the page shows\n\n{shown}"


def with_output(page: Path) -> Iterator[tuple[Block, str | None]]:
    """The page's blocks, each shell block with the `text` block after it, which is its output."""
    found = blocks(page)
    for block, following in zip(found, [*found[1:], None], strict=True):
        belongs = block.language == "sh" and following is not None and following.language == "text"
        yield block, following.text if belongs and following is not None else None


def fits(shown: str, printed: str) -> bool:
    """Whether a text matches what the page shows: `…` matches anything; white space and seconds may differ.

    >>> fits("1 passed\\n…\\n", "1  passed\\nand more\\n")
    True
    >>> fits("1 passed in 0.2 s", "1 passed in 7.5 s")
    True
    >>> fits("1 passed", "2 passed")
    False
    """
    wanted, found = (re.sub(r"\b\d+\.\d+ s\b", "0 s", " ".join(text.split())) for text in (shown, printed))
    return re.fullmatch(re.sub(r"(\\ )?…(\\ )?", ".*", re.escape(wanted)), found) is not None


def functions(source: str) -> list[ast.FunctionDef]:
    """The functions of a module."""
    return [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)]
