"""Memory of a rank against calculations by hand, at the shape of a model of 1.5 billion weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rrr_core.planning.fits import Candidate, candidates, cheapest
from rrr_core.planning.memory import (
    FEWEST_COLUMNS,
    HEAD_COLUMNS,
    KEPT,
    SAMPLED_AT_ONCE,
    TILE,
    Batch,
    Memory,
    Pass,
    Setup,
    generating_memory,
    generating_parts,
    pass_parts,
    static_parts,
    training_memory,
)
from rrr_core.planning.shape import Shape

ONE = Pass(prompts=1, prompt=600, rows=8, completion=512)
GB = 1e9


def test_weights_gradients_moments_and_reference_take_twenty_bytes_a_weight(large: Shape, on_gpu: Setup) -> None:
    parts = static_parts(large, on_gpu)
    assert sum(parts.values()) == large.parameters * (4 + 4 + 8 + 4)
    assert sum(parts.values()) / GB == pytest.approx(30.9, abs=0.1)


def test_adapters_need_no_reference_and_few_moments(large: Shape, on_gpu: Setup) -> None:
    adapters = replace(on_gpu, trainable=10_000_000, reference=False)
    assert sum(static_parts(large, adapters).values()) == large.parameters * 4 + 10_000_000 * 12


def test_without_divergence_there_is_no_reference(large: Shape, on_gpu: Setup) -> None:
    assert static_parts(large, replace(on_gpu, reference=False))["reference"] == 0


@pytest.mark.parametrize(
    ("sharding", "a_weight"),
    # Bytes a weight on each of four ranks: weights, gradients, moments and DeepSpeed's own copy, reference; and the
    # whole copy that texts are written with, where weights are sharded.
    [
        ("fsdp2", (4 + 4 + 8 + 4) / 4 + 4),
        ("zero2", 2 + 2 / 4 + (8 + 4) / 4 + 2),
        ("zero3", (2 + 2 + 8 + 4 + 2) / 4 + 4),
        ("none", 20 + 4),
    ],
)
def test_each_sharding_divides_what_it_says(large: Shape, on_gpu: Setup, sharding: str, a_weight: float) -> None:
    parts = static_parts(large, replace(on_gpu, sharding=sharding, processes=4))
    exchanged = 0.0 if sharding == "none" else parts["exchange"]
    assert sum(parts.values()) - exchanged == pytest.approx(large.parameters * a_weight)


def test_checkpointed_activations_are_a_row_a_layer_and_while_a_layer_is_passed_its_own(
    large: Shape, on_gpu: Setup
) -> None:
    parts = pass_parts(large, on_gpu, ONE)
    assert parts["activations"] == 28 * ONE.tokens * 1536 * 4  # 0.8 GB
    a_layer = pass_parts(large, replace(on_gpu, checkpointed=False), ONE)["activations"] / 28
    assert a_layer < parts["working"] < 2 * a_layer


def test_without_checkpointing_a_layer_saves_about_thirty_four_halves_a_hidden_number(
    large: Shape, on_gpu: Setup
) -> None:
    saved = pass_parts(large, replace(on_gpu, checkpointed=False), ONE)["activations"]
    # 20 bytes for the norms, 2 for each of three rows of attention, 2 for each of four of the feed-forward.
    by_hand = 28 * ONE.tokens * (20 * 1536 + 6 * 1536 + 8 * 8960)
    assert saved == pytest.approx(by_hand, rel=0.1)


def test_the_heads_tile_has_all_columns_however_small_the_vocabulary(large: Shape, on_gpu: Setup) -> None:
    small = replace(large, vocabulary=500)
    assert pass_parts(small, on_gpu, ONE)["head"] > 8 * 512 * HEAD_COLUMNS * 2


def test_on_a_cpu_the_head_keeps_exponentials_where_there_is_room(large: Shape, on_gpu: Setup) -> None:
    on_cpu = replace(on_gpu, on_cpu=True, autocast=False)
    written = 8 * 512
    small = pass_parts(replace(large, vocabulary=500), on_cpu, ONE)["head"]
    assert small == written * (1536 * 8 + 500 * 4) + 3 * written * 256 * 4
    whole = pass_parts(large, on_cpu, ONE)["head"]  # 600 million logits
    assert whole == written * 1536 * 8 + 3 * written * 256 * 4


def test_the_heads_tiles_are_those_of_the_head() -> None:
    head = pytest.importorskip("rrr_core.training.head")
    assert (head.TILE, head.FEWEST_COLUMNS, head.KEPT) == (TILE, FEWEST_COLUMNS, KEPT)


def test_gradients_are_there_at_the_head_only_from_an_earlier_pass_of_the_step(large: Shape, on_gpu: Setup) -> None:
    little, much = Batch(1, 10, 10), Pass(1, 600, 200, 512)  # the head, or activations, at the peak
    first, second = (training_memory(large, on_gpu, much, little, accumulates=each) for each in (False, True))
    assert second.parts["gradients"] == large.parameters * 4
    assert first.parts["gradients"] < large.parameters * 4


def test_holes_are_left_on_a_cpu_by_what_is_made_again_in_blocks_below_32_megabytes(
    large: Shape, on_gpu: Setup
) -> None:
    on_cpu = replace(on_gpu, on_cpu=True)
    tiny, wide = Batch(rows=8, prompt=500, written=500, read_at_once=200), Batch(rows=100, prompt=500, written=500)
    parts = generating_memory(large, on_cpu, tiny).parts
    made = sum(size for name, size in parts.items() if name not in ("weights", "prefix cache", "holes"))
    assert made * 0.4 < parts["holes"] < made * 0.6  # what the moment before the peak had leaves some, too
    assert generating_memory(large, on_cpu, wide).parts["holes"] == 0
    assert "holes" not in generating_memory(large, on_gpu, tiny).parts


def test_a_cpu_samples_from_a_part_of_the_logits_at_once(large: Shape, on_gpu: Setup) -> None:
    decoding = pytest.importorskip("rrr_core.generation.decoding")
    assert decoding.CPU_LOGITS == SAMPLED_AT_ONCE
    setup, batch = replace(on_gpu, stored_bytes=4), Batch(rows=32, prompt=10, written=2000)
    on_cpu = generating_parts(large, replace(setup, on_cpu=True), batch, in_training=False)["logits"]
    assert on_cpu == 32 * 151_936 * 4 + SAMPLED_AT_ONCE * 24
    assert generating_parts(large, setup, batch, in_training=False)["logits"] == 32 * 151_936 * 28


def test_a_key_value_cache_takes_28_kilobytes_a_token(large: Shape, on_gpu: Setup) -> None:
    batch = Batch(rows=100, prompt=500, written=500)
    cache = generating_parts(large, on_gpu, batch, in_training=False)["cache"]
    assert cache == pytest.approx(100 * 1000 * 2 * 28 * 256 * 2 * 1.125)


def test_a_cpu_writes_texts_with_packed_copies_of_the_weights(large: Shape, on_gpu: Setup) -> None:
    batch = Batch(rows=8, prompt=100, written=20)
    for stored in (4, 2):
        plain = replace(on_gpu, on_cpu=True, stored_bytes=stored)
        packed = replace(plain, packed=2e9, packed_in_training=1e9)
        more = generating_memory(large, packed, batch).peak - generating_memory(large, plain, batch).peak
        assert more == pytest.approx(2e9)
        parts = generating_parts(large, packed, batch, in_training=True)
        assert parts["packed weights"] == 1e9


def test_the_prefix_cache_ends_at_its_limit(large: Shape, on_gpu: Setup) -> None:
    batch = Batch(rows=1, prompt=1, written=1, kept=1e9)
    assert generating_parts(large, on_gpu, batch, in_training=False)["prefix cache"] == 8e9


@pytest.mark.parametrize("sharding", ["fsdp2", "zero3"])
def test_a_whole_copy_of_sharded_weights_is_kept_to_generate_with(large: Shape, on_gpu: Setup, sharding: str) -> None:
    setup = replace(on_gpu, sharding=sharding, processes=8)
    for batch in (Batch(1, 10, 10), Batch(500, 2000, 2000)):  # at the peak of passing, and at that of sampling
        assert training_memory(large, setup, ONE, batch).parts["whole copy"] == large.parameters * 4
    assert "whole copy" not in static_parts(large, replace(setup, sharding="zero2"))
    beside_vllm = replace(setup, other_engine=20 * GB)
    assert "whole copy" not in static_parts(large, beside_vllm)  # it is in the machine's memory


def test_weights_are_whole_twice_before_they_are_sharded(large: Shape, on_gpu: Setup) -> None:
    setup = replace(on_gpu, sharding="fsdp2", processes=64, reference=False)
    memory = training_memory(large, setup, Pass(1, 10, 1, 10), Batch(1, 10, 10))
    assert memory.parts["weights"] == memory.parts["whole copy"] == large.parameters * 4


def test_the_peak_is_the_larger_of_passing_and_sampling(large: Shape, on_gpu: Setup) -> None:
    little, much = Batch(1, 10, 10), Batch(500, 2000, 2000)
    passing, sampling = (training_memory(large, on_gpu, ONE, batch) for batch in (little, much))
    assert passing.parts["gradients"] == large.parameters * 4
    assert sampling.parts["gradients"] == 0
    assert sampling.peak > passing.peak


def test_seven_billion_weights_do_not_fit_eighty_gigabytes_but_shards_of_them_do(large: Shape, on_gpu: Setup) -> None:
    seven = replace(
        large,
        parameters=7_615_616_512,
        embedding=152_064 * 3584,
        hidden=3584,
        intermediate=18_944,
        attention=3584,
        cached=512,
    )
    setup = replace(on_gpu, trainable=seven.parameters)

    def price(sharding: str, micro: int, processes: int) -> tuple[Memory, Memory, float]:
        found = training_memory(
            seven, replace(setup, sharding=sharding, processes=processes), Pass(1, 600, micro, 512), Batch(64, 600, 512)
        )
        return found, found, 1.0

    assert cheapest(candidates(price, 8, 256, 1), 80 * GB, 8) is None
    chosen = cheapest(candidates(price, 8, 256, 8), 80 * GB, 8)
    assert chosen is not None
    assert chosen.sharding != "none"


def test_the_cheapest_is_the_quickest_that_fits_and_the_given_one_among_equals() -> None:
    found = [
        Candidate("none", 8, 2, 50, 90, 1.0),
        Candidate("zero2", 8, 2, 30, 40, 1.3),
        Candidate("zero2", 16, 2, 35, 45, 1.29),
        Candidate("fsdp2", 8, 2, 20, 30, 2.0),
    ]
    chosen = cheapest(found, 50, 8)
    assert chosen == found[1]
    assert cheapest(found, 10, 8) is None
    tight = cheapest(found[:1], 60, 8)
    assert tight is not None
    assert tight.fits(60) == "tight"
