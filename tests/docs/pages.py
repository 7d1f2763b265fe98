"""Parses pages of Markdown: their fenced blocks, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
"""The pages with snippets to run."""
PAGES = sorted({*DOCS, *ROOT.glob("*.md"), *ROOT.glob("plugins/*/*.md"), *ROOT.glob("benchmarks/*.md")})
"""All pages, for the tests of links."""

FENCE = re.compile(r"^```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r"<!-- not run: ([^\n]+) -->\s*\Z")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    section: str
    """The second-level heading above it."""
    before: str
    """The paragraph or comment right above it."""

    @property
    def reason(self) -> str:
        """Why it is not run, from the comment `<!-- not run: … -->` right above it; empty if it is run."""
        match = NOT_RUN.search(self.before)
        return match[1] if match else ""


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(text):
        above = text[: match.start()]
        headings = re.findall(r"^## (.+)$", above, re.MULTILINE)
        paragraph = above.rstrip().rpartition("\n\n")[2]
        found.append(Block(match["language"], match["text"], headings[-1] if headings else "", paragraph))
    return found


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors that Git hosts and the documentation site make from the page's headings."""
    made: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+?)\s*$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        twins = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor) is not None for anchor in made)
        made.add(f"{slug}-{twins}" if twins else slug)
    return made


def links(page: Path) -> list[str]:
    """The targets of the page's links and images, outside code."""
    text = re.sub(r"`[^`\n]*`", "`code`", prose(page))
    return re.findall(r"\]\(([^)\s]+)\)", text)


def name_of(page: Path) -> str:
    """The page's path in the repository, as the name of a test."""
    return str(page.relative_to(ROOT))
