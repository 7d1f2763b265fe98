"""TRL's GRPO trainer with a reflection as its completion: a group is G reflections on one failed attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Sampler
from trl import GRPOTrainer

from rrr_core.conversation import conversation
from rrr_core.episode import Episode, Failure
from rrr_core.generation.kv_cache import arguments_of
from rrr_core.generation.products import use_fast_products
from rrr_core.generation.trial import Sample
from rrr_core.generation.whole_copy import WholeCopy, take_trained
from rrr_core.processes.watch import Unwatched, Watch
from rrr_core.seeds import rollout_seed
from rrr_core.training.advantages import in_groups_with_signal, is_by_round, weighed
from rrr_core.training.batches import Batch, play_batch
from rrr_core.training.consolidation import shuffled
from rrr_core.training.credit import (
    before_sampled,
    completion_of,
    credit_named,
    is_first_try,
    prompt_ids,
    reward_of,
    sampled_reflections,
)
from rrr_core.training.distillation import Distillation, DistillingTrainer, targets_of
from rrr_core.training.engine import correct_for
from rrr_core.training.freshness import Freshness
from rrr_core.training.measures import Tasks, measures_of
from rrr_core.training.micro_batches import (
    MAY_DROP,
    dealt_order,
    has_variance,
    shares_of_steps,
    split_micro_batches,
)
from rrr_core.training.passes import Passes, check_length, context_of, extremes, longest_completion
from rrr_core.training.rollout import Rollout
from rrr_core.training.sampler import FailureSampler, order_of
from rrr_core.training.settings import TrainSettings
from rrr_core.training.shared_prompt import packed_score
from rrr_core.training.together import gather_watched

ALONE = Unwatched()
Value = TypeVar("Value")
OnEpisodes = Callable[[int, Sequence[Episode], Sequence[float | None], Sequence[float | None]], None]
"""Called with (step, episodes, rewards, advantages) once a step's episodes are judged; an advantage is None if the
episode's segments have their own."""


class ReflectionTrainer(DistillingTrainer):
    """Trains the tokens that `settings.credit` names, and no others.

    Ours are the rollout (reflect, retry, judge), the reward (a number, or None for an abstention, which TRL excludes
    from the group's baseline), the order of the failures, the forward pass (each prompt once per group, zero-variance
    groups not at all), and a resume that is bit-identical to an uninterrupted run.
    """

    def __init__(
        self,
        *,
        tasks: Tasks,
        rollout: Rollout,
        failures: Sequence[Failure],
        settings: TrainSettings,
        on_episodes: OnEpisodes,
        say: Callable[[str], None] = print,
        watch: Watch | Unwatched = ALONE,
        **arguments: Any,
    ) -> None:
        self.tasks, self.rollout, self.failures, self.settings, self.on_episodes = (
            tasks,
            rollout,
            failures,
            settings,
            on_episodes,
        )
        self.profile, self.watch = rollout.judge.profile, watch
        self.credit = credit_named(settings.credit)
        self._inputs: list[dict[str, Any]] = []
        """The failures drawn by the sampler, each repeated within its group: indices and prompts."""
        self._played: Batch | None = None
        """The generation batch in use, with the rows of all processes, as are the next three."""
        self._episodes: list[Episode] = []
        self._rewards: list[float | None] = []
        self._signal: list[bool] = []
        """For each row, whether its group has an advantage that is not zero."""
        self._own: Sequence[int] = ()
        """The places of this process's rows in the batch."""
        self._advantages: list[list[float]] | None = None
        """For each token of each completion here, if rounds have their own; else TRL computes one for each row."""
        self._kept = []
        self._micro_batches: list[dict[str, Any]] = []
        """The micro-batches of the generation batch in use."""
        super().__init__(
            reward_funcs=[self.retry_passes],
            rollout_func=self.play_batch,
            # Conversations are rendered when played: a failure set may be larger than memory.
            train_dataset=Dataset.from_dict(
                {"prompt": [[{"role": "user", "content": ""}]] * len(failures), "failure": range(len(failures))}
            ),
            **arguments,
        )
        for network in (self.model, self.ref_model):
            if network is not None:
                use_fast_products(network)
        correct_for(self, rollout.engine)
        self._whole = self._whole_copy() if self.shards_weights and rollout.engine.takes_weights else None
        self.order = order_of(
            failures,
            settings,
            groups=self.args.generation_batch_size // self.num_generations,
            repeats=self.num_iterations * self.args.steps_per_generation * self.accelerator.num_processes,
            accumulation=self.args.gradient_accumulation_steps * self.accelerator.num_processes,
        )
        self.freshness = Freshness(
            failures,
            self.order,
            rollout,
            settings,
            Path(self.args.output_dir),
            writes=self.accelerator.is_main_process,
            gather=gather_watched(self.watch),
        )
        self.distillation = Distillation(settings.distill_weight, gather_object) if settings.distills else None
        self._takes_positions = "position_ids" in arguments_of(self.accelerator.unwrap_model(self.model))
        self.shares_prompts = self._can_share(say)
        self._drops = settings.zero_variance != "keep" and self._may_drop()

    def _can_share(self, say: Callable[[str], None]) -> bool:
        """Whether policy and reference model take packed passes; if not, `say` gets the reason, once.

        The pass in use is held against sequences alone, at the lengths of the failures. Raises ModelError if neither
        the packed nor the padded one is right.
        """
        models = [self.model, *([] if self.ref_model is None else [self.ref_model])]
        networks = [self.accelerator.unwrap_model(model) for model in models]
        passes = Passes(
            lambda network: packed_score(network, lambda packing: self._packed_pass(network, packing).log_probs),
            lambda network: lambda ids, mask, width: self._padded_pass(network, ids, mask, width, None, False, {})[0],
            self.temperature,
            self.accelerator.autocast,
        )
        reason = None if self.settings.shared_prompt else "they are off (--no-shared-prompt)"
        if self.aux_loss_enabled:
            reason = "its experts are balanced over the padded batch"
        longest = extremes(self.failures)[0]
        prompts = [self.rollout.prompt_of(failure) for failure in extremes(self.failures)]
        matters = self.settings.rounds > 1 or longest.episode.acts
        requests = self.rollout.requests_of(longest) if matters else None
        check_length(self.settings, self.rollout.engine.context, max(map(len, prompts)), requests)
        context = context_of(networks[0])
        sample = Sample.of(prompts, longest_completion(self.settings, requests), context)
        found = passes.against_sharing(networks, sample, reason)
        if found and self.settings.shared_prompt and self.accelerator.is_main_process:
            say(f"Each prompt is computed once per reflection, since this model cannot share it: {found}.")
        return found is None

    def _may_drop(self) -> bool:
        """Whether zero-variance groups can be dropped without changing the loss of the others.

        Not if the loss depends on how rows are batched, or if something other than the reward moves weights.
        """
        return (
            self.loss_type in MAY_DROP
            and not self._entropy_bonus_enabled
            and self.top_entropy_quantile == 1.0
            and not self.aux_loss_enabled
        )

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler[int]:
        return FailureSampler(self.order, self.num_generations, self.accelerator.num_processes)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self._inputs = inputs
        self._kept = [True] * len(inputs)
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        placed = gather_object(list(zip(self._own, output["advantages"].tolist(), strict=True)))
        advantages: list[float | None] = [advantage for _, advantage in sorted(placed)]
        if self._advantages is not None:
            rows = [torch.tensor(row, device=output["advantages"].device) for row in self._advantages]
            output["advantages"] = pad_sequence(rows, batch_first=True)  # (B, R)
            advantages = [None] * len(self._episodes)
            trained = (output["completion_mask"] * output["tool_mask"]).sum(1).clamp(min=1)
            # For TRL's table of completions: the mean over the trained tokens.
            self._logs["advantages"].extend(gather_object((output["advantages"].sum(1) / trained).tolist()))
        self.on_episodes(self.state.global_step + 1, self._episodes, self._rewards, advantages)
        return output

    def play_batch(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """TRL's `rollout_func`: the ids of prompts and completions, which are trained, and the episodes."""
        _, step, forward_pass = self._moment()
        self.watch.enter(f"the weight sync of step {step + 1}", waits=True)
        self.rollout.engine.sync_weights(self._whole_policy())
        self.watch.enter(f"the rollout of step {step + 1}")
        indices = gather_watched(self.watch)([example["failure"] for example in self._inputs])
        self._played = play_batch(self.rollout, self.freshness, self.settings, indices, step, forward_pass)
        self.watch.enter(f"the scoring of step {step + 1}", waits=True)
        self._episodes = self._weighed(self._played.episodes)
        rewards = [reward_of(episode, self.settings.rewards) for episode in self._episodes]
        self._rewards, by_round, size = self._credited(rewards), is_by_round(self.settings), self.num_generations
        self._signal = in_groups_with_signal(self._episodes, size) if by_round else has_variance(self._rewards, size)
        self._own = self._own_places(len(self._inputs))
        if self._drops:
            self._kept = [self._signal[place] for place in self._own]
        episodes = [self._episodes[place] for place in self._own]
        if self.log_completions:
            for example, episode in zip(self._inputs, episodes, strict=True):
                # In place, since TRL keeps the lists: its table shows what was really reflected on.
                example["prompt"][:] = conversation(before_sampled(episode))
        completions = [completion_of(episode) for episode in episodes]
        # TRL takes any other last id for a truncated text, and would not know the chat template's own end of turn.
        all_completions = map(completion_of, self._episodes)
        self.eos_token_ids = sorted({each.ids[-1] for each in all_completions if not each.is_cut_off})
        if self.distillation is not None:
            passes = self._credited([episode.last_verdict.is_passed for episode in self._episodes])
            targets = targets_of(self._episodes, passes, self.rollout.engine.chat.encode_prompt)
            self.distillation.targets = targets[self.accelerator.process_index :: self.accelerator.num_processes]
        self._advantages = [each.advantages or [0.0] * len(each.ids) for each in completions] if by_round else None
        return {
            "prompt_ids": [prompt_ids(episode) for episode in episodes],
            "completion_ids": [completion.ids for completion in completions],
            "env_mask": [completion.mask for completion in completions],
            "logprobs": None if completions[0].logprobs is None else [each.logprobs for each in completions],
            "episode": episodes,
        }

    def _whole_copy(self) -> WholeCopy:
        """Of the policy before it is sharded; beside an engine of another program, in the host's memory."""
        device = torch.device("cpu") if self.rollout.engine.network is None else None
        return WholeCopy(self.accelerator.unwrap_model(self.model), device)

    def _whole_policy(self) -> Any:
        """The policy, with whole weights where an engine reads them. All processes have to ask together."""
        policy = self.accelerator.unwrap_model(self.model)
        if not self.shards_weights:
            return policy
        whole = None if self._whole is None else self._whole.network
        with self.profile.during("sync"):
            take_trained(whole, policy)
        return policy if whole is None else whole

    def _own_places(self, count: int) -> Sequence[int]:
        """Which rows of the batch are this process's: its part, or its share of each step that takes some of them."""
        process, processes = self.accelerator.process_index, self.accelerator.num_processes
        if not self._is_dealt:
            return range(process * count, (process + 1) * count)
        order = self._deal(self._signal if self._drops else [True] * len(self._signal))
        return shares_of_steps(order, self.settings.batch_size, process, processes)

    @property
    def _is_dealt(self) -> bool:
        """Whether rows are dealt out to several steps before they are shared by several processes."""
        serves_several_steps = self.args.steps_per_generation > self.args.gradient_accumulation_steps
        return bool(serves_several_steps and self.accelerator.num_processes > 1)

    def _deal(self, kept: Sequence[bool]) -> list[int]:
        return dealt_order(kept, self.num_generations, rollout_seed(*self._moment(), "deal"))

    def _weighed(self, episodes: list[Episode]) -> list[Episode]:
        if not is_by_round(self.settings):
            return episodes
        return weighed(episodes, self.settings, self.scale_rewards, self._moment())

    def _credited(self, values: list[Value]) -> list[Value]:
        """What the verdicts say of each episode of the batch, in the order in which training sees it."""
        assert self._played is not None
        if self.credit.shuffles:
            return shuffled(values, self._played.episodes, rollout_seed(*self._moment(), "placebo"))
        return values

    def retry_passes(
        self, episode: list[Episode], log_metric: Callable[[str, float], None], **_: Any
    ) -> list[float | None]:
        """TRL's reward function: what `play_batch` decided. What is logged is of the whole batch in every process."""
        assert self._played is not None
        for name, value in measures_of(self._played, self.tasks, self.settings.rounds).items():
            log_metric(name, value)
        paid = [
            (each.last_verdict, sampled_reflections(each)) for each in self._played.episodes if not is_first_try(each)
        ]
        for name, value in self.settings.rewards.measures(paid).items():
            log_metric(name, value)
        if self.distillation is not None:
            log_metric("distill_targets", sum(gather_object([len(self.distillation.targets)])))
        log_metric("groups_without_spread", self._signal.count(False) / len(self._signal))
        for task in self.tasks if len(self.tasks) > 1 else ():
            played = zip(self._played.episodes, self._signal, strict=True)
            if own := [has_signal for episode, has_signal in played if episode.task == task]:
                log_metric(f"groups_without_spread/{task}", own.count(False) / len(own))
        return [self._rewards[place] for place in self._own]

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        """The rows of one forward pass; a generation batch is played, judged and split when its first pass is due."""
        if not self.model.training:
            return super()._prepare_inputs(generation_batch)
        shared_by = self.args.steps_per_generation
        if self._step % (shared_by * self.num_iterations) == 0 or not self._micro_batches:
            with self.profile.during("other"):  # except what is measured inside
                batch = self._generate_and_score_completions(generation_batch)
                order = range(len(self._kept)) if self._is_dealt else self._deal(self._kept)
                self._micro_batches = split_micro_batches(batch, self._kept, count=shared_by, order=order)
                if self.distillation is not None:
                    self._micro_batches = self.distillation.deal(self._micro_batches)
        return self._micro_batches[self._step % shared_by]

    def training_step(self, *arguments: Any, **keywords: Any) -> Any:
        """TRL's: one forward and backward pass, and before a generation batch's first its rollout."""
        self.watch.enter(f"a training pass of step {self.state.global_step + 1}", waits=True)
        return super().training_step(*arguments, **keywords)

    def _save_checkpoint(self, *arguments: Any, **keywords: Any) -> None:
        self.watch.enter(f"the checkpoint of step {self.state.global_step}", waits=True)
        super()._save_checkpoint(*arguments, **keywords)

    def _moment(self) -> tuple[int, int, int]:
        """What seeds sampling: seed, optimiser step and forward pass within it, the same after a resume.

        Passes are counted as a single process would count them.
        """
        forward_pass = self._step % self.args.gradient_accumulation_steps * self.accelerator.num_processes
        return self.settings.seed, self.state.global_step, forward_pass

    def create_model_card(self, *arguments: Any, **keywords: Any) -> None:
        """Write no card: the run folder's manifest says what made the model."""
