"""The head on a CPU gives what float64 gives, and is used wherever TRL has no kernel and asks for no more."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from trl.kernels import ChunkedLogProbFunction

from rrr_core.generation import products
from rrr_core.training import head
from rrr_core.training.head import HeadOfTrl, TiledHead

pytestmark = pytest.mark.train

BOTH = ("log_probs", "entropy")


def _inputs(rows: int, width: int, vocabulary: int) -> tuple[Any, Any, Any]:
    torch.manual_seed(rows)
    hidden, weight = (torch.randn(count, width, dtype=torch.float64) for count in (rows, vocabulary))
    return hidden, weight, torch.randint(vocabulary, (rows,))


def _exact(hidden: Any, weight: Any, labels: Any, temperature: float) -> tuple[Any, Any]:
    log_probs = (hidden @ weight.t() / temperature).log_softmax(-1)
    return log_probs.gather(-1, labels[:, None])[:, 0], -(log_probs.exp() * log_probs).sum(-1)


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("kept", [0, 2**27])
@pytest.mark.parametrize("of_entropy", [0.0, 0.5])
@pytest.mark.parametrize(("rows", "vocabulary", "temperature"), [(1, 40, 1.0), (70, 1003, 0.7), (70, 256, 1.0)])
def test_values_and_gradients_are_exact(
    monkeypatch: pytest.MonkeyPatch,
    onednn: bool,
    kept: int,
    of_entropy: float,
    rows: int,
    vocabulary: int,
    temperature: float,
) -> None:
    monkeypatch.setattr(products, "is_faster", lambda: onednn)
    monkeypatch.setattr(head, "KEPT", kept)
    monkeypatch.setattr(head, "TILE", 2**14)  # several tiles, the last one narrower
    hidden, weight, labels = _inputs(rows, 16, vocabulary)
    found = []
    for dtype in (torch.float64, torch.float32):
        states, words = hidden.to(dtype, copy=True).requires_grad_(), weight.to(dtype, copy=True).requires_grad_()
        if dtype is torch.float64:
            log_probs, entropy = _exact(states, words, labels, temperature)
        else:
            log_probs, entropy, *_ = HeadOfTrl.apply(states, words, None, labels, temperature, 1, outputs=BOTH)
        chance = torch.linspace(-1, 1, rows, dtype=dtype)
        (log_probs * chance).sum().add(of_entropy * (entropy * chance.flip(0)).sum()).backward()
        found.append([each.detach().double() for each in (log_probs, entropy, states.grad, words.grad)])
    for exact, ours in zip(*found, strict=True):
        assert float((exact - ours).norm() / exact.norm().clamp(min=1e-3)) < 2e-5


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden, weight, labels = (each.float() if each.is_floating_point() else each for each in _inputs(40, 8, 50))
    hidden.requires_grad_()
    HeadOfTrl.apply(hidden, weight, None, labels, 1.0, 1)[0].sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None


def test_bfloat16_under_autocast_is_as_near_as_trls() -> None:
    hidden, weight, labels = _inputs(64, 32, 500)
    exact = _with_gradients(lambda *states: _exact(*states, labels, 1.0)[0], hidden, weight)
    apart = []
    for kind in (HeadOfTrl, ChunkedLogProbFunction):

        def score(states: Any, words: Any, kind: Any = kind) -> Any:
            with torch.autocast("cpu", torch.bfloat16):
                return kind.apply(states, words, None, labels, 1.0, 32768, None, 1.0, BOTH)[0]

        found = _with_gradients(score, hidden.float(), weight.float())
        apart.append([float((one - other).norm() / other.norm()) for one, other in zip(found, exact, strict=True)])
    for ours, theirs in zip(*apart, strict=True):
        assert ours < 1.05 * theirs
        assert theirs < 0.02


def _with_gradients(score: Any, *inputs: Any) -> list[Any]:
    """Log-probabilities of some inputs, and the inputs' gradients of an uneven sum."""
    inputs = tuple(each.clone().requires_grad_() for each in inputs)
    log_probs = score(*inputs)
    (log_probs.double() * torch.linspace(-1, 2, len(log_probs), dtype=torch.float64)).sum().backward()
    return [each.detach().double() for each in (log_probs, *(one.grad for one in inputs))]


@pytest.mark.parametrize(
    ("bias", "softcap", "outputs"),
    [(True, None, BOTH), (False, 3.0, BOTH), (False, None, ("log_probs", "mean_logits"))],
)
def test_what_only_trls_head_can_do_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, bias: bool, softcap: float | None, outputs: tuple[str, ...]
) -> None:
    monkeypatch.setattr(TiledHead, "apply", None)
    hidden, weight, labels = (each.float() if each.is_floating_point() else each for each in _inputs(5, 8, 50))
    arguments = (torch.ones(50) if bias else None, labels, 1.0, 32768, softcap, 1.0, outputs)
    for ours, theirs in zip(
        HeadOfTrl.apply(hidden, weight, *arguments),
        ChunkedLogProbFunction.apply(hidden, weight, *arguments),
        strict=True,
    ):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert torch.equal(ours, theirs)


def test_a_label_is_top_if_it_is_the_first_of_the_likeliest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "TILE", 2**12)  # tiles of 256 words
    hidden, weight, _ = _inputs(6, 16, 1000)
    weight[900] = weight[3] = 4 * hidden[0]  # words 3 and 900 are as likely, in tiles of their own
    weight[301] = weight[302] = 4 * hidden[1]  # and these within one
    best = (hidden @ weight.t()).argmax(1)
    assert [int(each) for each in best[:2]] == [3, 301]
    for labels in (best, best.flip(0), torch.tensor([900, 302, 0, 1, 2, 999])):
        arguments = (hidden.float(), weight.float(), None, labels, 1.0, 256, None, 1.0, ("log_probs", "is_top1"))
        ours, theirs = HeadOfTrl.apply(*arguments)[4], ChunkedLogProbFunction.apply(*arguments)[4]
        assert ours is not None
        assert ours.tolist() == theirs.tolist() == (labels == best).tolist()


def test_trl_still_calls_its_head_as_ours_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    import trl.trainer.utils
    from transformers import LlamaConfig, LlamaForCausalLM

    from rrr_core.training.upstream import patch_upstream

    calls, rows = [], []

    class Spy(HeadOfTrl):
        @staticmethod
        def apply(*arguments: Any, **keywords: Any) -> Any:
            calls.append(len(arguments))
            rows.append(len(arguments[0]))
            return HeadOfTrl.apply(*arguments, **keywords)

    patch_upstream()
    assert trl.trainer.utils._ChunkedLogProbFunction is HeadOfTrl
    monkeypatch.setattr(trl.trainer.utils, "_ChunkedLogProbFunction", Spy)
    network = LlamaForCausalLM(
        LlamaConfig(vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    )
    trl.trainer.utils.add_fused_lm_head(network, temperature=0.9, outputs=BOTH)
    ids = torch.arange(12).view(2, 6)
    found = network(input_ids=ids, labels=ids, fused_lm_head=True)
    expected = (network(input_ids=ids).logits[:, :-1] / 0.9).log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    torch.testing.assert_close(found.log_probs, expected)
    masked = ids.clone()
    masked[:, :4] = -100
    seen = network(input_ids=ids, labels=masked, fused_lm_head=True)
    torch.testing.assert_close(seen.log_probs[:, 3:], expected[:, 3:])
    assert not seen.log_probs[:, :3].any()
    assert rows == [10, 4], "tokens without a label cost no logits"
    assert calls == [9, 9]
