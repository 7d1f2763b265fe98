"""Puts the benchmarks' folder on the path: they are scripts, not a package."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name in {
            "allocator",
            "architectures",
            "small_models",
            "decode_loop",
            "oracles",
            "fuzz",
            "fuzz_targets",
            "generation",
            "vllm_side",
            "verifiers",
            "peers",
            "recording",
            "stock",
            "training_step",
            "one_step",
            "step_memory",
            "exact",
            "grouper",
            "whole_step",
            "made_up",
            "demo_time",
            "length",
            "noise",
            "reflection_kinds",
            "thought_and_reflection",
            "three_seeds",
            "transfer_kinds",
            "scaling",
            "mining_tokens",
            "simulated",
            "consolidation",
            "oracle_gap",
            "rounds",
            "real_model",
            "real_model_table",
        }:
            del sys.modules[name]
