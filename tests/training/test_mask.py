"""The mask: the reward reaches the reflection's tokens, all of them, and no other."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.progress import Progress
from rrr_core.training import run as training_run
from rrr_core.training.credit import (
    CREDITS,
    Completion,
    Credit,
    check_context,
    completion_of,
    credit_named,
    prompt_ids,
    reward_of,
)
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import failed, passed
from tests.episodes import make_failure
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


class Spy(ReflectionTrainer):
    """Records what each step sampled, what it trained on, and the gradient at each token's log-probability."""

    seen: list[Spy] = []

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.episodes: list[Any] = []
        self.losses: list[tuple[dict[str, Any], Any]] = []
        Spy.seen.append(self)

    def play_batch(self, prompts: Any, trainer: Any) -> dict[str, Any]:
        output = super().play_batch(prompts, trainer)
        self.episodes.append(output["episode"])
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
    """A run that computes zero-variance groups too, so that every episode is seen."""
    train(CoinTask(), failures, model_settings, folder, dataclasses.replace(settings, zero_variance="keep"), Progress())
    return spy.seen[-1]


def trained_ids(inputs: dict[str, Any]) -> list[tuple[int, ...]]:
    """The ids that the mask trains, in each row of a forward pass."""
    mask = inputs["completion_mask"] * inputs["tool_mask"]
    return [tuple(ids[keep.bool()].tolist()) for ids, keep in zip(inputs["completion_ids"], mask, strict=True)]


def ids_of(episode: Episode, *roles: str) -> list[int]:
    return [token for segment in episode.segments if segment.role in roles for token in segment.ids]


EXPECTED = {
    "reflection": lambda episode: ids_of(episode, "reflection"),
    "placebo": lambda episode: ids_of(episode, "reflection"),
    "retry": lambda episode: ids_of(episode, "retry"),
    "all": lambda episode: ids_of(episode, "reflection", "retry"),
}


@pytest.mark.parametrize("credit", sorted(EXPECTED))
def test_trained_ids_are_the_sampled_ids_to_the_last_one(
    credit: str, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    trainer = spied(
        spy, failures, model_settings, tmp_path / "t", dataclasses.replace(settings, credit=credit, steps=2)
    )
    sampled = sorted(tuple(EXPECTED[credit](episode)) for episodes in trainer.episodes for episode in episodes)
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
    (episodes,) = trainer.episodes
    tokens = sum(len(episode.rounds[0].reflection.ids) for episode in episodes)
    loss = torch.zeros(())
    for start in range(0, len(episodes), one.group_size):
        group = episodes[start : start + one.group_size]
        rewards = torch.tensor([episode.last_verdict.reward for episode in group])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for episode, advantage in zip(group, advantages, strict=True):
            read, written = prompt_ids(episode), list(episode.rounds[0].reflection.ids)
            logits = model(input_ids=torch.tensor([[*read, *written]])).logits[0, len(read) - 1 : -1] / one.temperature
            logps = logits.log_softmax(-1).gather(1, torch.tensor(written).unsqueeze(1)).squeeze(1)
            difference = logps.detach() - logps  # the reference model is the starting model, with the same numbers
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
    reflections = [one.rounds[0].reflection for episodes in trainer.episodes for one in episodes]
    ended = [reflection for reflection in reflections if not reflection.is_cut_off]
    assert ended
    assert all(reflection.ids[-1] == end and end not in reflection.ids[:-1] for reflection in ended)


def test_masks_are_as_long_as_their_ids_whatever_the_credit() -> None:
    read = Segment("prompt", ids=(1, 2, 3))
    failure = make_failure().episode
    for credit in CREDITS.values():
        for reflection, between, retry in (((), (1,), ()), ((1,), (2, 3), (4,)), ((1, 2), (), (3, 4, 5))):
            written = Segment("reflection", ids=reflection), Segment("prompt", ids=between), Segment("retry", ids=retry)
            completion = completion_of(credit.marked(failure.extended(read, *written)))
            assert len(completion.ids) == len(completion.mask)


def test_a_completion_ends_with_the_last_trained_segment_and_masks_what_was_only_read() -> None:
    segments = (
        Segment("prompt", ids=(1, 2)),
        Segment("reflection", ids=(5, 6), logprobs=(-0.5, -0.6)),
        Segment("prompt", ids=(7, 8)),
        Segment("retry", text="x", ids=(9, 2), logprobs=(-0.9, -0.2), verdict=passed()),
    )
    episode = make_failure().episode.extended(*segments)
    found = {name: completion_of(credit.marked(episode)) for name, credit in CREDITS.items()}
    short = Completion([5, 6], [1, 1], [-0.5, -0.6])
    long = [5, 6, 7, 8, 9, 2], [-0.5, -0.6, 0.0, 0.0, -0.9, -0.2]
    assert found == {
        "reflection": short,
        "placebo": short,
        "passing": short,
        "retry": Completion(long[0], [0, 0, 0, 0, 1, 1], long[1]),
        "all": Completion(long[0], [1, 1, 0, 0, 1, 1], long[1]),
    }
    assert prompt_ids(episode) == [1, 2]


def test_rounds_beyond_the_first_are_trained_in_the_same_way() -> None:
    segments = [
        segment
        for number in (10, 20)
        for segment in (
            Segment("prompt", ids=(number,)),
            Segment("reflection", ids=(number + 1,)),
            Segment("prompt", ids=(number + 2,)),
            Segment("retry", ids=(number + 3,), verdict=failed("x") if number == 10 else passed()),
        )
    ]
    episode = CREDITS["reflection"].marked(make_failure().episode.extended(*segments))
    completion = completion_of(episode)
    assert completion.ids == [11, 12, 13, 20, 21]
    assert completion.mask == [1, 0, 0, 0, 1]
    assert reward_of(episode) == 1.0
    assert [one.verdict for one in episode.rounds] == [failed("x"), passed()]


def test_a_credit_may_train_some_segments_of_a_role_and_not_others() -> None:
    last_round = Credit(
        "last-round", lambda segments: [place >= len(segments) - 3 for place in range(len(segments))], ""
    )
    parts = [
        segment
        for number in (10, 20)
        for segment in (
            Segment("prompt", ids=(number,)),
            Segment("reflection", ids=(number + 1,)),
            Segment("prompt", ids=(number + 2,)),
            Segment("retry", ids=(number + 3,), verdict=passed()),
        )
    ]
    completion = completion_of(last_round.marked(make_failure().episode.extended(*parts)))
    assert completion.ids == [11, 12, 13, 20, 21, 22, 23]
    assert completion.mask == [0, 0, 0, 0, 1, 0, 1]


def test_every_credit_has_its_line_on_the_methods_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf-8")
    for name in CREDITS:
        assert f"| `{name}`" in page


def test_an_unknown_credit_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(RrrError, match=r"no credit 'reflections'.*Did you mean 'reflection'"):
        credit_named("reflections")


@pytest.mark.parametrize("credit", ["retry", "all"])
def test_a_retry_is_trained_only_where_it_continues_its_reflections_context(credit: str) -> None:
    check_context(credit_named(credit), extends=True)
    with pytest.raises(RrrError, match=f"--credit {credit} trains the retry, and .* use --keep-thoughts"):
        check_context(credit_named(credit), extends=False)


@pytest.mark.parametrize("credit", ["reflection", "placebo"])
def test_a_reflection_is_trained_whatever_the_chat_template_does_to_it_later(credit: str) -> None:
    check_context(credit_named(credit), extends=False)
