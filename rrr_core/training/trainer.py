"""TRL's GRPO trainer with a reflection as its completion: a group is G reflections on one failed attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from datasets import Dataset
from torch.utils.data import Sampler
from trl import GRPOTrainer

from rrr_core.episode import Failure
from rrr_core.tasks import Task
from rrr_core.training.credit import completion_of
from rrr_core.training.rollout import Rollout, Turn, derived_seed
from rrr_core.training.sampler import FailureSampler
from rrr_core.training.settings import TrainSettings

OnTurns = Callable[[int, Sequence[Turn], Sequence[float | None], Sequence[float]], None]
"""Gets (step, turns, rewards, advantages) once a step's turns are judged."""


class ReflectionTrainer(GRPOTrainer):  # type: ignore[misc]
    """Trains the tokens that `settings.credit` names, and no others.

    What is ours: the rollout (reflect, retry, judge), the reward (1, 0, or None for an abstention, which TRL leaves out
    of the group's baseline), the order of the failures, and a resume that repeats an uninterrupted run to the bit.
    """

    def __init__(
        self,
        *,
        task: Task,
        rollout: Rollout,
        failures: Sequence[Failure],
        settings: TrainSettings,
        on_turns: OnTurns,
        **arguments: Any,
    ) -> None:
        self.task, self.rollout, self.failures, self.settings, self.on_turns = (
            task,
            rollout,
            failures,
            settings,
            on_turns,
        )
        self._batch: list[Failure] = []
        self._rewards: list[float | None] = []
        super().__init__(
            reward_funcs=[self.retry_passes],
            rollout_func=self.play_batch,
            train_dataset=Dataset.from_list(
                [{"prompt": rollout.conversation(failure), "failure": i} for i, failure in enumerate(failures)]
            ),
            **arguments,
        )

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return FailureSampler(
            failures=len(self.failures),
            groups=self.args.generation_batch_size // self.num_generations,
            group_size=self.num_generations,
            repeats=self.num_iterations * self.args.steps_per_generation,
            seed=self.args.seed,
        )

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._batch = [self.failures[example["failure"]] for example in inputs]
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        turns = [example["turn"] for example in inputs]
        self.on_turns(self.state.global_step + 1, turns, self._rewards, output["advantages"].tolist())
        return output

    def play_batch(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the ids of prompts and completions, which of them are trained, and the turns."""
        self.rollout.generator.network = self.accelerator.unwrap_model(self.model)
        seed = (*self._moment(), self.accelerator.process_index)
        turns = self.rollout.play(self._batch, seed)
        completions = [
            completion_of(self.settings.credit, turn.reflection_ids, turn.between_ids, turn.retry_ids) for turn in turns
        ]
        return {
            "prompt_ids": [turn.prompt_ids for turn in turns],
            "completion_ids": [completion.ids for completion in completions],
            "env_mask": [completion.mask for completion in completions],
            "logprobs": None,
            "turn": turns,
        }

    def retry_passes(self, turn: list[Turn], log_metric: Callable[[str, float], None], **_: Any) -> list[float | None]:
        """The reward: 1 where the retry passed, 0 where it failed, None where the verifier abstained."""
        rewards = [one.verdict.reward for one in turn]
        for name, value in self._measure(turn).items():
            log_metric(name, value)
        if self.settings.credit == "placebo":
            random.Random(derived_seed(*self._moment(), "placebo")).shuffle(rewards)
        log_metric("groups_without_spread", self._groups_without_spread(rewards))
        self._rewards = rewards
        return rewards

    def _moment(self) -> tuple[int, int, int]:
        """What sampling seeds are made of: seed, optimiser step and forward pass within it, the same after a resume."""
        return self.settings.seed, self.state.global_step, self._step % self.args.gradient_accumulation_steps

    def _measure(self, turns: Sequence[Turn]) -> dict[str, float]:
        """What is logged of a batch besides TRL's own metrics."""
        judged = [turn for turn in turns if not turn.verdict.is_abstained]
        share = len(judged) or 1
        return {
            "retry_success_rate": sum(turn.verdict.is_passed for turn in judged) / share,
            "abstentions": len(turns) - len(judged),
            "reflection_tokens": sum(len(turn.reflection_ids) for turn in turns) / len(turns),
            "reflections_cut_off": sum(not turn.reflection_ended for turn in turns) / len(turns),
            "reflections_with_gold_answer": self._leaks(turns, lambda turn: self.task.gold_answer(turn.failure.row)),
            "reflections_with_retry_answer": self._leaks(turns, lambda turn: turn.retry),
        }

    def _leaks(self, turns: Sequence[Turn], text_of: Callable[[Turn], str | None]) -> float:
        """Share of reflections that contain what would be judged of a text, white space aside."""
        found = 0
        for turn in turns:
            text = text_of(turn)
            answer = None if text is None else self.task.final_answer(turn.failure.row, text)
            squeezed = "".join((answer or "").split())
            found += bool(squeezed) and squeezed in "".join(turn.reflection.split())
        return found / len(turns)

    def _groups_without_spread(self, rewards: Sequence[float | None]) -> float:
        """Share of groups whose judged retries all have one reward: they have no gradient."""
        size = self.num_generations
        groups = [rewards[start : start + size] for start in range(0, len(rewards), size)]
        return sum(len({reward for reward in group if reward is not None}) < 2 for group in groups) / len(groups)

    def create_model_card(self, *arguments: Any, **keywords: Any) -> None:
        """No card: the run folder's manifest says what made the model."""
