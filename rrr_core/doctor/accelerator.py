"""What torch would compute on, asked of a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from rrr_core.doctor.finding import Finding
from rrr_core.doctor.packages import version_of

TORCH_SECONDS = 60
"""How long torch may take to report its device: a cold start from a slow disk takes most of it."""

_ASK_TORCH = """
import json, torch
found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
kind = found.type if found is not None else "cpu"
names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if kind == "cuda" else []
memory = [torch.cuda.get_device_properties(index).total_memory for index in range(len(names))]
print(json.dumps({"kind": kind, "names": names, "memory": memory}))
"""


def accelerator(*, quick: bool = False) -> Iterator[Finding]:
    """What torch would compute on."""
    if version_of("torch") is None:
        cost = "no model runs on this machine, but one behind a server can be evaluated: pip install 'rrr-core[train]'"
        yield Finding("packages", "accelerator", "unknown", "torch is not installed", cost)
        return
    if quick:
        yield Finding("packages", "accelerator", "unknown", "skipped, since torch takes seconds to load")
        return
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=TORCH_SECONDS,
            check=True,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        yield Finding("packages", "accelerator", "unknown", f"torch did not load within {TORCH_SECONDS} seconds")
        return
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        cost = "no model runs on this machine: reinstall torch for this system"
        yield Finding("packages", "accelerator", "broken", f"torch does not work: {reason}", cost)
        return
    # Only a warning reports a driver that is too old for torch.
    warnings = [line for line in done.stderr.splitlines() if "Warning: " in line]
    yield device_finding(answer, warnings[0].partition("Warning: ")[2] if warnings else "")


def device_finding(answer: dict[str, Any], warning: str = "") -> Finding:
    """The finding for the device that torch reports, and for a warning of torch's.

    >>> device_finding({"kind": "cuda", "names": ["H200"], "memory": [150e9]}).detail
    'cuda: H200, 150.0 GB'
    """
    if answer["kind"] == "cpu":
        cost = "models beyond some million weights train slowly: use a machine with a GPU, and torch built for it"
        detail = "torch computes on the processor" + (f", and warns: {warning}" if warning else "")
        return Finding("packages", "accelerator", "missing", detail, cost)
    devices = [f"{name}, {size / 1e9:.1f} GB" for name, size in zip(answer["names"], answer["memory"], strict=True)]
    return Finding(
        "packages", "accelerator", "ok", ": ".join([answer["kind"], *(["; ".join(devices)] if devices else [])])
    )
