"""The documentation site: the repository's Markdown unchanged, built by Sphinx with MyST.

The pages are plain Markdown that reads well on any Git host. The source folder is the repository, so a link
between two pages, or to a source file, is the same relative link on the site. `docs/index.md` defines the navigation:
each of its lists of links becomes a part of it, under the heading above the list.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "rrr"
author = "the rrr authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "AGENTS.md",
    "plugins/*/*.md",
    "benchmarks/README.md",
]
exclude_patterns = [".*", "build", "dist"]
myst_heading_anchors = 4  # the same anchors as on Git hosts
myst_links_external_new_tab = False
nitpicky = True
smartquotes = False
highlight_language = "text"

html_theme = "furo"
html_title = f"rrr {version}"
html_extra_path = ["front"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

HEADING_OR_LINK = re.compile(r"^## (?P<caption>.+)$|^- \[(?P<title>[^]]+)\]\((?P<target>[^)#]+)\.md\)", re.MULTILINE)


def navigation(index: str) -> str:
    """The hidden tables of contents for the lists of links in `index`.

    ```
    ## Write a task                    ```{toctree}
    - [Tutorial](tutorial.md): …   →   :caption: Write a task
                                       Tutorial <tutorial>
    ```
    """
    parts: dict[str, list[str]] = {}
    caption = ""
    for match in HEADING_OR_LINK.finditer(index):
        if match["caption"]:
            caption = match["caption"]
        else:
            parts.setdefault(caption, []).append(f"{match['title'].replace('`', '')} <{match['target']}>")
    trees = (
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(links) + "\n```\n"
        for caption, links in parts.items()
    )
    return "\n".join(["", *trees])


def add_navigation(_app: Sphinx, document: str, source: list[str]) -> None:
    """Add the navigation made from its lists to the index."""
    if document == root_doc:
        source[0] += navigation(source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", add_navigation)
