"""Masks of courses: the reward reaches every action that the credit names, and nothing that was read between them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Episode, Segment
from rrr_core.generation.transformers_backend import load_transformers
from rrr_core.training.advantages import with_advantages
from rrr_core.training.credit import ATTEMPT, CREDITS, Completion, completion_of, is_first_try
from rrr_core.training.distillation import Target, targets_of
from rrr_core.verdicts import passed
from tests.training.conftest import StepCoin, course_failures
from tests.training.test_mask import EXPECTED, RUNS, SGD, Spy, credited, returns_by_hand, spied, spy, trained_ids

pytestmark = pytest.mark.train
__all__ = ["spy"]


def trained_places(credit: str, episode: Episode) -> list[int]:
    """The places of the segments that a credit trains, written out by hand; what was mined has no ids."""
    name = credit.partition(",")[0]
    roles = {"retry": ["retry"], "all": ["reflection", "retry"]}.get(name, ["reflection"])
    roles = ["attempt"] if is_first_try(episode) else roles
    found = [place for place, each in enumerate(episode.segments) if each.role in roles and each.ids]
    return found[-1:] if name == "passing" else found


def advantages_by_hand(trainer: Spy, episodes: list[Episode], size: int, by_round: bool) -> list[list[float]]:
    """For each episode an advantage for each of its rounds, or for all of it."""
    paid = [[reward] for reward in trainer._rewards]
    if by_round:
        paid = [returns_by_hand(each, 1.0) if each.rounds else [each.last_verdict.reward] for each in episodes]
    advantages = [[0.0] * len(each) for each in paid]
    for start in range(0, len(paid), size):
        for number in range(max(map(len, paid))):
            own = {place: paid[place] for place in range(start, start + size)}
            there = [place for place, each in own.items() if len(each) > number and each[number] is not None]
            values = torch.tensor([paid[place][number] for place in there])
            if len(values) > 1 and values.std() > 0:
                for place, value in zip(there, (values - values.mean()) / (values.std() + 1e-4), strict=True):
                    advantages[place][number] = float(value)
    return advantages


def weights_of(credit: str, episode: Episode, advantages: list[float]) -> list[float]:
    """The weight of each id of an episode, zero on what is not trained."""
    trained = trained_places(credit, episode)
    weights: list[float] = []
    number = -1
    for place, each in enumerate(episode.segments):
        number += each.role == "reflection" and bool(each.ids)
        own = advantages[max(number, 0)] if len(advantages) > 1 else advantages[0]
        weights += [own if place in trained else 0.0] * len(each.ids)
    return weights


@pytest.mark.parametrize("shared_prompt", [True, False], ids=["packed", "padded"])
@pytest.mark.parametrize(("credit", "rounds"), RUNS)
def test_a_step_on_courses_is_the_sum_of_advantages_times_the_gradients_of_credited_tokens(
    credit: str,
    rounds: int,
    shared_prompt: bool,
    spy: type[Spy],
    model_settings: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    """Written out by hand, on what the network saw, row by row and unpadded; and no other token has a gradient."""
    one = dataclasses.replace(
        # What distilling adds has its own test.
        credited(settings, credit.replace("both", "reward"), rounds, shared_prompt=shared_prompt),
        steps=1,
        save_every=1,
        max_steps=3,
        kl=0.0,
        learning_rate=1.0,
        scheduler="constant",
        warmup_ratio=0.0,
        grpo=SGD,
    )
    trainer = spied(spy, course_failures(), model_settings, tmp_path / "t", one, StepCoin())
    (episodes,) = trainer.episodes

    sampled = sorted(tuple(EXPECTED[credit](episode)) for episode in episodes)
    assert sorted(ids for inputs, _ in trainer.losses for ids in trained_ids(inputs)) == sampled
    by_round = rounds > 1 and CREDITS[one.credit].by_round
    between = moved = 0
    for inputs, logps in trainer.losses:
        mask = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        weighs = inputs["advantages"] if by_round else inputs["advantages"].unsqueeze(1).expand_as(mask)
        assert ((logps.grad != 0) == (mask & (weighs != 0))).all()
        moved += int((mask & (weighs != 0)).sum())
        between += int(((mask[:, 1:] != mask[:, :-1]).sum(1) > 2).sum())
    assert moved > 0
    if one.credit in ("retry", "all", "attempt"):
        assert between > 0, "some courses have several trained actions"

    if credit == "placebo":  # its rewards are others'
        assert not by_round or any(each.advantage for one in episodes for each in one.segments)
    else:
        rewards = [each.last_verdict.reward if trained_places(credit, each) else None for each in episodes]
        assert trainer._rewards == rewards
    advantages = advantages_by_hand(trainer, episodes, one.group_size, by_round)
    if credit == "placebo" and by_round:
        advantages = [[each.advantage for each in one.segments if each.advantage is not None] for one in episodes]
    model = load_transformers(model_settings.model, dtype="float32").network
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    tokens = sum(len(EXPECTED[credit](episode)) for episode in episodes)
    loss = torch.zeros(())
    for episode, own in zip(episodes, advantages, strict=True):
        ids = torch.tensor([token for segment in episode.segments for token in segment.ids])
        weights = torch.tensor(weights_of(credit, episode, own))
        logits = model(input_ids=ids[None]).logits[0, :-1] / one.temperature
        logps = logits.log_softmax(-1).gather(1, ids[1:, None]).squeeze(1)
        loss = loss - (weights[1:] * logps).sum() / tokens
    loss.backward()
    after = dict(trainer.accelerator.unwrap_model(trainer.model).named_parameters())
    assert sum(int((weight.grad != 0).any()) for weight in model.parameters()) > 10
    for name, weight in model.named_parameters():
        step = before[name] - after[name].detach()
        torch.testing.assert_close(step, weight.grad, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("shared_prompt", [True, False], ids=["packed", "padded"])
def test_a_passing_course_is_distilled_without_what_was_read_in_it(
    shared_prompt: bool, spy: type[Spy], model_settings: Any, settings: Any, tmp_path: Path
) -> None:
    """The whole course, observations unlearned, as the answer to the first prompt: written out by hand."""
    one = dataclasses.replace(
        settings, steps=1, save_every=1, kl=0.0, learning_rate=1.0, scheduler="constant", warmup_ratio=0.0, grpo=SGD,
        max_steps=3, batch_size=32, shared_prompt=shared_prompt,
    )  # fmt: skip
    without = spied(spy, course_failures(), model_settings, tmp_path / "without", one, StepCoin())
    distilling = dataclasses.replace(one, consolidate="distill", distill_weight=0.7)
    trainer = spied(spy, course_failures(), model_settings, tmp_path / "with", distilling, StepCoin())
    (episodes,) = trainer.episodes
    assert trainer.episodes == without.episodes
    model = load_transformers(model_settings.model, dtype="float32").network
    loss, tokens, observed = torch.zeros(()), 0, 0
    for start in range(0, len(episodes), one.group_size):
        group = episodes[start : start + one.group_size]
        first = next((each for each in group if each.last_verdict.is_passed), None)
        if first is None:
            continue
        read = trainer.rollout.engine.chat.encode_prompt(first.prompt)
        course = first.last_try
        ids = torch.tensor([*read, *(token for each in course for token in each.ids)])
        learned = torch.tensor([False] * len(read) + [not each.is_read for each in course for _ in each.ids])
        logits = model(input_ids=ids[None]).logits[0, :-1] / one.temperature
        logps = logits.log_softmax(-1).gather(1, ids[1:, None]).squeeze(1)
        loss = loss - logps[learned[1:]].sum()
        tokens, observed = tokens + int(learned.sum()), observed + len(course) // 2
    assert observed > 0
    (0.7 * loss / tokens).backward()
    (metrics,) = [json.loads(line) for line in (tmp_path / "with" / "metrics.jsonl").read_text().splitlines()]
    assert metrics["distill_loss"] == pytest.approx(float(loss.detach() / tokens), rel=1e-4)
    after, plain = (dict(each.accelerator.unwrap_model(each.model).named_parameters()) for each in (trainer, without))
    for name, weight in model.named_parameters():
        step = plain[name].detach() - after[name].detach()
        torch.testing.assert_close(step, weight.grad, rtol=1e-3, atol=2e-6)


COURSE = (
    Segment("prompt", ids=(1, 2)),
    Segment("reflection", ids=(5, 6), logprobs=(-0.5, -0.6)),
    Segment("prompt", ids=(7, 8)),
    Segment("retry", text="x", ids=(9, 3), logprobs=(-0.9, -0.1)),
    Segment("observation", ids=(10, 11, 12)),
    Segment("retry", text="y", judged="xy", ids=(13, 3), logprobs=(-0.3, -0.2), verdict=passed()),
)


def test_observations_are_in_the_completion_and_in_no_mask() -> None:
    episode = course_failures()[0].episode.extended(*COURSE)
    ids = [5, 6, 7, 8, 9, 3, 10, 11, 12, 13, 3]
    logprobs = [-0.5, -0.6, 0.0, 0.0, -0.9, -0.1, 0.0, 0.0, 0.0, -0.3, -0.2]
    retry, everything = (completion_of(CREDITS[name].marked(episode)) for name in ("retry", "all"))
    assert retry == Completion(ids, [0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 1], logprobs)
    assert everything == Completion(ids, [1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1], logprobs)
    for name in ("reflection", "placebo", "passing"):
        assert completion_of(CREDITS[name].marked(episode)) == Completion([5, 6], [1, 1], [-0.5, -0.6])


def test_a_first_try_has_one_advantage_for_all_its_actions() -> None:
    prompt, first, seen, last = (dataclasses.replace(each, logprobs=None) for each in COURSE[2:])
    actions = (dataclasses.replace(first, role="attempt"), seen, dataclasses.replace(last, role="attempt"))
    episode = ATTEMPT.marked(Episode(0, {}, (prompt, *actions)))
    assert completion_of(with_advantages(episode, [0.5])).advantages == [0.5, 0.5, 0.0, 0.0, 0.0, 0.5, 0.5]


def test_a_distilled_course_is_answered_to_the_first_prompt_and_knows_what_was_read() -> None:
    episode = course_failures()[0].episode.extended(*COURSE)
    assert targets_of([episode], [True], lambda messages: [4, 4]) == [
        Target((4, 4), (9, 3, 10, 11, 12, 13, 3), read=frozenset({2, 3, 4}))
    ]
    lost = tuple(dataclasses.replace(each, ids=()) if each.role == "observation" else each for each in COURSE)
    again = course_failures()[0].episode.extended(*lost)
    assert targets_of([again], [True], lambda messages: [4, 4]) == [], "its actions are of different contexts"
