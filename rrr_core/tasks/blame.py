"""Blame: what an exception was and where in a plugin it came from, in one line that is safe to print and store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import FrameType, FunctionType

from rrr_core.text import one_line

IMPORT_DENIED = "the sandbox denied the import"
"""What the detail of an abstention says where a verifier imports while it judges."""


def describe_exception(error: BaseException, root: str) -> str:
    """`ZeroDivisionError at rrr_x/verify.py:12: division by zero`, for the plugin whose top-level package is `root`."""
    try:
        message = one_line(str(error.msg if isinstance(error, SyntaxError) else error))
    except KeyboardInterrupt:
        raise
    except BaseException as second:  # noqa: BLE001 - a plugin's own exception class may fail to format its message
        message = f"(its message raised {type(second).__name__})"
    place = plugin_location(error, root)
    return type(error).__name__ + (f" at {place}" if place else "") + (f": {message}" if message else "")


def denied_import(error: BaseException) -> str:
    """What to do about an exception of an import in a sandbox, which denies files; empty for any other exception.

    A denied folder cannot be listed either, so a module in it is not found.
    """
    remedy = f"{IMPORT_DENIED} of {{}}: import it at the top of the module"
    if isinstance(error, ImportError) and isinstance(error.name, str):
        name = one_line(error.name, 80)
        if isinstance(error, ModuleNotFoundError):
            return f"{name} is not installed, or {remedy.format('it')}"
        return remedy.format(name) if "denied" in str(error) or "not permitted" in str(error) else ""
    if isinstance(error, PermissionError):
        files = [frame.f_code.co_filename for frame, _ in frames(error)]
        if any(file.startswith("<frozen importlib") for file in files):
            return remedy.format(one_line(module_of(str(error.filename)), 80))
    return ""


def denied_call(error: BaseException) -> str:
    """What to do about an exception that the sandbox caused by refusing a system call; empty for any other exception.

    Libraries raise errors of their own from it, so its causes are looked at, too.
    """
    for each in causes(error):
        if not isinstance(each, PermissionError):
            continue
        files = [frame.f_code.co_filename.replace("\\", "/") for frame, _ in frames(each)]
        if isinstance(each.filename, str | bytes) and not any(file.endswith("/subprocess.py") for file in files):
            name = one_line(os.fsdecode(each.filename), 120)
            return f"the sandbox denied the file {name}: read it at the top of the module, and write below TMPDIR alone"
        if any(file.endswith(("/socket.py", "/ssl.py")) or "/asyncio/" in file for file in files):
            return "the sandbox denied a socket: only rrr_judge, in an overlay, has the network"
        if any(file.endswith("/subprocess.py") or "/multiprocessing/" in file for file in files):
            return "the sandbox denied a program: start it in rrr_judge, with rrr_core.limits.run_confined"
        return "the sandbox denied it: `rrr docs verification.md#what-a-worker-cannot-do` has the list"
    return ""


def causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it was raised from or while handling, newest first."""
    seen: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and not any(step is each for each in seen):
        seen.append(step)
        yield step
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)


def module_of(path: str) -> str:
    """The name of a module by its file.

    >>> module_of("/src/helpers/__init__.py"), module_of("/src/__pycache__/rules.cpython-313.pyc")
    ('helpers', 'rules')
    """
    parts = path.split("/")
    name = parts[-2] if parts[-1].startswith("__init__.") and len(parts) > 1 else parts[-1]
    return name.partition(".")[0]


def fix_or_report(distribution: str) -> str:
    """What to do about a plugin's fault; the reader may be its author."""
    return f"Fix it, or report it to the authors of {distribution}."


def plugin_location(error: BaseException, root: str) -> str:
    """`package/module.py:LINE` of the innermost frame inside the package `root`, or an empty string.

    For a SyntaxError in the package's own source, which no frame has entered yet, it is the line with the error.
    The path starts at the package, so records read the same on every machine.
    """
    place = ""
    if isinstance(error, SyntaxError) and (path := path_in_package(error.filename or "", root)):
        return f"{path}:{error.lineno}"
    for frame, line in frames(error):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] == root:
            parts = frame.f_code.co_filename.replace("\\", "/").split("/")
            depth = module.count(".") + 1 + (parts[-1] == "__init__.py")
            place = f"{'/'.join(parts[-depth:])}:{line}"
    return place


def function_location(function: FunctionType, root: str) -> str:
    """`package/module.py:LINE` where a function of the package `root` starts, or an empty string for any other."""
    path = path_in_package(function.__code__.co_filename, root)
    return f"{path}:{function.__code__.co_firstlineno}" if path else ""


def path_in_package(file: str, root: str) -> str:
    """
    >>> path_in_package("/home/me/rrr_x/src/rrr_x/verify.py", "rrr_x")
    'rrr_x/verify.py'
    >>> path_in_package("/site-packages/rrr_x.py", "rrr_x")
    'rrr_x.py'
    >>> path_in_package("<string>", "rrr_x")
    ''
    """
    *folders, name = file.replace("\\", "/").split("/")
    if root in folders:
        depth = folders[::-1].index(root) + 1
        return "/".join([*folders[-depth:], name])
    return name if name == f"{root}.py" else ""


def frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The frames and line numbers of an exception's traceback, outermost first."""
    step = error.__traceback__
    while step is not None:
        yield step.tb_frame, step.tb_lineno
        step = step.tb_next
