"""TRL's GRPO trainer with a reflection as its completion: a group is G reflections on one failed attempt."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import Sampler
from trl import GRPOTrainer

from rrr_core.episode import Failure
from rrr_core.tasks import Task
from rrr_core.training.credit import completion_of
from rrr_core.training.engine import correct_for, drawn_logprobs
from rrr_core.training.micro_batches import AVERAGES_ROWS, FILLER, SHARE, SUMS_TOKENS, deal, has_signal
from rrr_core.training.rollout import Rollout, Turn, derived_seed
from rrr_core.training.sampler import FailureSampler
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import Packing, can_share, inputs_of

OnTurns = Callable[[int, Sequence[Turn], Sequence[float | None], Sequence[float]], None]
"""Gets (step, turns, rewards, advantages) once a step's turns are judged."""


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
        on_turns: OnTurns,
        say: Callable[[str], None] = print,
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
        self._signal: list[bool] = []
        """Of each row of the generation batch, whether it is computed: rows without a signal may be left out."""
        self._dealt: list[dict[str, Any]] = []
        """The micro-batches of the generation batch in use."""
        super().__init__(
            reward_funcs=[self.retry_passes],
            rollout_func=self.play_batch,
            train_dataset=Dataset.from_list(
                [{"prompt": rollout.conversation(failure), "failure": i} for i, failure in enumerate(failures)]
            ),
            **arguments,
        )
        correct_for(self, rollout.generator)
        self.shares_prompts = settings.shared_prompt and self._can_share(say)
        self._leaves_out = settings.alike != "keep" and self._may_leave_out()

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
            and self.loss_type in SUMS_TOKENS | AVERAGES_ROWS
            and not self._entropy_bonus_enabled
            and self.top_entropy_quantile == 1.0
            and not self.aux_loss_enabled
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
        self._signal = [True] * len(inputs)
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        turns = [example["turn"] for example in inputs]
        self.on_turns(self.state.global_step + 1, turns, self._rewards, output["advantages"].tolist())
        return output

    def play_batch(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the ids of prompts and completions, which of them are trained, and the turns."""
        self.rollout.generator.follow(self.accelerator.unwrap_model(self.model))
        seed = (*self._moment(), self.accelerator.process_index)
        turns = self.rollout.play(self._batch, seed)
        completions = [
            completion_of(self.settings.credit, turn.reflection_ids, turn.between_ids, turn.retry_ids) for turn in turns
        ]
        self._rewards = self._rewards_of(turns)
        if self._leaves_out:
            self._signal = has_signal(self._rewards, self.num_generations)
        return {
            "prompt_ids": [turn.prompt_ids for turn in turns],
            "completion_ids": [completion.ids for completion in completions],
            "env_mask": [completion.mask for completion in completions],
            "logprobs": drawn_logprobs(self.rollout.generator, turns, self.settings.credit),
            "turn": turns,
        }

    def _rewards_of(self, turns: Sequence[Turn]) -> list[float | None]:
        """1 where the retry passed, 0 where it failed; None where the verifier abstained, or nothing can be trained."""
        trains_nothing = [self.settings.credit == "retry" and turn.retry is None for turn in turns]
        rewards = [
            None if nothing else turn.verdict.reward for turn, nothing in zip(turns, trains_nothing, strict=True)
        ]
        if self.settings.credit == "placebo":
            random.Random(derived_seed(*self._moment(), "placebo")).shuffle(rewards)
        return rewards

    def retry_passes(self, turn: list[Turn], log_metric: Callable[[str, float], None], **_: Any) -> list[float | None]:
        """TRL's reward function: what `play_batch` decided."""
        for name, value in self._measure(turn).items():
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
            self._dealt = deal(
                self._generate_and_score_completions(generation_batch),
                self._signal,
                count=shared_by,
                size=self.args.per_device_train_batch_size,
                group_size=self.num_generations,
                seed=derived_seed(*self._moment(), "deal"),
            )
        return self._dealt[self._step % shared_by]

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        if FILLER in inputs:
            ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
            mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
            logps: torch.Tensor = self._get_per_token_logps_and_entropies(model, ids, mask, 1)[0]
            return logps.sum() * 0
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        return loss * inputs[SHARE] if self.loss_type in AVERAGES_ROWS else loss

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
        if self._may_skip(input_ids):
            # Before any gradient TRL wants the whole generation batch, of the reference model say.
            kept = torch.tensor(self._signal, device=input_ids.device)
            if not kept.any():
                return torch.zeros_like(input_ids[:, -logits_to_keep:], dtype=torch.float32), None, None
            logps, entropies, auxiliary = self._get_per_token_logps_and_entropies(
                model, input_ids[kept], attention_mask[kept], logits_to_keep, batch_size, compute_entropy, **keywords
            )
            return _spread(logps, kept), _spread(entropies, kept), auxiliary
        if not self.shares_prompts:
            padded: tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None] = (
                super()._get_per_token_logps_and_entropies(
                    model, input_ids, attention_mask, logits_to_keep, batch_size, compute_entropy, **keywords
                )
            )
            return padded
        size = batch_size or len(input_ids)
        packings = [
            Packing(input_ids[start : start + size], attention_mask[start : start + size], logits_to_keep)
            for start in range(0, len(input_ids), size)
        ]
        outputs = [self._packed_pass(model, packing) for packing in packings]
        return (
            torch.cat([packing.padded(output.log_probs) for packing, output in zip(packings, outputs, strict=True)]),
            torch.cat([packing.padded(output.entropy) for packing, output in zip(packings, outputs, strict=True)])
            if compute_entropy
            else None,
            None,
        )

    def _may_skip(self, input_ids: torch.Tensor) -> bool:
        """Whether these rows are the generation batch, some of it left out, in a pass that only measures."""
        whole = not torch.is_grad_enabled() and len(input_ids) == len(self._signal)
        return whole and not self.use_vllm and not all(self._signal)

    def _packed_pass(self, model: Any, packing: Packing) -> Any:
        with self.accelerator.autocast():
            return model(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True)

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
            "reflections_empty": sum(not turn.reflection.strip() for turn in turns) / len(turns),
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

    def create_model_card(self, *arguments: Any, **keywords: Any) -> None:
        """No card: the run folder's manifest says what made the model."""


def _spread(values: torch.Tensor | None, kept: torch.Tensor) -> torch.Tensor | None:
    """Values (K, T) of the kept rows among all rows (B, T), the others zero; `kept` is (B,) with K true."""
    if values is None:
        return None
    spread = values.new_zeros(len(kept), values.shape[1])
    spread[kept] = values
    return spread
