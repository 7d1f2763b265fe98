"""Weights sharded over processes: two ranks train as one does, whatever they write, and resume each other's runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file

from rrr_core.errors import RrrError
from rrr_core.generation.whole_copy import WholeCopy, is_sharded, take_trained
from rrr_core.training.checkpoints import check
from rrr_core.training.scoring import ScoringTrainer
from rrr_core.training.settings import TrainSettings
from rrr_core.training.sharding import chosen_sharding, launched_with, own_environment
from tests.training.sharded_runs import BY_ACCELERATE, KINDS, run

pytestmark = pytest.mark.train

ROOT = Path(__file__).parents[2]
FSDP1 = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}
ZERO = {"ACCELERATE_USE_DEEPSPEED": "true"}
needs_gloo = pytest.mark.skipif(
    not torch.distributed.is_gloo_available(), reason="needs torch's gloo, to join processes on a CPU"
)


def cut_back(folder: Path, copy: Path) -> None:
    """A copy of a finished run as it was when its first checkpoint was written, and its second step not yet."""
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "checkpoint-2")
    shutil.rmtree(copy / "model")
    (copy / "summary.json").unlink()


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: of one process, of two that shard, and of either that goes on with the other's."""
    folder = tmp_path_factory.mktemp("runs")
    model = str(tiny_model)
    for kind in KINDS:
        run(kind, model, str(folder / f"one-{kind}"))
    for kind in ("whole", "lora"):
        cut_back(folder / f"one-{kind}", folder / f"one-then-two-{kind}")
    sharded = {"model": model, "sharding": "fsdp2"}
    jobs: list[dict[str, Any]] = [{**sharded, "kind": kind, "folder": str(folder / f"two-{kind}")} for kind in KINDS]
    jobs[1] |= {"sharding": "none", "by_accelerate": True}
    jobs += [{**sharded, "kind": one, "folder": str(folder / f"one-then-two-{one}")} for one in ("whole", "lora")]
    shutil.copytree(folder / "one-whole", folder / "one-saved-by-two")
    shutil.rmtree(folder / "one-saved-by-two" / "model")
    jobs.append({**sharded, "kind": "whole", "folder": str(folder / "one-saved-by-two")})
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "tests.training.sharded_runs"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *launch, json.dumps(jobs)],
        env=environment, cwd=folder, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for kind in ("whole", "lora"):
        cut_back(folder / f"two-{kind}", folder / f"two-then-one-{kind}")
        run(kind, model, str(folder / f"two-then-one-{kind}"))
    return folder


def weights(folder: Path) -> dict[str, Any]:
    """A trained model's, or its adapter's."""
    (path,) = (folder / "model").glob("*.safetensors")
    found: dict[str, Any] = load_file(path)
    return found


def assert_alike(one: Path, other: Path) -> None:
    expected = weights(one)
    found = weights(other)
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-5)


@needs_gloo
@pytest.mark.parametrize("kind", KINDS)
def test_two_steps_over_two_ranks_end_with_the_weights_of_one_rank(kind: str, runs: Path) -> None:
    assert_alike(runs / f"one-{kind}", runs / f"two-{kind}")


@needs_gloo
def test_the_steps_moved_the_weights_further_than_ranks_may_differ(runs: Path, tiny_model: Path) -> None:
    before = load_file(tiny_model / "model.safetensors")
    whole = weights(runs / "two-whole")
    assert max(float((weight - before[name]).abs().max()) for name, weight in whole.items()) > 1e-4
    adapters = [weight for name, weight in weights(runs / "two-lora").items() if "lora_B" in name]
    assert max(float(weight.abs().max()) for weight in adapters) > 1e-4  # zero before


@needs_gloo
def test_the_ranks_wrote_texts_of_unequal_lengths(runs: Path) -> None:
    """Each token is a pass through the model: through sharded weights, the ranks would wait for each other."""
    first, second = (json.loads((runs / f"two-whole.written-{rank}").read_text()) for rank in (0, 1))
    assert first
    assert first != second


@needs_gloo
@pytest.mark.parametrize("kind", ["whole", "lora"])
@pytest.mark.parametrize("order", ["one-then-two", "two-then-one"])
def test_a_run_resumes_on_another_number_of_ranks(order: str, kind: str, runs: Path) -> None:
    assert_alike(runs / f"one-{kind}", runs / f"{order}-{kind}")


@needs_gloo
def test_a_run_that_was_killed_before_its_model_was_saved_saves_it_without_another_step(runs: Path) -> None:
    assert_alike(runs / "one-whole", runs / "one-saved-by-two")


@needs_gloo
def test_a_sharded_runs_checkpoint_has_the_files_and_tensors_of_one_without(runs: Path) -> None:
    one, two = runs / "one-whole" / "checkpoint-2", runs / "two-whole" / "checkpoint-2"
    check(two, 2)

    def files(folder: Path) -> set[str]:
        return {path.name for path in folder.iterdir() if not path.name.startswith("rng_state")}

    assert files(two) == files(one)
    states = [torch.load(folder / "optimizer.pt", weights_only=True)["state"] for folder in (one, two)]
    assert states[0].keys() == states[1].keys()
    for number, values in states[0].items():
        for name, value in values.items():
            torch.testing.assert_close(states[1][number][name], value, rtol=0, atol=1e-4)


def test_processes_that_drop_unequal_numbers_of_rows_make_equally_many_passes() -> None:
    sharded: Any = SimpleNamespace(shards_weights=True)
    kept = torch.tensor([True] * 3 + [False] * 9)
    assert ScoringTrainer._passes_left(sharded, kept, 4) == 2  # one with rows, of three
    assert ScoringTrainer._passes_left(sharded, torch.ones(12, dtype=torch.bool), 4) == 0
    assert ScoringTrainer._passes_left(sharded, torch.zeros(12, dtype=torch.bool), 4) == 2  # the smallest row's is one
    whole: Any = SimpleNamespace(shards_weights=False)
    assert ScoringTrainer._passes_left(whole, kept, 4) == 0


def test_a_whole_copy_takes_what_is_trained_and_runs_without_the_network_it_was_made_from() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    network[1].requires_grad_(False)
    forward = network.forward
    network.forward = lambda values: forward(values) + 1  # as a library patches it
    copy = WholeCopy(network).network
    frozen = network[1].weight.detach().clone()
    with torch.no_grad():
        for layer in network:
            layer.weight.fill_(1.0)
    take_trained(copy, network)
    assert torch.equal(copy[0].weight, torch.ones(2, 2))
    assert torch.equal(copy[1].weight, frozen)
    assert torch.equal(copy(torch.zeros(1, 2)), torch.zeros(1, 2))
    assert not is_sharded(network[0].weight)


@pytest.mark.parametrize(
    ("wanted", "processes", "environment", "said"),
    [
        ("fsdp2", 1, {}, "--sharding fsdp2 would do nothing with one process"),
        ("none", 1, BY_ACCELERATE, r"accelerate's configuration \(fsdp2\) would do nothing with one process"),
        ("zero3", 2, BY_ACCELERATE, "--sharding zero3 contradicts accelerate's configuration, which chose fsdp2"),
        ("none", 2, FSDP1, "chose FSDP 1, .* set fsdp_version: 2"),
        ("none", 2, {**ZERO, "ACCELERATE_DEEPSPEED_ZERO_STAGE": "1"}, "chose ZeRO 1"),
        ("none", 2, {**ZERO, "ACCELERATE_DEEPSPEED_CONFIG_FILE": "ds.json"}, "a DeepSpeed file of its own"),
        ("none", 2, {"ACCELERATE_USE_MEGATRON_LM": "true"}, "Megatron-LM"),
    ],
)
def test_a_sharding_that_does_nothing_contradicts_or_is_unknown_is_refused(
    wanted: str, processes: int, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(RrrError, match=said):
        chosen_sharding(wanted, processes, environment)


def test_zero_without_deepspeed_is_refused_by_the_packages_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deepspeed", None)
    with pytest.raises(RrrError, match="--sharding zero3 needs the package 'deepspeed'"):
        chosen_sharding("zero3", 2, {})


def test_accelerates_configuration_counts_as_the_option() -> None:
    assert chosen_sharding("none", 2, BY_ACCELERATE) == chosen_sharding("fsdp2", 2, {}) == "fsdp2"
    assert launched_with({**ZERO, "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}) == "zero3"


def test_a_run_leaves_accelerates_variables_as_they_were() -> None:
    environment = {"FSDP_VERSION": "2"}
    with own_environment(environment):
        environment |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}
    assert environment == {"FSDP_VERSION": "2"}


def test_a_collective_timeout_with_one_process_is_refused(tmp_path: Path) -> None:
    from rrr_core.training.options import grpo_config

    with pytest.raises(RrrError, match="--collective-timeout acts only with several processes"):
        grpo_config(TrainSettings(collective_timeout=60.0), tmp_path, "float32", None, 1)
