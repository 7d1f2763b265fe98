"""A command that runs a model keeps the memory that its tensors free, and collects garbage less often."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
from collections.abc import Iterator

import pytest

from rrr_core import cli
from rrr_core.cli import heap

TOUCH = """
import resource, sys
from rrr_core.cli.heap import keep_freed_memory
kept = keep_freed_memory()
def touch():
    pieces = [b"1" * (24 << 20) for _ in range(4)]
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    touch()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are glibc's")


def faults(**environment: str) -> tuple[str, int]:
    """Whether memory was kept, and the page faults of allocating and freeing 96 MiB five more times."""
    own = {name: value for name, value in os.environ.items() if name not in heap.USERS_OWN}
    output = subprocess.run(
        [sys.executable, "-c", TOUCH], env={**own, **environment}, capture_output=True, text=True, check=True
    ).stdout
    kept, count = output.split()
    return kept, int(count)


@glibc
def test_freed_memory_is_reused_without_the_system() -> None:
    kept, count = faults()
    assert kept == "True"
    assert count < 1000


@glibc
def test_a_user_who_chose_the_allocators_settings_keeps_them() -> None:
    kept, count = faults(MALLOC_TRIM_THRESHOLD_="131072")
    assert kept == "False"
    assert count > 10_000


def test_on_other_systems_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert heap.keep_freed_memory() is False


SHAPES = """
import random
from rrr_core.cli.heap import keep_fewer_products
if {fewer}:
    keep_fewer_products()
import ctypes, torch
torch.set_num_threads(1)
if not torch.cpu._is_avx512_bf16_supported():
    raise SystemExit(77)
def resident():
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/statm") as lines:
        return int(lines.read().split()[1]) * 4 // 1024
layer = torch.nn.Linear(64, 64).bfloat16()
counts = list(range(512, 1312))
random.Random(0).shuffle(counts)
with torch.no_grad():
    states = torch.randn(2048, 64).bfloat16()
    for count in (512, 2048):
        layer(states[:count])
    before = resident()
    for count in counts:
        layer(states[:count])
    print(resident() - before)
"""


@glibc
@pytest.mark.train
def test_memory_grows_less_with_the_number_of_shapes_in_bfloat16() -> None:
    pytest.importorskip("torch")
    own = {name: value for name, value in os.environ.items() if name not in heap.PRODUCT_CACHES}
    runs = [
        subprocess.run([sys.executable, "-c", SHAPES.format(fewer=fewer)], env=own, capture_output=True, text=True)
        for fewer in (False, True)
    ]
    if all(run.returncode == 77 for run in runs):
        pytest.skip("this processor does not compute in bfloat16")
    all_kept, fewer_kept = (int(run.stdout) for run in runs)
    assert fewer_kept < 0.6 * all_kept, (all_kept, fewer_kept)


def test_a_user_who_chose_how_many_products_are_kept_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    heap.keep_fewer_products()
    assert [os.environ[name] for name in heap.PRODUCT_CACHES] == [str(heap.PRODUCTS), "7"]


@pytest.fixture
def threshold() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("threshold")
@pytest.mark.parametrize(
    ("before", "after"),
    [(700, 10_000), pytest.param(50_000, 50_000, id="less often already"), pytest.param(0, 0, id="never")],
)
def test_garbage_is_collected_less_often_and_never_more_often(before: int, after: int) -> None:
    gc.set_threshold(before)
    heap.collect_garbage_less_often()
    assert gc.get_threshold()[0] == after


@pytest.mark.parametrize(("command", "does"), [("demo", True), ("train", True), ("tasks", False)])
@pytest.mark.parametrize("change", ["keep_freed_memory", "keep_fewer_products", "collect_garbage_less_often"])
def test_the_commands_that_run_a_model_change_this_and_no_others(
    monkeypatch: pytest.MonkeyPatch, change: str, command: str, does: bool
) -> None:
    called: list[bool] = []
    monkeypatch.setattr(heap, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(heap, "keep_fewer_products", lambda: None)
    monkeypatch.setattr(heap, "collect_garbage_less_often", lambda: None)
    monkeypatch.setattr(heap, change, lambda: called.append(True))
    monkeypatch.setattr(sys, "argv", ["rrr", command, "--help"])
    with pytest.raises(SystemExit):
        cli.main()
    assert bool(called) is does
