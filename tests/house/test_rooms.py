"""The rooms of the house: what may import what, what lies at the root, and where a run folder's names are joined."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import rrr_core

CORE = Path(rrr_core.__file__).parent
ROOT = Path(__file__).parents[2]

FLOORS = (
    {"errors", "text", "seeds", "progress"},
    {"records"},
    {"verdicts"},
    {"hookspecs", "episode"},
    {"config", "runs", "rewards"},
    {"row_files", "profiling", "processes"},
    {"tasks"},
    {"chat"},
    {"conversation", "verification", "generation", "answering"},
    {"limits"},
    {"mining", "evaluation", "training"},
    {"judging", "probing", "cluster"},
    {"report", "overlays", "exports", "conformance"},
    {"pipeline", "doctor", "scaffolding", "testing", "launch", "index"},
    {"planning"},
    {"pytest_plugin", "cli", "__main__"},
)
"""From the ground up. A room imports from its own floor and from the floors below."""
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}
MODULES = {
    ".".join(path.relative_to(CORE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(CORE.rglob("*.py"))
    if path != CORE / "__init__.py" and "template" not in path.relative_to(CORE).parts
}


def imports_of(path: Path) -> Iterator[str]:
    """Modules of the core that a file imports, within functions too, below `rrr_core.`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name.removeprefix("rrr_core.") in MODULES else node.module for name in inner]
        else:
            continue
        yield from (name.removeprefix("rrr_core.") for name in names if name.startswith("rrr_core."))


GRAPH = {module: sorted(set(imports_of(path)) - {module}) for module, path in MODULES.items()}


def circles(graph: dict[str, list[str]]) -> list[list[str]]:
    """Every group of modules that import each other, by Tarjan's strongly connected components."""
    found: list[list[str]] = []
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> None:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for other in graph.get(module, []):
            if other not in numbers:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], numbers[other])
        if lowest[module] == numbers[module]:
            place = stack.index(module)
            group, stack[place:] = stack[place:], []
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in numbers:
            visit(module)
    return found


def test_circles_are_found() -> None:
    assert circles({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]


def test_no_modules_import_each_other() -> None:
    assert circles(GRAPH) == []


def test_every_room_has_a_floor() -> None:
    assert {module.partition(".")[0] for module in MODULES} == set(FLOOR_OF)


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_a_room_imports_nothing_of_a_floor_above(room: str) -> None:
    above = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if module.partition(".")[0] == room
        for other in others
        if FLOOR_OF[other.partition(".")[0]] > FLOOR_OF[room]
    ]
    assert above == []


def test_the_root_shows_at_most_a_dozen_modules() -> None:
    assert len({path.stem for path in CORE.glob("*.py")} - {"__main__"}) <= 12  # which Python itself asks for


FILE_NAMES = re.compile(
    r"^(mine|train|eval|model)$|^(manifest|run|profile|summary|figures|comparison|complete)\.json$"
    r"|^(metrics|episodes)\.jsonl$|^report\.html$|^(shard|refreshed|checkpoint)-"
)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"runs.layout"}))
def test_only_the_layout_joins_the_names_of_a_run_folder(module: str) -> None:
    joined = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and any(
            isinstance(part, ast.Constant) and isinstance(part.value, str) and FILE_NAMES.search(part.value)
            for part in ast.walk(node.right)
        )
    ]
    assert joined == []


NAME = re.compile(r"\brrr_core(?:\.\w+)+")


def named_in(text: str) -> set[str]:
    return {name for name in NAME.findall(text) if not name.endswith(".py")}


def names_at(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """What the statements of a module or class define → the body of what is a class, nothing for the rest."""
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        match node:
            case ast.ClassDef():
                found[node.name] = node.body
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found[node.name] = []
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name: [] for alias in node.names}
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {each.id: [] for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            case ast.If() | ast.Try():
                found |= names_at([*node.body, *node.orelse])
    return found


def resolves(name: str) -> bool:
    """Whether a dotted name is a module of the core, or something one defines; found without importing it."""
    parts = name.split(".")[1:]
    paths = {"": CORE / "__init__.py", **MODULES}
    end = max(end for end in range(len(parts) + 1) if ".".join(parts[:end]) in paths)
    body = ast.parse(paths[".".join(parts[:end])].read_text(encoding="utf-8")).body
    for attribute in parts[end:]:
        names = names_at(body)
        if attribute not in names and attribute != "__all__":
            return False
        body = names.get(attribute, [])
    return True


def test_names_that_are_not_there_are_found() -> None:
    assert resolves("rrr_core.seeds")
    assert resolves("rrr_core.episode.segments.Segment.to_json")
    assert resolves("rrr_core.hookimpl")
    assert not resolves("rrr_core.settings")
    assert not resolves("rrr_core.seeds.derived_seed")


PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "plugins").glob("*/*.md")),
    *MODULES.values(),
    *sorted((ROOT / "plugins").glob("*/src/**/*.py")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_of_the_core_on_a_page_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        tree = ast.parse(text)
        text = "\n".join(
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )
    missing = {name for name in named_in(text) if not resolves(name)}
    assert missing == set()
