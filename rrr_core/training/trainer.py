"""TRL's GRPO trainer with a reflection as its completion: a group is G reflections on one failed attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch.utils.data import Sampler
from trl import GRPOTrainer

from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Failure
from rrr_core.seeds import rollout_seed
from rrr_core.tasks import Task
from rrr_core.training.batches import Batch, play_batch
from rrr_core.training.credit import before_sampled, completion_of, credit_named, prompt_ids, reward_of
from rrr_core.training.engine import correct_for
from rrr_core.training.freshness import Freshness
from rrr_core.training.measures import measures_of
from rrr_core.training.micro_batches import MAY_LEAVE_OUT, deal, has_signal
from rrr_core.training.packing import Packing, inputs_of
from rrr_core.training.profiling import scoring
from rrr_core.training.rollout import Rollout
from rrr_core.training.sampler import FailureOrder, FailureSampler
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import can_share

OnEpisodes = Callable[[int, Sequence[Episode], Sequence[float | None], Sequence[float]], None]
"""Gets (step, episodes, rewards, advantages) once a step's episodes are judged."""


class ReflectionTrainer(GRPOTrainer):  # type: ignore[misc]
    """Trains the tokens that `settings.credit` names, and no others.

    What is ours: the rollout (reflect, retry, judge), the reward (1, 0, or None for an abstention, which TRL leaves out
    of the group's baseline), the order of the failures, the forward pass (a group's prompt once, and groups without a
    signal not at all), and a resume that repeats an uninterrupted run to the bit.
    """

    def __init__(
        self,
        *,
        task: Task,
        rollout: Rollout,
        failures: Sequence[Failure],
        settings: TrainSettings,
        on_episodes: OnEpisodes,
        say: Callable[[str], None] = print,
        **arguments: Any,
    ) -> None:
        self.task, self.rollout, self.failures, self.settings, self.on_episodes = (
            task,
            rollout,
            failures,
            settings,
            on_episodes,
        )
        self.profile = rollout.judge.profile
        self.credit = credit_named(settings.credit)
        self._inputs: list[dict[str, Any]] = []
        """The failures that the sampler drew, each as often as its group is large: their indices and prompts."""
        self._played: Batch | None = None
        """The generation batch in use."""
        self._rewards: list[float | None] = []
        self._signal: list[bool] = []
        """Of each row of the generation batch, whether it is computed: rows without a signal may be left out."""
        self._dealt: list[dict[str, Any]] = []
        """The micro-batches of the generation batch in use."""
        super().__init__(
            reward_funcs=[self.retry_passes],
            rollout_func=self.play_batch,
            # Conversations are rendered when they are played: a failure set may hold more of them than memory does.
            train_dataset=Dataset.from_dict(
                {"prompt": [[{"role": "user", "content": ""}]] * len(failures), "failure": range(len(failures))}
            ),
            **arguments,
        )
        correct_for(self, rollout.generator)
        self.order = FailureOrder(
            failures=len(failures),
            groups=self.args.generation_batch_size // self.num_generations,
            seed=self.args.seed,
            repeats=self.num_iterations * self.args.steps_per_generation,
            accumulation=self.args.gradient_accumulation_steps,
        )
        self.freshness = Freshness(
            failures,
            self.order,
            rollout,
            settings,
            Path(self.args.output_dir),
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
            gather=gather_object,
        )
        self.shares_prompts = settings.shared_prompt and self._can_share(say)
        self._leaves_out = settings.zero_variance != "keep" and self._may_leave_out()

    def _can_share(self, say: Callable[[str], None]) -> bool:
        """Whether policy and reference model take packed passes; where they do not, `say` is told once."""
        models = [self.model, *([] if self.ref_model is None else [self.ref_model])]
        reasons = [reason for reason in map(can_share, map(self.accelerator.unwrap_model, models)) if reason]
        if self.aux_loss_enabled:
            reasons.append("its experts are balanced over the padded batch")
        if reasons and self.accelerator.is_main_process:
            say(f"Each prompt is computed once for each of its reflections, since of this model {reasons[0]}.")
        return not reasons

    def _may_leave_out(self) -> bool:
        """Whether rows without a signal can be left out with the loss of the others unchanged.

        Not where a loss depends on how rows are put together, nor where something other than the reward moves weights.
        """
        whole_groups = (
            self.args.per_device_train_batch_size * self.args.steps_per_generation % self.num_generations == 0
        )
        return (
            whole_groups
            and self.loss_type in MAY_LEAVE_OUT
            and not self._entropy_bonus_enabled
            and self.top_entropy_quantile == 1.0
            and not self.aux_loss_enabled
        )

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return FailureSampler(self.order, self.num_generations)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._inputs = inputs
        self._signal = [True] * len(inputs)
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        episodes = [example["episode"] for example in inputs]
        self.on_episodes(self.state.global_step + 1, episodes, self._rewards, output["advantages"].tolist())
        return output

    def play_batch(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the ids of prompts and completions, which of them are trained, and the episodes."""
        self.rollout.generator.sync_weights(self.accelerator.unwrap_model(self.model))
        _, step, forward_pass = self._moment()
        process = self.accelerator.process_index
        indices = [example["failure"] for example in self._inputs]
        self._played = play_batch(self.rollout, self.freshness, self.settings, indices, step, forward_pass, process)
        episodes = self._played.episodes
        if self.log_completions:
            for example, episode in zip(self._inputs, episodes, strict=True):
                # In place, since TRL holds on to the lists: its table is to show what was really reflected on.
                example["prompt"][:] = conversation(before_sampled(episode))
        completions = [completion_of(episode) for episode in episodes]
        self._rewards = self._rewards_of(episodes)
        if self._leaves_out:
            self._signal = has_signal(self._rewards, self.num_generations)
        return {
            "prompt_ids": [prompt_ids(episode) for episode in episodes],
            "completion_ids": [completion.ids for completion in completions],
            "env_mask": [completion.mask for completion in completions],
            "logprobs": None if completions[0].logprobs is None else [each.logprobs for each in completions],
            "episode": episodes,
        }

    def _rewards_of(self, episodes: Sequence[Episode]) -> list[float | None]:
        rewards = [reward_of(episode) for episode in episodes]
        if self.credit.shuffles:
            random.Random(rollout_seed(*self._moment(), "placebo")).shuffle(rewards)
        return rewards

    def retry_passes(
        self, episode: list[Episode], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        """TRL's reward function: what `play_batch` decided."""
        assert self._played is not None
        for name, value in measures_of(self._played, self.task, self.accelerator.num_processes).items():
            log_metric(name, value)
        signal = has_signal(self._rewards, self.num_generations)
        log_metric("groups_without_spread", signal.count(False) / len(signal))
        return self._rewards

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """The rows of one forward pass; each generation batch is played, judged and dealt out when its first is due."""
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        shared_by = self.args.steps_per_generation
        if self._step % (shared_by * self.num_iterations) == 0 or not self._dealt:
            with self.profile.during("other"):  # but for what in it is measured by itself
                self._dealt = deal(
                    self._generate_and_score_completions(generation_batch),
                    self._signal,
                    count=shared_by,
                    group_size=self.num_generations,
                    seed=rollout_seed(*self._moment(), "deal"),
                )
        return self._dealt[self._step % shared_by]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        metrics = self._metrics["train"]
        lengths = {name: len(values) for name, values in metrics.items()}
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        if not inputs["completion_mask"].any():  # what is measured of no token is no measurement
            for name, values in metrics.items():
                del values[lengths.get(name, 0) :]
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        **keywords: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Log-probabilities and entropies (B, logits_to_keep) of the completions; zero in padding and left-out rows."""
        kept = self._computed(attention_mask[:, -logits_to_keep:])
        if not kept.any():
            # All processes have to call their model equally often, so the smallest row there is goes through it.
            start, end = max(input_ids.shape[1] - logits_to_keep - 2, 0), input_ids.shape[1] - logits_to_keep + 1
            cut = slice(0, 1), slice(start, end)
            nothing = self._log_probabilities(model, input_ids[cut], attention_mask[cut], 1, None, False, keywords)[0]
            zeros = nothing.sum() * 0 + nothing.new_zeros(len(input_ids), logits_to_keep)
            return zeros, zeros.detach() if compute_entropy else None, None
        if kept.all():
            return self._log_probabilities(
                model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, keywords
            )
        logps, entropies, auxiliary = self._log_probabilities(
            model, input_ids[kept], attention_mask[kept], logits_to_keep, batch_size, compute_entropy, keywords
        )
        return _spread(logps, kept), None if entropies is None else _spread(entropies, kept), auxiliary

    def _computed(self, completion_mask: torch.Tensor) -> torch.Tensor:
        """Which rows (B,) are computed: those with a completion that is not masked out.

        Before TRL has any rewards it wants the whole generation batch measured, by the reference model say; the rows
        without a signal are known by then, and left out there too.
        """
        kept = completion_mask.any(1)
        if not torch.is_grad_enabled() and not self.use_vllm and len(kept) == len(self._signal):
            kept &= torch.tensor(self._signal, device=kept.device)
        return kept

    def _log_probabilities(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        width: int,
        batch_size: int | None,
        compute_entropy: bool,
        keywords: Mapping[str, Any],
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        with scoring(self.profile):
            if not self.shares_prompts:
                padded: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None] = (
                    super()._get_per_token_logps_and_entropies(
                        model, input_ids, attention_mask, width, batch_size, compute_entropy, **keywords
                    )
                )
                return padded
            size = batch_size or len(input_ids)
            packings = [
                Packing(input_ids[start : start + size], attention_mask[start : start + size], width)
                for start in range(0, len(input_ids), size)
            ]
            outputs = [self._packed_pass(model, packing) for packing in packings]
        pairs = list(zip(packings, outputs, strict=True))
        logps = torch.cat([packing.padded(output.log_probs) for packing, output in pairs])
        if not compute_entropy:
            return logps, None, None
        return logps, torch.cat([packing.padded(output.entropy) for packing, output in pairs]), None

    def _packed_pass(self, model: Any, packing: Packing) -> Any:
        with self.accelerator.autocast():
            return model(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True)

    def _moment(self) -> tuple[int, int, int]:
        """What sampling seeds are made of: seed, optimiser step and forward pass within it, the same after a resume."""
        return self.settings.seed, self.state.global_step, self._step % self.args.gradient_accumulation_steps

    def create_model_card(self, *arguments: Any, **keywords: Any) -> None:
        """No card: the run folder's manifest says what made the model."""


def _spread(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Values (K, T) of the kept rows among all rows (B, T), the others zero; `kept` is (B,) with K true."""
    spread = values.new_zeros(len(kept), values.shape[1])
    spread[kept] = values
    return spread
