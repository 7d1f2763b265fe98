"""`accelerate launch --config_file`: the file's sharding counts without an option, and ends with one rank's weights."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from rrr_core.errors import RrrError
from rrr_core.training.sharding import check_precision, launched_with, own_environment
from tests.training.sharded_runs import BY_ACCELERATE, run
from tests.training.test_sharding import ROOT, assert_alike, needs_gloo

pytestmark = pytest.mark.train

HEAD = """
compute_environment: LOCAL_MACHINE
num_machines: 1
num_processes: 2
main_process_port: 0
mixed_precision: 'no'
use_cpu: false
"""
FSDP = """
distributed_type: FSDP
fsdp_config:
  fsdp_version: 2
  fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP
  fsdp_cpu_ram_efficient_loading: true
  fsdp_offload_params: false
  fsdp_reshard_after_forward: true
  fsdp_state_dict_type: SHARDED_STATE_DICT
"""
ZERO = """
distributed_type: DEEPSPEED
deepspeed_config:
  zero_stage: 3
  gradient_accumulation_steps: 1
  offload_optimizer_device: none
  offload_param_device: none
  zero3_init_flag: true
  zero3_save_16bit_model: true
"""
"""As `accelerate config` writes them."""
needs_deepspeed = pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")


@needs_gloo
@pytest.mark.parametrize("chosen", [FSDP, pytest.param(ZERO, marks=needs_deepspeed)], ids=["fsdp2", "zero3"])
def test_two_ranks_of_accelerates_launcher_end_with_the_weights_of_one(
    chosen: str, tiny_model: Path, tmp_path: Path
) -> None:
    run("whole", str(tiny_model), str(tmp_path / "one"))
    (tmp_path / "config.yaml").write_text(HEAD + chosen, encoding="utf-8")
    launch = ["-m", "accelerate.commands.launch", "--config_file", "config.yaml", "-m", "tests.training.sharded_runs"]
    job = {"kind": "whole", "model": str(tiny_model), "folder": str(tmp_path / "two")}
    done = subprocess.run(
        [sys.executable, *launch, json.dumps([job])],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "two.written-1").exists()  # two processes, not one
    assert_alike(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({**BY_ACCELERATE, "FSDP_OFFLOAD_PARAMS": "true"}, "fsdp_offload_params"),
        (
            {**BY_ACCELERATE, "FSDP_ACTIVATION_CHECKPOINTING": "true"},
            "fsdp_activation_checkpointing .use --grpo gradient_checkpointing",
        ),
        (
            {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "cpu"},
            "offload_optimizer_device",
        ),
        ({"ACCELERATE_USE_PARALLELISM_CONFIG": "true"}, "parallelism_config"),
        ({"ACCELERATE_DYNAMO_BACKEND": "INDUCTOR"}, "dynamo_config"),
    ],
)
def test_what_the_file_sets_besides_and_rrr_does_not_do_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(RrrError, match=f"accelerate's configuration sets {said}.*: leave it out"):
        launched_with(variables)


def test_offloading_that_was_declined_is_not_refused() -> None:
    declined = {"ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "none", "ACCELERATE_DYNAMO_BACKEND": "NO"}
    assert launched_with({"ACCELERATE_USE_DEEPSPEED": "true", **declined}) == "zero2"
    assert launched_with({**BY_ACCELERATE, "FSDP_OFFLOAD_PARAMS": "false"}) == "fsdp2"


def test_a_mixed_precision_unlike_the_runs_is_refused() -> None:
    with pytest.raises(RrrError, match="chose mixed_precision bf16, and this run trains with no"):
        check_precision({"ACCELERATE_MIXED_PRECISION": "bf16"}, bf16=False, fp16=False)
    with pytest.raises(RrrError, match="chose mixed_precision fp8, and this run trains with bf16"):
        check_precision({"ACCELERATE_MIXED_PRECISION": "fp8"}, bf16=True, fp16=False)
    check_precision({"ACCELERATE_MIXED_PRECISION": "bf16"}, bf16=True, fp16=False)
    check_precision({"ACCELERATE_MIXED_PRECISION": "no"}, bf16=True, fp16=False)
    check_precision({}, bf16=False, fp16=False)


def test_the_names_of_deepspeeds_fields_are_hidden_from_accelerate_while_a_run_lasts() -> None:
    """It refuses a configuration of DeepSpeed as values, which ours is, beside any of them."""
    environment = {"ACCELERATE_CONFIG_DS_FIELDS": "zero_stage,mixed_precision"}
    with own_environment(environment):
        assert "ACCELERATE_CONFIG_DS_FIELDS" not in environment
    assert environment["ACCELERATE_CONFIG_DS_FIELDS"] == "zero_stage,mixed_precision"
