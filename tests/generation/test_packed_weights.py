"""Packed weights give the products that plain ones give, as long as they are the network's, and take their share."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from rrr_core.generation import packed_weights, products
from rrr_core.generation.engine import Sampling
from rrr_core.generation.packed_weights import SHARE, PackedWeights, packed_bytes
from rrr_core.generation.products import FORMS, FastLinear, pack, use_fast_products
from rrr_core.processes.world import World

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="torch brings oneDNN's products for x86-64"),
]
TYPES = [torch.float32, torch.bfloat16]
GREEDY = Sampling(temperature=0, max_tokens=12)


@pytest.fixture(autouse=True)
def _packing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "packed_types", lambda: frozenset(TYPES))
    monkeypatch.setattr(products, "is_faster", lambda: False)
    monkeypatch.setattr(products, "FEWEST_PACKED", 1)  # these weights are small
    monkeypatch.setattr(products, "LEAST", 1)
    torch.manual_seed(0)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The weights of all products by oneDNN."""
    seen: list[torch.Tensor] = []
    by_onednn = products._compiled

    def spy(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append(weight)
        return by_onednn(rows, weight, bias)

    monkeypatch.setattr(products, "_compiled", spy)
    return seen


@pytest.fixture
def fast(engine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The tiny model's engine, all of whose layers count as wide."""
    for module in (products, packed_weights):
        monkeypatch.setattr(module, "is_wide", lambda layer: True)
    use_fast_products(engine.network)
    return engine


class Network(nn.Module):
    """Two linear layers, and what a network says of itself."""

    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype = torch.float32, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(96, 80, bias=bias), nn.GELU(), nn.Linear(80, 72, bias=bias)).to(dtype)
        self.dtype = dtype

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(rows)
        return found


def _fast(dtype: torch.dtype = torch.float32, bias: bool = True) -> Network:
    network = Network(dtype, bias)
    use_fast_products(network)
    return network


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(96,), (0, 96), (1, 96), (8, 96), (5, 20, 96), (256, 96)])
def test_products_are_those_of_plain_weights(
    shape: tuple[int, ...], dtype: torch.dtype, bias: bool, compiled: list[torch.Tensor]
) -> None:
    network, rows = _fast(dtype, bias), torch.randn(shape).to(dtype)
    with torch.no_grad():
        expected = network(rows)
        assert not compiled
        with PackedWeights().used_by(network, keep=False):
            found = network(rows)
    assert [weight.is_mkldnn for weight in compiled] == [True, True] * bool(rows.numel())
    assert found.shape == expected.shape
    assert found.dtype is dtype
    assert float((found - expected).norm()) <= (1e-6 if dtype is torch.float32 else 1e-2) * float(expected.norm())


def test_many_rows_and_a_gradient_have_plain_weights(compiled: list[torch.Tensor]) -> None:
    network = _fast()
    with PackedWeights().used_by(network, keep=False):
        with torch.no_grad():
            network(torch.randn(FORMS[0] + 1, 96))
        network(torch.randn(4, 96)).sum().backward()
    assert not compiled
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("bias", [True, False])
def test_under_autocast_weights_are_packed_in_the_type_that_it_computes_in(
    bias: bool, compiled: list[torch.Tensor]
) -> None:
    network, rows, packed = _fast(bias=bias), torch.randn(4, 96), PackedWeights()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        expected = network(rows)
        with packed.used_by(network, keep=True):
            found = network(rows)
    assert len(compiled) == 2
    assert [dtype for _, dtype in packed._made] == [torch.bfloat16] * 2
    assert found.dtype is torch.bfloat16
    assert float((found - expected).norm()) <= 1e-2 * float(expected.norm())


def test_under_autocast_to_another_type_they_stay_plain(compiled: list[torch.Tensor]) -> None:
    network = _fast()
    with torch.no_grad(), torch.autocast("cpu", torch.float16), PackedWeights().used_by(network, keep=False):
        assert network(torch.randn(4, 96)).dtype is torch.float16
    assert not compiled


def test_a_weight_put_in_place_of_a_layers_own_is_computed_with(compiled: list[torch.Tensor]) -> None:
    network, rows = _fast(), torch.randn(4, 96)
    others = {name: torch.randn_like(weight) for name, weight in network.named_parameters()}
    first, last = network.layers[0], network.layers[2]
    with torch.no_grad(), PackedWeights().used_by(network, keep=True):
        network(rows)
        assert len(compiled) == 2
        found = torch.func.functional_call(network, others, (rows,))
        hidden = nn.functional.gelu(rows @ others["layers.0.weight"].T + others["layers.0.bias"])
        torch.testing.assert_close(found, hidden @ others["layers.2.weight"].T + others["layers.2.bias"])
        first.weight = nn.Parameter(torch.zeros(80, 96))
        torch.testing.assert_close(first(rows), first.bias.expand(4, -1))
        assert len(compiled) == 2
        last(torch.randn(4, 80))
        assert len(compiled) == 3


def test_adapters_of_a_weight_itself_are_not_left_out() -> None:
    peft = pytest.importorskip("peft")
    network, rows = _fast(), torch.randn(4, 96)
    config = peft.LoraConfig(target_modules=[], target_parameters=["layers.0.weight"], init_lora_weights=False)
    adapted = peft.PeftModel(network, config).eval()
    with torch.no_grad():
        expected = adapted(rows)
        with PackedWeights().used_by(adapted.base_model.model, keep=False):
            torch.testing.assert_close(adapted(rows), expected)
            with adapted.disable_adapter():
                assert not torch.allclose(adapted(rows), expected)


def test_where_onednn_is_faster_anyway_many_rows_use_packed_weights_too(
    monkeypatch: pytest.MonkeyPatch, compiled: list[torch.Tensor]
) -> None:
    monkeypatch.setattr(products, "is_faster", lambda: True)
    network, rows = _fast(), torch.randn(FORMS[0] + 1, 96)
    with torch.no_grad(), PackedWeights().used_by(network, keep=False):
        found = network(rows)
        torch.testing.assert_close(found[:9], network(rows[:9]))
    assert all(weight.is_mkldnn for weight in compiled)


def test_nothing_of_it_is_left_in_the_network() -> None:
    network = _fast()
    names = list(network.state_dict())
    with PackedWeights().used_by(network, keep=False):
        assert list(network.state_dict()) == names
        assert all(each.packer is not None for each in network.modules() if isinstance(each, FastLinear))
    assert all(each.packer is None for each in network.modules() if isinstance(each, FastLinear))


def test_a_second_user_of_the_network_leaves_the_first_ones_copies_in_place(compiled: list[torch.Tensor]) -> None:
    network, rows, packed = _fast(), torch.randn(4, 96), PackedWeights()
    with torch.no_grad(), packed.used_by(network, keep=False):
        with PackedWeights().used_by(network, keep=False):
            network(rows)
        assert not packed._made
        network(rows)
        assert len(packed._made) == 2
    assert len(compiled) == 4


def test_weights_are_packed_once_until_they_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[torch.Tensor] = []
    monkeypatch.setattr(packed_weights, "pack", lambda weight, dtype: made.append(weight) or pack(weight, dtype))
    network, rows, packed = _fast(), torch.randn(4, 96), PackedWeights()
    with torch.no_grad():
        for _ in range(3):
            with packed.used_by(network, keep=True):
                network(rows)
        assert len(made) == 2
        with pytest.raises(ValueError, match="in between"), packed.used_by(network, keep=False):
            raise ValueError("in between")
        assert len(made) == 2
        with packed.used_by(network, keep=True):
            network(rows)
        assert len(made) == 4


@pytest.mark.parametrize("processes", [1, 4])
def test_they_take_a_share_of_the_machines_memory_at_most(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    network = _fast()
    needed = (96 * 80 + 80 * 72) * 4
    for name, value in World(size=processes, local_size=processes).variables().items():
        monkeypatch.setenv(name, value)
    for memory, expected in ((needed * SHARE * processes, needed), (needed * SHARE * processes - 1, 0)):
        monkeypatch.setattr(packed_weights, "machine_bytes", lambda memory=memory: memory)
        assert packed_bytes(network, torch.float32, processes) == expected
        packed = PackedWeights()
        with packed.used_by(network, keep=False):
            assert (packed.packed(network.layers[0], torch.float32) is not None) is bool(expected)


def test_other_types_sharded_and_small_weights_stay_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = torch.randn(64, 64)
    assert pack(weight, torch.float32) is not None
    assert pack(weight, torch.float64) is None
    assert pack(weight, torch.float16) is None
    monkeypatch.setattr(products, "FEWEST_PACKED", 64 * 64 + 1)
    assert pack(weight, torch.float32) is None
    monkeypatch.setattr(products, "FEWEST_PACKED", 1)
    weight.ds_id = 0
    assert pack(weight, torch.float32) is None


def test_layers_that_are_not_made_fast_are_not_counted() -> None:
    class Other(nn.Linear):
        """A linear layer that computes something of its own, as Falcon's."""

    network = nn.Sequential(nn.Linear(96, 80), Other(80, 72))
    use_fast_products(network)
    assert packed_bytes(network, torch.float32, 1) == 96 * 80 * 4
    assert packed_bytes(network, torch.float16, 1) == 0


def test_texts_are_those_of_plain_weights(
    fast: Any, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch, compiled: list[torch.Tensor]
) -> None:
    found = fast.generate_ids(prompts, GREEDY)
    assert any(weight.is_mkldnn for weight in compiled)
    monkeypatch.setattr(products, "packed_types", frozenset)
    assert fast.generate_ids(prompts, GREEDY) == found


@pytest.fixture
def kept(fast: Any) -> Iterator[Any]:
    return fast._packed_weights._made


def test_they_are_kept_as_long_as_prefixes_are(fast: Any, kept: Any, prompts: list[list[int]]) -> None:
    fast.generate_ids(prompts[:2], GREEDY)
    assert not kept
    with fast.prefix_caching():
        fast.generate_ids(prompts[:2], GREEDY)
        assert kept
        fast.sync_weights(fast.network)
        assert not kept
        fast.generate_ids(prompts[:2], GREEDY)
    assert not kept


def _step(network: Any) -> None:
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.05, fused=True)  # it counts no new version of a weight
    network(torch.arange(20, 60)[None]).logits.square().sum().backward()
    optimiser.step()


def test_texts_come_from_the_weights_that_training_has_made(fast: Any, prompts: list[list[int]]) -> None:
    before = fast.generate_ids(prompts, GREEDY)
    _step(fast.network)
    after = fast.generate_ids(prompts, GREEDY)
    assert after != before
    with fast.prefix_caching():
        assert fast.generate_ids(prompts, GREEDY) == after
        _step(fast.network)
        fast.sync_weights(fast.network)
        later = fast.generate_ids(prompts, GREEDY)
    assert later == fast.generate_ids(prompts, GREEDY) != after
