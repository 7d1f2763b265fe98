"""The mask: the reward reaches the reflection's tokens, all of them, and no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.progress import Progress
from rrr_core.training import run as training_run
from rrr_core.training.credit import completion_of
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


class Spy(ReflectionTrainer):
    """Keeps what each step sampled, what it trained on, and the gradient at each token's log-probability."""

    seen: list[Spy] = []

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.turns: list[Any] = []
        self.losses: list[tuple[dict[str, Any], Any]] = []
        Spy.seen.append(self)

    def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
        output = super().play_batch(prompts, trainer)
        self.turns.append(output["turn"])
        return output

    def _get_per_token_logps_and_entropies(self, *arguments: Any, **keywords: Any) -> Any:
        logps, entropies, auxiliary = super()._get_per_token_logps_and_entropies(*arguments, **keywords)
        if logps.requires_grad:
            logps.retain_grad()
            self.last = logps
        return logps, entropies, auxiliary

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        loss = super()._compute_loss(model, inputs)
        self.losses.append((inputs, self.last))
        return loss


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> type[Spy]:
    Spy.seen = []
    monkeypatch.setattr(training_run, "ReflectionTrainer", Spy)
    return Spy


def spied(spy: type[Spy], failures: Any, model_settings: Any, folder: Path, settings: Any) -> Spy:
    """A run in which groups without a signal are computed too, so that every turn is seen."""
    train(CoinTask(), failures, model_settings, folder, dataclasses.replace(settings, alike="keep"), Progress())
    return spy.seen[-1]


def trained_ids(inputs: dict[str, Any]) -> list[tuple[int, ...]]:
    """The ids in each row of a forward pass that the mask trains."""
    mask = inputs["completion_mask"] * inputs["tool_mask"]
    return [tuple(ids[keep.bool()].tolist()) for ids, keep in zip(inputs["completion_ids"], mask, strict=True)]


EXPECTED = {
    "reflection": lambda turn: turn.reflection_ids,
    "placebo": lambda turn: turn.reflection_ids,
    "retry": lambda turn: turn.retry_ids,
    "all": lambda turn: [*turn.reflection_ids, *turn.retry_ids],
}


@pytest.mark.parametrize("credit", sorted(EXPECTED))
def test_trained_ids_are_the_sampled_ids_to_the_last_one(
    credit: str, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    trainer = spied(
        spy, failures, model_settings, tmp_path / "t", dataclasses.replace(settings, credit=credit, steps=2)
    )
    sampled = sorted(tuple(EXPECTED[credit](turn)) for turns in trainer.turns for turn in turns)
    trained = sorted(ids for inputs, _ in trainer.losses for ids in trained_ids(inputs))
    assert trained == sampled
    assert len(sampled) == 2 * settings.batch_size


@pytest.mark.parametrize("credit", sorted(EXPECTED))
def test_the_gradient_is_zero_outside_the_trained_tokens_and_nowhere_else(
    credit: str, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    plain = dataclasses.replace(settings, credit=credit, steps=2, kl=0.0)
    trainer = spied(spy, failures, model_settings, tmp_path / "t", plain)
    moved = 0
    for inputs, logps in trainer.losses:
        mask = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        assert logps.grad[~mask].abs().sum() == 0
        rewarded = mask & (inputs["advantages"].unsqueeze(1) != 0)
        assert (logps.grad[rewarded] != 0).all()
        assert logps.grad[mask & ~rewarded].abs().sum() == 0
        moved += int(rewarded.sum())
    assert moved > 0


def test_the_step_is_that_of_plain_grpo_on_the_reflection_alone(
    spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """One step of plain SGD moves the weights by the gradient of a loss written out by hand, row by row, unpadded."""
    one = dataclasses.replace(
        settings,
        steps=1,
        kl=0.05,
        learning_rate=1.0,
        scheduler="constant",
        warmup_ratio=0.0,
        grpo={"optim": "sgd", "max_grad_norm": "1e9"},
    )
    trainer = spied(spy, failures, model_settings, tmp_path / "t", one)
    model = load_transformers(model_settings.model, dtype="float32").network
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    (turns,) = trainer.turns
    tokens = sum(len(turn.reflection_ids) for turn in turns)
    loss = torch.zeros(())
    for start in range(0, len(turns), one.group_size):
        group = turns[start : start + one.group_size]
        rewards = torch.tensor([turn.verdict.reward for turn in group])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for turn, advantage in zip(group, advantages, strict=True):
            ids = torch.tensor([[*turn.prompt_ids, *turn.reflection_ids]])
            logits = model(input_ids=ids).logits[0, len(turn.prompt_ids) - 1 : -1] / one.temperature
            logps = logits.log_softmax(-1).gather(1, torch.tensor(turn.reflection_ids).unsqueeze(1)).squeeze(1)
            difference = logps.detach() - logps  # the reference model is the starting model: the same numbers
            divergence = difference.exp() - difference - 1
            ratio = (logps - logps.detach()).exp()
            loss = loss + (-ratio * advantage + one.kl * divergence).sum() / tokens
    loss.backward()
    after = dict(trainer.accelerator.unwrap_model(trainer.model).named_parameters())
    compared = 0
    for name, weight in model.named_parameters():
        step = before[name] - after[name].detach()
        assert torch.allclose(step, weight.grad, rtol=1e-4, atol=1e-6), name
        compared += int((weight.grad != 0).any())
    assert compared > 10


def test_the_loss_reaches_the_end_token_of_a_reflection_that_ended(
    spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    trainer = spied(
        spy, failures, model_settings, tmp_path / "t", dataclasses.replace(settings, max_reflection_tokens=60)
    )
    end = trainer.processing_class.eos_token_id
    ended = [turn for turns in trainer.turns for turn in turns if turn.reflection_ended]
    assert ended
    assert all(turn.reflection_ids[-1] == end and end not in turn.reflection_ids[:-1] for turn in ended)


def test_masks_are_as_long_as_their_ids_whatever_the_credit() -> None:
    for credit in EXPECTED:
        for reflection, between, retry in (([], [1], []), ([1], [2, 3], [4]), ([1, 2], [], [3, 4, 5])):
            completion = completion_of(credit, reflection, between, retry)
            assert len(completion.ids) == len(completion.mask)
