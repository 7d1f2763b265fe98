"""The mask: the reward reaches the reflection's tokens, all of them, and no other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Episode, Segment
from rrr_core.errors import RrrError
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.progress import Progress
from rrr_core.training import run as training_run
from rrr_core.training.advantages import with_advantages
from rrr_core.training.credit import (
    CREDITS,
    Completion,
    Credit,
    check_context,
    completion_of,
    credit_named,
    is_first_try,
    prompt_ids,
    reward_of,
)
from rrr_core.training.distillation import Distillation
from rrr_core.training.run import train
from rrr_core.training.trainer import ReflectionTrainer
from rrr_core.verdicts import failed, passed
from tests.episodes import make_failure
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train


SGD = {"optim": "sgd", "max_grad_norm": "1e9"}


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


def spied(spy: type[Spy], failures: Any, model_settings: Any, folder: Path, settings: Any, task: Any = None) -> Spy:
    """A run that computes zero-variance groups too, so that every episode is seen."""
    task = task or CoinTask()
    train(task, failures, model_settings, folder, dataclasses.replace(settings, zero_variance="keep"), Progress())
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
    "passing": lambda episode: [*episode.rounds[-1].reflection.ids],
    "retry": lambda episode: ids_of(episode, "retry"),
    "all": lambda episode: ids_of(episode, "reflection", "retry"),
    "attempt": lambda episode: ids_of(episode, "attempt"),
    # With first tries among the groups of a step.
    "reflection, reward": lambda episode: ids_of(episode, "attempt" if is_first_try(episode) else "reflection"),
    "all, both": lambda episode: ids_of(episode, *(["attempt"] if is_first_try(episode) else ["reflection", "retry"])),
}
RUNS = [
    (credit, rounds)
    for credit in sorted(EXPECTED)
    for rounds in (1, 3)
    if (credit, rounds) not in (("passing", 1), ("attempt", 3))
]
"""Each credit with one round and with three."""


def credited(settings: Any, credit: str, rounds: int = 1, **changes: Any) -> Any:
    """Settings for a credit, and for a kind of consolidation if it names one."""
    name, _, mode = credit.partition(", ")
    return dataclasses.replace(
        settings, credit=name, consolidate=mode or "none", max_attempt_tokens=6, rounds=rounds, steps=2, **changes
    )


@pytest.mark.parametrize(("credit", "rounds"), RUNS)
def test_trained_ids_are_the_sampled_ids_to_the_last_one(
    credit: str, rounds: int, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    trainer = spied(spy, failures, model_settings, tmp_path / "t", credited(settings, credit, rounds))
    episodes = [episode for batch in trainer.episodes for episode in batch]
    sampled = sorted(tuple(EXPECTED[credit](episode)) for episode in episodes)
    trained = sorted(ids for inputs, _ in trainer.losses for ids in trained_ids(inputs))
    assert trained == sampled
    assert len(sampled) == 2 * settings.batch_size
    played = {len(episode.rounds) for episode in episodes if not is_first_try(episode)}
    assert played == (set() if credit == "attempt" else set(range(1, rounds + 1)))


@pytest.mark.parametrize("shared_prompt", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize(("credit", "rounds"), RUNS)
def test_the_gradient_is_zero_outside_the_trained_tokens_and_nowhere_else(
    credit: str,
    rounds: int,
    shared_prompt: bool,
    spy: type[Spy],
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    plain = credited(settings, credit, rounds, shared_prompt=shared_prompt, kl=0.0)
    trainer = spied(spy, failures, model_settings, tmp_path / "t", plain)
    moved = 0
    for inputs, logps in trainer.losses:
        mask = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        advantages = inputs["advantages"]
        by_round = rounds > 1 and credit in ("reflection", "placebo", "reflection, reward")
        assert advantages.shape == (mask.shape if by_round else mask.shape[:1])
        assert logps.grad[~mask].abs().sum() == 0
        rewarded = mask & ((advantages if by_round else advantages.unsqueeze(1)) != 0)
        assert (logps.grad[rewarded] != 0).all()
        assert logps.grad[mask & ~rewarded].abs().sum() == 0
        moved += int(rewarded.sum())
    assert moved > 0


def log_probabilities(model: Any, read: Any, written: Any, temperature: float) -> Any:
    """Of `written` after `read`, row by row and unpadded."""
    logits = model(input_ids=torch.tensor([[*read, *written]])).logits[0, len(read) - 1 : -1] / temperature
    return logits.log_softmax(-1).gather(1, torch.tensor(written).unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("credit", ["reflection", "attempt"])
def test_the_step_is_that_of_plain_grpo_on_the_trained_text_alone(
    credit: str, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """One step of plain SGD moves the weights by the gradient of a loss written out by hand, row by row, unpadded."""
    one = dataclasses.replace(
        settings,
        credit=credit,
        max_attempt_tokens=6,
        steps=1,
        kl=0.05,
        learning_rate=1.0,
        scheduler="constant",
        warmup_ratio=0.0,
        grpo=SGD,
    )
    trainer = spied(spy, failures, model_settings, tmp_path / "t", one)
    model = load_transformers(model_settings.model, dtype="float32").network
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    (episodes,) = trainer.episodes
    tokens = sum(len(EXPECTED[credit](episode)) for episode in episodes)
    loss = torch.zeros(())
    for start in range(0, len(episodes), one.group_size):
        group = episodes[start : start + one.group_size]
        rewards = torch.tensor([episode.last_verdict.reward for episode in group])
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-4)
        for episode, advantage in zip(group, advantages, strict=True):
            logps = log_probabilities(model, prompt_ids(episode), EXPECTED[credit](episode), one.temperature)
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


def returns_by_hand(episode: Episode, discount: float) -> list[float]:
    rewards = [1.0 if one.verdict.is_passed else 0.0 for one in episode.rounds]
    return [
        sum(discount ** (later - number) * rewards[later] for later in range(number, len(rewards)))
        for number in range(len(rewards))
    ]


@pytest.mark.parametrize("shared_prompt", [True, False], ids=["packed", "padded"])
def test_with_rounds_the_step_weighs_each_reflection_by_the_advantage_of_its_own_round(
    shared_prompt: bool, spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """The sum of each round's advantage times the gradient of its reflection, written out by hand, row by row."""
    one = dataclasses.replace(
        settings,
        steps=1,
        rounds=3,
        round_discount=0.5,
        batch_size=48,
        group_size=8,
        shared_prompt=shared_prompt,
        kl=0.0,
        learning_rate=1.0,
        scheduler="constant",
        warmup_ratio=0.0,
        grpo={"optim": "sgd", "max_grad_norm": "1e9"},
    )
    trainer = spied(spy, failures, model_settings, tmp_path / "t", one)
    model = load_transformers(model_settings.model, dtype="float32").network
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    (episodes,) = trainer.episodes
    tokens = sum(len(ids_of(episode, "reflection")) for episode in episodes)
    loss, weighed = torch.zeros(()), {1: 0, 2: 0, 3: 0}
    for start in range(0, len(episodes), one.group_size):
        group = episodes[start : start + one.group_size]
        returns = [returns_by_hand(episode, 0.5) for episode in group]
        for number in range(3):
            reached = torch.tensor([each[number] for each in returns if len(each) > number])
            for episode, each in zip(group, returns, strict=True):
                if len(each) <= number or len(reached) < 2 or reached.std() == 0:
                    continue
                advantage = (each[number] - reached.mean()) / (reached.std() + 1e-4)
                place = episode.segments.index(episode.rounds[number].reflection)
                read = [token for segment in episode.segments[:place] for token in segment.ids]
                written = list(episode.segments[place].ids)
                ids = torch.tensor([[*read, *written]])
                logits = model(input_ids=ids).logits[0, len(read) - 1 : -1] / one.temperature
                logps = logits.log_softmax(-1).gather(1, torch.tensor(written).unsqueeze(1))
                loss = loss - advantage * logps.sum() / tokens
                weighed[number + 1] += 1
    assert all(weighed.values())
    loss.backward()
    after = dict(trainer.accelerator.unwrap_model(trainer.model).named_parameters())
    for name, weight in model.named_parameters():
        torch.testing.assert_close(before[name] - after[name].detach(), weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shares", [True, False], ids=["shared", "padded"])
@pytest.mark.parametrize(("mode", "rounds"), [("distill", 1), ("both", 1), ("both", 3)])
def test_what_distilling_adds_to_a_step_is_the_gradient_of_the_retries_likelihood_on_the_first_prompt(
    mode: str,
    rounds: int,
    shares: bool,
    spy: type[Spy],
    failures: Any,
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    """Written out by hand, unpadded, over all micro-batches of a step: one mean over the tokens of all its targets."""
    one = dataclasses.replace(
        settings, steps=1, kl=0.0, learning_rate=1.0, scheduler="constant", warmup_ratio=0.0, grpo=SGD, save_every=1,
        consolidate="none" if mode == "distill" else "reward", max_attempt_tokens=6, batch_size=32,
        shared_prompt=shares, rounds=rounds,
    )  # fmt: skip
    without = spied(spy, failures, model_settings, tmp_path / "without", one)
    distilling = dataclasses.replace(one, consolidate=mode, distill_weight=0.7)
    trainer = spied(spy, failures, model_settings, tmp_path / "with", distilling)
    assert trainer.episodes == without.episodes, "the same texts are sampled"
    model = load_transformers(model_settings.model, dtype="float32").network
    (episodes,), loss, tokens, targets = trainer.episodes, torch.zeros(()), 0, 0
    for start in range(0, len(episodes), one.group_size):
        group = episodes[start : start + one.group_size]
        first = next((each for each in group if each.rounds and each.last_verdict.is_passed), None)
        if first is not None:
            read = trainer.rollout.engine.chat.encode_prompt(first.prompt)
            written = list(first.rounds[-1].retry.ids)
            loss = loss - log_probabilities(model, read, written, one.temperature).sum()
            tokens, targets = tokens + len(written), targets + 1
    (0.7 * loss / tokens).backward()
    assert targets > 1
    metrics = json.loads((tmp_path / "with" / "metrics.jsonl").read_text())
    assert metrics["distill_targets"] == targets
    assert metrics["distill_loss"] == pytest.approx(float(loss.detach() / tokens), rel=1e-4)
    after, plain = (dict(each.accelerator.unwrap_model(each.model).named_parameters()) for each in (trainer, without))
    for name, weight in model.named_parameters():
        step = plain[name].detach() - after[name].detach()
        assert torch.allclose(step, weight.grad, rtol=1e-3, atol=2e-6), name


def test_distilling_moves_no_log_probability_but_those_of_the_retrys_ids(
    spy: type[Spy], failures: Any, model_settings: Any, settings: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    rows: list[tuple[Any, Any]] = []
    summed = Distillation.loss

    def loss(self: Any, **keywords: Any) -> Any:
        if self.rows:
            self.logps.retain_grad()
            rows.append((self.rows, self.logps))
        return summed(self, **keywords)

    monkeypatch.setattr(Distillation, "loss", loss)
    trainer = spied(
        spy, failures, model_settings, tmp_path / "t", dataclasses.replace(settings, steps=2, consolidate="distill")
    )
    sampled = {each.rounds[0].retry.ids for one in trainer.episodes for each in one if each.last_verdict.is_passed}
    assert rows
    for targets, logps in rows:
        for target, gradients in zip(targets, logps.grad, strict=True):
            assert target.answer in sampled
            assert (gradients[: len(target.answer)] != 0).all()
            assert gradients[len(target.answer) :].abs().sum() == 0


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
        "attempt": Completion(long[0], [0, 0, 0, 0, 0, 0], long[1]),  # its episodes end with their first try
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
    assert completion_of(CREDITS["passing"].marked(episode)).mask == [0, 0, 0, 0, 1]
    assert completion.advantages is None
    assert completion_of(with_advantages(episode, [-0.5, 2.0])).advantages == [-0.5, 0.0, 0.0, 0.0, 2.0]
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


@pytest.mark.parametrize("credit", sorted(CREDITS))
def test_several_rounds_are_trained_only_where_each_continues_the_one_before(credit: str) -> None:
    check_context(credit_named(credit), extends=True, rounds=2)
    with pytest.raises(RrrError, match="--rounds 2 goes on from what was written before, and .* use --keep-thoughts"):
        check_context(credit_named(credit), extends=False, rounds=2)


@pytest.mark.parametrize("credit", ["reflection", "placebo", "passing"])
def test_a_reflection_is_trained_whatever_the_chat_template_does_to_it_later(credit: str) -> None:
    check_context(credit_named(credit), extends=False)
