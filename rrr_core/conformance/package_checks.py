"""Checks of the package: it loads, imports nothing heavy, can be pickled, and describes itself."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rrr_core.conformance.results import Seen, Violation
from rrr_core.conformance.subject import Subject
from rrr_core.tasks import find_tasks
from rrr_core.tasks.hooks import HOOKS

UPPER, LOWER = ("<", "<=", "==", "~=", "==="), (">", ">=", "==", "~=", "===")
"""Operators that bound a range of versions from above, and from below."""


def check_task_loads(subject: Subject) -> Seen:
    """The plugin's module can be imported, and its hooks are those of the contract."""
    seconds = subject.observed("load")["seconds"]
    hooks = sum(subject.task.implements(hook) for hook in HOOKS)
    return Seen(f"{hooks} hooks, imported in {seconds:.2f} s")


def check_import_is_light(subject: Subject) -> Seen:
    """Importing the plugin imports no torch, transformers, trl, vllm or the like."""
    heavy = subject.observed("load")["heavy"]
    if heavy:
        raise Violation(
            f"importing it imports {', '.join(heavy)}.",
            "Import such packages inside the functions that use them.",
        )
    return Seen()


def check_plugin_is_picklable(subject: Subject) -> Seen:
    """Another process finds the hooks' functions by module and name, and the examples can be pickled."""
    problems = subject.observed("pickle")
    if problems:
        raise Violation(f"{problems[0]}.", "Define each hook with def at the top of a module.")
    return Seen()


def check_metadata_are_complete(subject: Subject) -> Seen:
    """The distribution states its summary, its licence, its Pythons, and the range of cores that it supports."""
    name = next(entry.distribution for entry in find_tasks() if entry.name == subject.name)
    fields = metadata.metadata(name)

    def stated(key: str) -> bool:
        # Build tools write UNKNOWN if nothing was given.
        return any(each.strip() not in ("", "UNKNOWN") for each in fields.get_all(key) or [])

    lacks = []
    if not stated("Summary"):
        lacks.append("a summary (`description`)")
    classified = any(each.startswith("License ::") for each in fields.get_all("Classifier") or [])
    if not classified and not stated("License-Expression") and not stated("License"):
        lacks.append("a licence (`license`)")
    if not stated("Requires-Python"):
        lacks.append("`requires-python`")
    operators = {
        each.operator
        for requirement in map(Requirement, fields.get_all("Requires-Dist") or [])
        if canonicalize_name(requirement.name) == "rrr-core"
        for each in requirement.specifier
    }
    if not operators & set(LOWER) or not operators & set(UPPER):
        lacks.append("a range of rrr-core with both ends, such as `rrr-core>=0.1,<0.2`")
    if lacks:
        raise Violation(
            f"its metadata lack {' and '.join(lacks)}.", "Add what is missing to [project] in its pyproject.toml."
        )
    return Seen()


def check_manifest_is_complete(subject: Subject) -> Seen:
    """`rrr_manifest` gives a summary, the rows' source, revision and licence, and the error classes."""
    manifest = subject.manifest
    if manifest is None:
        raise Violation("there is no hook rrr_manifest.", "Add one that returns a Manifest.")
    lacks = [name for name in ("summary", "source", "revision", "data_license") if not getattr(manifest, name).strip()]
    if not manifest.categories:
        lacks.append("categories")
    if lacks:
        raise Violation(f"its Manifest has no {' and no '.join(lacks)}.", "Fill them in.")
    twice = {each for each in manifest.categories if manifest.categories.count(each) > 1}
    if twice:
        raise Violation(f"its Manifest names the class {min(twice)!a} twice.", "Name each once.")
    return Seen(f"rows from {manifest.source} under {manifest.data_license}")
