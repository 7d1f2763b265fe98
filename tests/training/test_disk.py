"""A disk that refuses a checkpoint is one clear line, whatever library was writing; other faults are unchanged."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors import SafetensorError

from rrr_core.errors import RrrError
from rrr_core.training.run import disk_faults

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/1: no"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
    ],
)
def test_a_refused_checkpoint_is_one_line_that_says_what_to_do(fault: Exception) -> None:
    with (
        pytest.raises(RrrError, match=r"^runs/x cannot be written: .*make room.*\.$") as raised,
        disk_faults(Path("runs/x")),
    ):
        raise fault
    assert "\n" not in str(raised.value)


def test_a_full_disk_stops_torch_as_expected() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full, which Linux has")
    with pytest.raises(RrrError, match="cannot be written"), disk_faults(Path("runs/x")):
        torch.save({"weights": torch.zeros(1_000_000)}, "/dev/full")


def test_other_faults_are_unchanged() -> None:
    with pytest.raises(RuntimeError, match="shapes"), disk_faults(Path("runs/x")):
        raise RuntimeError("shapes do not match")
