"""A tiny model with random weights and a task whose verdicts spread: what the trainer's tests run on."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from rrr_core.episode import Failure, Segment
from rrr_core.generation import ModelSettings
from rrr_core.hookspecs import Step, final, observed
from rrr_core.mining.failure_set import failures_of_several
from rrr_core.training.settings import TrainSettings
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.warmup_settings import WarmupSettings
from rrr_core.verdicts import Verdict, abstained, failed, passed
from tests.episodes import make_failure


class CoinTask:
    """Judges by the answer's hash, so that random text gets both verdicts, and one text always the same.

    `abstain_every` makes the verifier abstain on each answer with a hash that is a multiple of it.
    """

    name, distribution, version, overlays = "coin", "rrr-coin", "1.0", ()
    trusted = True
    judges: tuple[str, ...] = ()
    combines = False
    rewards_trusted = True
    has_steps = False
    steps_trusted = True

    def __init__(self, abstain_every: int = 0, gives_rewards: bool = False) -> None:
        self.abstain_every = abstain_every
        self.gives_rewards = gives_rewards

    def implements(self, hook: str) -> bool:
        return hook == "rrr_reward" and self.gives_rewards

    def reward(self, row: Any, answer: str, verdict: Verdict) -> Verdict:
        """A quarter for a failing answer of at least two letters, and half for a passing one of fewer."""
        if verdict.is_failed and len(answer) > 1:
            return replace(verdict, score=0.25)
        return replace(verdict, score=0.5) if verdict.is_passed and len(answer) < 2 else verdict

    def prompt(self, row: Any, model: Any) -> tuple[dict[str, str], ...]:
        return ({"role": "user", "content": f"Toss {row['n']}."},)

    def reflection_prompt(self, row: Any, attempt: str, model: Any) -> str:
        return "Wrong. Reflect."

    def retry_prompt(self, row: Any, model: Any) -> str:
        return f"Toss {row['n']}."

    def verify(self, row: Any, answer: str) -> Verdict:
        number = int.from_bytes(hashlib.sha256(answer.encode()).digest()[:4], "big")
        if self.abstain_every and number % self.abstain_every == 0:
            return abstained("exception", "rrr-coin 1.0, hook rrr_verify: planted")
        return passed() if number % 2 else failed("tails")

    def gold_answer(self, row: Any) -> str | None:
        return None

    def final_answer(self, row: Any, text: str) -> str | None:
        return text

    def provenance(self) -> dict[str, Any]:
        return {"task": self.name, "distribution": self.distribution, "version": self.version, "overlays": []}


class StepCoin(CoinTask):
    """Acts in steps: by an action's hash another follows, or what is judged is this action after those before it."""

    has_steps = True

    def step(self, row: Any, state: Any, action: str, calls: Any = ()) -> Step | Verdict:
        if hashlib.sha256(action.encode()).digest()[5] % 3:
            return observed(f"Toss {row['n'] + 1}.", f"{state or ''}{action};")
        return final(f"{state or ''}{action};")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a Llama with 2 layers of width 32 and random weights, which ends its texts after about four tokens.

    Of its six-token reflections some are empty, some are cut off, and most are neither.
    """
    folder = tmp_path_factory.mktemp("tiny") / "model"
    tokenizer = make_tokenizer(["Toss 1. Wrong. Reflect. heads tails"] * 4, 512 + 256)
    settings = WarmupSettings(hidden_size=32, layers=2, heads=2, context=128, seed=3)
    model = make_model(tokenizer, settings)
    with torch.no_grad():  # one dimension that all tokens share, and that makes the end token the likeliest
        model.get_input_embeddings().weight[:, 0] = 0.1
        model.get_input_embeddings().weight[tokenizer.eos_token_id, 0] += 1.45
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def model_settings(tiny_model: Path) -> ModelSettings:
    return ModelSettings(model=str(tiny_model))


@pytest.fixture
def failures() -> list[Failure]:
    return coin_failures()


@pytest.fixture
def settings() -> TrainSettings:
    return four_steps()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """(episodes, rewards, advantages) of each step trained in the test."""
    from rrr_core.training import run as training_run
    from rrr_core.training.trainer import ReflectionTrainer

    kept: list[tuple[Any, ...]] = []

    class Kept(ReflectionTrainer):
        def __init__(self, *, on_episodes: Any, **arguments: Any) -> None:
            def both(step: int, episodes: Any, rewards: Any, advantages: Any) -> None:
                kept.append((episodes, list(rewards), list(advantages)))
                on_episodes(step, episodes, rewards, advantages)

            super().__init__(on_episodes=both, **arguments)

    monkeypatch.setattr(training_run, "ReflectionTrainer", Kept)
    return kept


def coin_failures() -> list[Failure]:
    return [
        make_failure(
            n,
            "tails" * (1 + n % 3),
            failed("tails"),
            row={"n": n},
            prompt=({"role": "user", "content": f"Toss {n}."},),
        )
        for n in itertools.islice(itertools.count(), 12)
    ]


def course_failures() -> list[Failure]:
    """The same rows, each failed by two actions with an observation between them."""
    failures = []
    for failure in coin_failures():
        prompt, last = failure.episode.segments
        seen = Segment("observation", ({"role": "user", "content": f"Toss {failure.row['n'] + 1}."},))
        course = (Segment("attempt", text="heads"), seen, replace(last, judged=f"heads;{last.text};"))
        failures.append(replace(failure, episode=replace(failure.episode, segments=(prompt, *course))))
    return failures


def coin_job(changes: Mapping[str, Any]) -> tuple[list[CoinTask], list[Failure]]:
    """A task with its failures: one that acts, with a step limit; two with rated failures, with weights."""
    if "max_steps" in changes:
        return [StepCoin()], course_failures()
    if "weights" not in changes:
        return [CoinTask()], coin_failures()
    dice = CoinTask()
    dice.name = "dice"
    rated = [replace(one, pass_rate=place % 4 / 4) for place, one in enumerate(coin_failures())]
    return [CoinTask(), dice], failures_of_several({"dice": rated[:5], "coin": rated})


def four_steps() -> TrainSettings:
    """Four small steps: 4 groups of 4 in two micro-batches of 8."""
    return TrainSettings(
        steps=4,
        group_size=4,
        batch_size=16,
        micro_batch_size=8,
        learning_rate=1e-3,
        kl=0.01,
        temperature=1.0,
        max_reflection_tokens=6,
        max_retry_tokens=5,
        save_every=2,
        max_abstain=1.0,
    )
