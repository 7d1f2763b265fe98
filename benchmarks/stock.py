"""Stock TRL 1.16, as one would use it without rrr: its GRPO trainer, and the paper's recipe bolted onto it.

Nothing here slows it down. Both get the settings of our own trainer, and where the two could differ the
stock side has less work: the retry is only generated and judged, and never enters a forward pass.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trl.trainer.utils
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.kernels import ChunkedLogProbFunction

from rrr_core.conversation import reflection_conversation
from rrr_core.episode import Failure
from rrr_core.hookspecs import Model
from rrr_core.tasks import Task
from rrr_core.training.settings import TrainSettings
from rrr_core.training.upstream import HAS_KERNEL


@contextmanager
def published(head_on_completions: bool = False) -> Iterator[None]:
    """TRL's head as TRL 1.16 has it: `rrr_core.training` replaces it for the whole process.

    Where there is no Triton, as on a CPU, it computes the logits of every prompt token, too; with `head_on_completions`
    it computes those alone that are scored, as it does on a GPU.
    """
    utilities: Any = trl.trainer.utils
    ours, is_compact = utilities._ChunkedLogProbFunction, utilities._use_triton
    utilities._ChunkedLogProbFunction = ChunkedLogProbFunction
    # That of the function that selects rows, not of the kernel.
    utilities._use_triton = (lambda _: True) if head_on_completions else HAS_KERNEL
    try:
        yield
    finally:
        utilities._ChunkedLogProbFunction, utilities._use_triton = ours, is_compact


def stock_config(settings: TrainSettings, folder: Path, **fields: Any) -> GRPOConfig:
    """TRL's configuration: everything that affects work or numbers is set as in ours, the rest is TRL's default."""
    return GRPOConfig(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.micro_batch_size,
        gradient_accumulation_steps=settings.batch_size // settings.micro_batch_size,
        num_generations=settings.group_size,
        learning_rate=settings.learning_rate,
        beta=settings.kl,
        temperature=settings.temperature,
        max_completion_length=settings.max_reflection_tokens,
        seed=settings.seed,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        **fields,
    )


def fixed_trainer(
    prompt_ids: Sequence[Sequence[int]],
    completion_ids: Sequence[Sequence[Sequence[int]]],
    rewards: Sequence[Sequence[float]],
    kind: type[GRPOTrainer] = GRPOTrainer,
    **arguments: Any,
) -> GRPOTrainer:
    """A stock GRPOTrainer that gets the same batch again and again: each group's prompt, completions and rewards.

    `kind` is a trainer that computes log-probabilities in another way.
    """

    def rollout(prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        groups = [int(prompt[0]["content"]) for prompt in prompts]
        places = [index % trainer.num_generations for index in range(len(groups))]
        return {
            "prompt_ids": [list(prompt_ids[group]) for group in groups],
            "completion_ids": [list(completion_ids[group][place]) for group, place in zip(groups, places, strict=True)],
            "logprobs": None,
            "given": [rewards[group][place] for group, place in zip(groups, places, strict=True)],
        }

    def reward(given: list[float], **_: Any) -> list[float]:
        return given

    rows = [{"prompt": [{"role": "user", "content": str(group)}]} for group in range(len(prompt_ids))]
    return kind(reward_funcs=[reward], rollout_func=rollout, train_dataset=Dataset.from_list(rows), **arguments)


class Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] += time.perf_counter() - began


class TwoStepTrainer(GRPOTrainer):
    """The paper's recipe (arXiv 2505.24726): a second generation inside stock TRL's step.

    A group is the G reflections that TRL itself samples on one failed attempt. Then the conversations, with the
    reflections and the repeated question, are rendered with the chat template and sampled in one padded batch, with
    TRL's own call of `generate`. The retries' verdicts are the rewards of the reflections.
    """

    def __init__(
        self,
        *,
        task: Task,
        failures: Sequence[Failure],
        verify: Callable[[Mapping[str, Any], str], float],
        **arguments: Any,
    ) -> None:
        self.task, self.failures, self.verify, self.clock = task, failures, verify, Clock()
        self.model_described = Model("random")
        self.texts: list[tuple[int, str, str]] = []
        """Failures, reflections and retries of the last batch."""
        rows = [
            {
                "prompt": reflection_conversation(task, one.episode, self.model_described),
                "failure": index,
            }
            for index, one in enumerate(failures)
        ]
        super().__init__(reward_funcs=[self.retry_passes], train_dataset=Dataset.from_list(rows), **arguments)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._asked = [example["failure"] for example in inputs]
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        return output

    def _generate(self, prompts: list[Any]) -> Any:
        with self.clock.measure("reflect"):
            generated = super()._generate(prompts)
        with self.clock.measure("retry"):
            conversations = [
                [*prompt, *completion, {"role": "user", "content": self._question(failure)}]
                for prompt, completion, failure in zip(prompts, generated[3], self._asked, strict=True)
            ]
            retry_ids, _ = self._generate_single_turn(*self._tokenize_prompts(conversations), self.num_generations)
            self._retries = self.processing_class.batch_decode(retry_ids, skip_special_tokens=True)
        return generated

    def _question(self, failure: int) -> str:
        return self.task.retry_prompt(self.failures[failure].row, self.model_described)

    def retry_passes(self, completions: list[Any], failure: list[int], **_: Any) -> list[float]:
        """The reward of a reflection: its retry's verdict."""
        with self.clock.measure("judge"):
            rewards = [
                self.verify(self.failures[index].row, retry)
                for index, retry in zip(failure, self._retries, strict=True)
            ]
        self.texts = [
            (index, completion[0]["content"], retry)
            for index, completion, retry in zip(failure, completions, self._retries, strict=True)
        ]
        return rewards
