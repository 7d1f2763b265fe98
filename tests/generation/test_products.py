"""Products by oneDNN are those of torch, forward and backward, and are used where they are faster and possible."""

from __future__ import annotations

import copy
import platform

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from rrr_core.generation import products
from rrr_core.generation.products import (
    CHUNKS,
    FORMS,
    FastLinear,
    product,
    product_of_columns,
    use_fast_products,
)

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="torch brings oneDNN's products for x86-64"),
]


@pytest.fixture(autouse=True)
def _faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "is_faster", lambda: True)
    monkeypatch.setattr(products, "LEAST", 1)  # these products are small
    torch.manual_seed(0)


def _same(one: torch.Tensor, other: torch.Tensor) -> None:
    """Equal up to the order of sums."""
    assert one.shape == other.shape
    assert float((one - other).norm()) <= 1e-6 * float(other.norm())


def _network(bias: bool) -> nn.Module:
    return nn.Sequential(nn.Linear(96, 80, bias=bias), nn.GELU(), nn.Linear(80, 72, bias=bias))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(64, 96), (3, 150, 96), (2, 96), (0, 96), (96,)])
def test_output_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    ours = _network(bias)
    theirs = copy.deepcopy(ours)
    use_fast_products(ours)
    found = []
    for network in (ours, theirs):
        rows = torch.linspace(-1, 1, 96).expand(shape).clone().requires_grad_()
        output = network(rows)
        (output * torch.arange(72.0)).sum().backward()
        found.append([output.detach(), rows.grad, *(weight.grad for weight in network.parameters())])
    for one, other in zip(*found, strict=True):
        _same(one, other)


def test_frozen_weights_get_no_gradient() -> None:
    layer = nn.Linear(96, 72)
    use_fast_products(layer)
    layer.weight.requires_grad_(False)
    rows = torch.randn(64, 96, requires_grad=True)
    layer(rows).sum().backward()
    assert layer.weight.grad is None
    torch.testing.assert_close(rows.grad, layer.weight.sum(0).expand(64, 96))


@pytest.mark.parametrize("rows", [1, 64, 70, 400])
def test_products_of_transposed_views_are_those_of_torch(rows: int) -> None:
    left, weight = torch.randn(24, rows).t(), torch.randn(24, 40).t()
    _same(product(left, weight), left @ weight.t())
    right = torch.randn(8, rows).t()
    _same(product_of_columns(left, right), left.t() @ right)


def test_few_forms_of_products_are_compiled_for_texts_of_all_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    forms, compiled = set(), products._compiled

    def spy(rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        forms.add((rows.shape, weight.shape))
        return compiled(rows, weight, bias)

    monkeypatch.setattr(products, "_compiled", spy)
    layer = nn.Linear(96, 72)
    use_fast_products(layer)
    for rows in range(1, 700, 7):
        layer(torch.randn(rows, 96, requires_grad=True)).sum().backward()
    # The output's and the rows' gradient's, and two of the weight's.
    assert len(forms) == 2 * len(FORMS) + len(CHUNKS)


@pytest.mark.parametrize("rows", [2, 8, 9, 31, 65, 191, 256, 257, 300, 520])
def test_rows_that_fill_a_form_up_are_not_seen(rows: int) -> None:
    weight, bias, given = torch.randn(72, 96), torch.randn(72), torch.randn(rows, 96)
    _same(products._by_onednn(given, weight, bias), nn.functional.linear(given, weight, bias))


@pytest.mark.parametrize(("rows", "is_onednns"), [(1, False), (16, False), (64, True)])
def test_a_product_too_small_to_gain_is_left_to_torch(
    rows: int, is_onednns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, compiled = [], products._compiled
    monkeypatch.setattr(products, "LEAST", 64 * 72 * 96)
    monkeypatch.setattr(products, "_compiled", lambda *given: seen.append(given) or compiled(*given))
    layer = nn.Linear(96, 72)
    use_fast_products(layer)
    with torch.no_grad():
        _same(layer(given := torch.randn(rows, 96)), nn.functional.linear(given, layer.weight, layer.bias))
    assert bool(seen) is is_onednns


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_are_left_to_torch(dtype: torch.dtype) -> None:
    layer = nn.Linear(96, 72).to(dtype)
    rows = torch.randn(64, 96, dtype=dtype)
    expected = layer(rows)
    use_fast_products(layer)
    assert torch.equal(layer(rows), expected)


def test_autocast_still_casts() -> None:
    layer = nn.Linear(96, 72)
    use_fast_products(layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(64, 96)).dtype is torch.bfloat16


def test_only_plain_wide_linear_layers_change_and_a_copy_stays_fast() -> None:
    class Own(nn.Linear):
        pass

    network = nn.ModuleList([nn.Linear(64, 64), Own(64, 64), nn.Linear(64, 8), nn.Embedding(2, 2)])
    names = list(network.state_dict())
    use_fast_products(network)
    assert [type(module) for module in network] == [FastLinear, Own, nn.Linear, nn.Embedding]
    assert type(copy.deepcopy(network)[0]) is FastLinear
    assert list(network.state_dict()) == names


def test_nothing_changes_where_torch_is_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "is_faster", lambda: False)
    monkeypatch.setattr(products, "packed_types", frozenset)
    layer = nn.Linear(64, 64)
    use_fast_products(layer)
    assert type(layer) is nn.Linear


@pytest.mark.parametrize(
    ("vendor", "family", "capability", "is_faster"),
    [
        ("AuthenticAMD", 26, "AVX512", True),
        ("AuthenticAMD", 27, "AVX512", True),
        ("AuthenticAMD", 25, "AVX512", False),  # Zen 4 computes 512 bits in two halves
        ("AuthenticAMD", 26, "AVX2", False),
        ("GenuineIntel", 6, "AVX512", False),
        ("GenuineIntel", 26, "AVX512", False),
        ("AuthenticAMD", None, "AVX512", False),
    ],
)
def test_which_processors_products_are_onednns(  # with any weight, and of few rows with a packed one
    vendor: str, family: int | None, capability: str, is_faster: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    said = "" if family is None else f"cpu family\t: {family}\n"
    about = f"processor\t: 0\nvendor_id\t: {vendor}\n{said}model\t\t: 17\n"
    monkeypatch.setattr(products.Path, "read_text", lambda _: about)
    has_onednn = torch.backends.mkldnn.is_available()
    assert products.is_faster.__wrapped__() is (is_faster and has_onednn)
    is_amds = vendor == "AuthenticAMD" and family is not None
    assert (torch.float32 in products.packed_types.__wrapped__()) is (is_amds and has_onednn)
