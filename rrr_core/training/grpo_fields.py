"""Every field of TRL's GRPOConfig: whether it acts in rrr, which option of rrr sets it, or why it cannot be set.

`--grpo` takes the fields that act and refuses all others by name. A test holds this table to the installed release of
TRL, and another shows for each field that acts what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rrr_core.training.settings import TrainSettings


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether a field acts: the other settings, and where training runs."""

    settings: TrainSettings
    fields: Mapping[str, Any]
    """The fields that the user set, as typed values."""
    processes: int = 1
    off_policy: bool = False
    """Whether the rollouts' texts may come from another program than the policy."""
    dtype: str = "float32"
    """Of the trained weights."""

    def get(self, name: str, default: Any) -> Any:
        """A field's value, or the default if it is not set."""
        value = self.fields.get(name)
        return default if value is None else value

    @property
    def loss(self) -> str:
        """The loss's name."""
        return str(self.get("loss_type", "dapo"))

    @property
    def reuses_texts(self) -> bool:
        """Whether a text is trained on after the weights have changed, so that the policies' ratio is not always 1."""
        accumulation = max(1, self.settings.batch_size // self.settings.micro_batch_size)
        lasts = self.get("steps_per_generation", accumulation) * self.get("num_iterations", 1)
        return bool(accumulation % lasts)


@dataclass(frozen=True, slots=True)
class Only:
    """A situation outside of which a field would change nothing."""

    said: str
    """Completes `it acts only …`."""
    holds: Callable[[Situation], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """A field that acts."""

    only: Only | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: Sequence[str] = ()


def of_loss(*losses: str) -> Only:
    """With one of these losses."""
    return Only(f"with loss_type {' or '.join(losses)}", lambda now: now.loss in losses)


def beside(name: str, value: Any) -> Only:
    """Where another field has this value."""
    shown = str(value).lower() if isinstance(value, bool) else value
    return Only(f"with {name}={shown}", lambda now: now.fields.get(name) == value)


def tracked_by(*trackers: str) -> Only:
    """Where one of these trackers is reported to."""
    return Only(f"with --report-to {' or '.join(trackers)}", lambda now: bool({*now.settings.report_to} & {*trackers}))


LOSSES = ("bnpo", "cispo", "dapo", "dr_grpo", "grpo", "luspo", "sapo", "vespo")
"""The losses of TRL 1.16, which rejects an unknown one only in the middle of its first step."""
CLIPPED = ("bnpo", "dapo", "dr_grpo", "grpo", "luspo")
"""Those that clip the ratio between the policy and the one that wrote a text."""
IMPORTANCE_MODES = ("sequence_mask", "sequence_truncate", "token_mask", "token_truncate")
OPTIMISERS = (
    *("adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adamw_torch_4bit"),
    *("adamw_torch_8bit", "adamw_anyprecision", "adamw_bnb_8bit", "adamw_8bit", "paged_adamw_32bit"),
    *("paged_adamw_8bit", "ademamix", "ademamix_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit", "adafactor"),
    *("adagrad", "sgd", "lion_8bit", "lion_32bit", "paged_lion_32bit", "paged_lion_8bit", "rmsprop", "rmsprop_bnb"),
    *("rmsprop_bnb_8bit", "rmsprop_bnb_32bit", "grokadamw", "stable_adamw"),
    *("schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd"),
)
"""Those of transformers that update all weights after the backward pass. GaLore, APOLLO and LOMO do not: they need
modules to be named, or update weights within it."""

REUSED = Only(
    "where a text is trained on in more than one step, as with num_iterations=2: otherwise the ratio is always 1",
    lambda now: now.reuses_texts,
)
CLIPPING = Only(
    f"{REUSED.said}; and with loss_type cispo, or one of {', '.join(CLIPPED)}",
    lambda now: now.loss == "cispo" or (now.reuses_texts and now.loss in CLIPPED),
)
TWO_SIDED = Only(
    f"{REUSED.said}; and with loss_type {' or '.join(CLIPPED)}", lambda now: now.reuses_texts and now.loss in CLIPPED
)
OFF_POLICY = Only("with an engine other than the policy itself, such as --backend vllm", lambda now: now.off_policy)
DRIFT = Only(f"{OFF_POLICY.said}, or {REUSED.said}", lambda now: now.off_policy or now.reuses_texts)
VESPO = Only(f"with loss_type vespo, and {DRIFT.said}", lambda now: now.loss == "vespo" and DRIFT.holds(now))
WITH_KL = Only("with --kl above 0", lambda now: now.settings.kl > 0)
LEVEL = Only(
    f"with --kl above 0 or loss_type luspo, or {REUSED.said}",
    lambda now: now.settings.kl > 0 or now.loss == "luspo" or now.reuses_texts,
)
ADAM = Only(
    "with an Adam or Lion optimiser",
    lambda now: any(name in now.get("optim", "adam") for name in ("adam", "lion", "ademamix")),
)
NOT_PLAIN_ADAM = Only(
    "with an optimiser that has further arguments, such as optim=sgd",
    lambda now: now.get("optim", "adamw_torch") not in ("adamw_torch", "adamw_torch_fused", "adafactor"),
)
HALF = Only("with --dtype bfloat16 or float16", lambda now: now.dtype != "float32")
PROCESSES = Only("with several processes", lambda now: now.processes > 1)
ADAPTIVE = beside("use_adaptive_entropy", True)
CHECKPOINTED = Only(
    "with activation_checkpointing=true",
    lambda now: bool(now.get("activation_checkpointing", now.get("gradient_checkpointing", False))),
)

ACTS: Mapping[str, Acts] = {
    # The optimiser
    "lr_scheduler_kwargs": Acts(),
    "optim": Acts(choices=OPTIMISERS),
    "optim_args": Acts(only=NOT_PLAIN_ADAM),
    "weight_decay": Acts(minimum=0),
    "adam_beta1": Acts(only=ADAM, minimum=0, maximum=1),
    "adam_beta2": Acts(only=ADAM, minimum=0, maximum=1),
    "adam_epsilon": Acts(only=ADAM, minimum=0),
    "max_grad_norm": Acts(minimum=0),
    # How it is computed
    "bf16": Acts(),
    "fp16": Acts(),
    "tf32": Acts(),
    "cast_lm_head_to_fp32": Acts(only=HALF),
    "activation_checkpointing": Acts(),
    "activation_checkpointing_kwargs": Acts(only=CHECKPOINTED),
    "gradient_checkpointing": Acts(),
    "gradient_checkpointing_kwargs": Acts(only=CHECKPOINTED),
    "torch_empty_cache_steps": Acts(minimum=1),
    "full_determinism": Acts(),
    **dict.fromkeys(
        (
            *("ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph"),
            *("ddp_backend", "ddp_timeout"),
        ),
        Acts(only=PROCESSES),
    ),
    # What is sampled
    "steps_per_generation": Acts(minimum=1),
    "num_iterations": Acts(minimum=1),
    "top_p": Acts(minimum=0.001, maximum=1),
    "top_k": Acts(minimum=0),
    "min_p": Acts(minimum=0, maximum=1),
    "repetition_penalty": Acts(minimum=0.01),
    # Advantages and the loss
    "multi_objective_aggregation": Acts(choices=("sum_then_normalize", "normalize_then_sum")),
    "scale_rewards": Acts(choices=("group", "batch", "none", "true", "false")),
    "loss_type": Acts(choices=LOSSES),
    "mask_truncated_completions": Acts(),
    "epsilon": Acts(only=CLIPPING, minimum=0),
    "epsilon_high": Acts(only=CLIPPING, minimum=0),
    "delta": Acts(only=TWO_SIDED, minimum=0),
    "sapo_temperature_neg": Acts(only=of_loss("sapo"), minimum=0.001),
    "sapo_temperature_pos": Acts(only=of_loss("sapo"), minimum=0.001),
    **dict.fromkeys(("vespo_k_pos", "vespo_lambda_pos", "vespo_k_neg", "vespo_lambda_neg"), Acts(only=VESPO)),
    "importance_sampling_level": Acts(only=LEVEL, choices=("token", "sequence")),
    "top_entropy_quantile": Acts(minimum=0, maximum=1),
    "entropy_coef": Acts(),
    "use_adaptive_entropy": Acts(),
    **dict.fromkeys(
        ("entropy_coef_min", "entropy_coef_max", "entropy_coef_delta", "entropy_target"), Acts(only=ADAPTIVE)
    ),
    "use_bias_correction_kl": Acts(only=WITH_KL),
    "router_aux_loss_coef": Acts(minimum=0),
    "off_policy_mask_threshold": Acts(only=DRIFT, minimum=0),
    "vllm_importance_sampling_correction": Acts(only=OFF_POLICY),
    "vllm_importance_sampling_mode": Acts(only=OFF_POLICY, choices=IMPORTANCE_MODES),
    "vllm_importance_sampling_clip_max": Acts(only=OFF_POLICY, minimum=0),
    "vllm_importance_sampling_clip_min": Acts(only=OFF_POLICY, minimum=0),
    # What is logged
    "logging_first_step": Acts(only=Only("with --log-every above 1", lambda now: now.settings.log_every > 1)),
    "run_name": Acts(only=tracked_by("wandb", "trackio", "mlflow", "comet_ml", "swanlab")),
    **dict.fromkeys(("project", "trackio_space_id", "trackio_bucket_id"), Acts(only=tracked_by("trackio"))),
    "log_completions": Acts(),
    "num_completions_to_print": Acts(only=beside("log_completions", True), minimum=0),
}
"""Field → the values it takes, and when it acts."""

SAMPLED = ("top_p", "top_k", "min_p", "repetition_penalty")
"""Those that say how texts are drawn: fields of `Sampling` by the same names."""

OPTIONS: Mapping[str, str] = {
    "output_dir": "--folder",
    "num_train_epochs": "--steps",
    "max_steps": "--steps",
    "num_generations": "--group-size",
    "per_device_train_batch_size": "--micro-batch-size",
    "gradient_accumulation_steps": "--batch-size",
    "generation_batch_size": "--batch-size",
    "learning_rate": "--learning-rate",
    "lr_scheduler_type": "--scheduler",
    "warmup_steps": "--warmup-ratio",
    "warmup_ratio": "--warmup-ratio",
    "beta": "--kl",
    "temperature": "--temperature",
    "max_completion_length": "--max-reflection-tokens",
    "save_strategy": "--save-every",
    "save_steps": "--save-every",
    "save_total_limit": "--keep-checkpoints",
    "logging_strategy": "--log-every",
    "logging_steps": "--log-every",
    "report_to": "--report-to",
    "seed": "--seed",
    "data_seed": "--seed",
    "use_cpu": "--device",
    "model_init_kwargs": "--model, --revision and --dtype",
    "use_vllm": "--backend",
    **dict.fromkeys(
        (
            *("vllm_mode", "vllm_model_impl", "vllm_enable_sleep_mode", "vllm_structured_outputs_regex"),
            *("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout"),
            *("vllm_group_port", "vllm_gpu_memory_utilization", "vllm_max_model_length", "vllm_tensor_parallel_size"),
        ),
        "--backend, --gpu-share and --base-url",
    ),
}
"""Field → the option of rrr that sets it."""


def _because(reason: str, *names: str) -> dict[str, str]:
    return dict.fromkeys(names, reason)


REFUSED: Mapping[str, str] = {
    **_because(
        "evaluation is `rrr eval`'s",
        *("eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "eval_do_concat_batches"),
        *("eval_use_gather_object", "eval_accumulation_steps", "per_device_eval_batch_size", "prediction_loss_only"),
        *("include_for_metrics", "batch_eval_metrics", "bf16_full_eval", "fp16_full_eval", "num_generations_eval"),
        *("do_train", "do_eval", "do_predict", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
    ),
    **_because(
        "nothing is uploaded: upload the finished model yourself",
        *("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_always_push"),
        *("hub_revision", "trackio_static_space_id", "log_completions_hub_repo"),
    ),
    **_because(
        "failures are loaded in the order that the seed draws, without workers",
        *("dataloader_drop_last", "dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers"),
        *("dataloader_prefetch_factor", "dataloader_multiprocessing_context", "dataloader_in_order"),
        *("shuffle_dataset", "train_sampling_strategy", "length_column_name", "accelerator_config"),
    ),
    **_because(
        "a run resumes from its folder, exactly and automatically",
        *("resume_from_checkpoint", "ignore_data_skip", "restore_callback_states_from_checkpoint"),
        *("save_only_model", "enable_jit_checkpoint", "save_on_each_node"),
    ),
    **_because(
        "a synced reference model is in no checkpoint, so the run could not be resumed",
        *("sync_ref_model", "ref_model_mixup_alpha", "ref_model_sync_steps"),
    ),
    **_because(
        "each process needs whole weights to generate with",
        *("fsdp", "fsdp_config", "deepspeed", "ds3_gather_for_generation", "parallelism_config"),
    ),
    **_because("dropout is off in training, since it would change log-probabilities", "disable_dropout"),
    **_because("noise in the embeddings would change log-probabilities", "neftune_noise_alpha"),
    **_because(
        "each pass has another length, and would be compiled again",
        *("torch_compile", "torch_compile_backend", "torch_compile_mode"),
    ),
    **_because("TRL is about to drop it", "use_liger_kernel", "liger_kernel_config"),
    **_because(
        "rrr generates with its own batches, or with --backend vllm",
        *("use_transformers_continuous_batching", "transformers_continuous_batching_config", "use_transformers_paged"),
        *("cache_implementation", "use_cache"),
    ),
    **_because(f"set {', '.join(SAMPLED)} as fields of their own; `generate` is not called", "generation_kwargs"),
    **_because("set the chat template's switches with --template, for all stages alike", "chat_template_kwargs"),
    **_because("set vllm_importance_sampling_clip_max", "vllm_importance_sampling_cap"),
    **_because("lower --micro-batch-size instead", "auto_find_batch_size"),
    **_because("GaLore and APOLLO, which read it, are not supported", "optim_target_modules"),
    **_because("code from a model's repository is never run", "trust_remote_code"),
    **_because("the failure's column has to reach the reward", "remove_unused_columns", "label_names"),
    **_because("there is one reward, 1 or 0", "reward_weights"),
    **_because("it would change nothing but padding", "pad_to_multiple_of"),
    **_because("the rollouts call no tools", "max_tool_calling_iterations"),
    **_because("the loss has no labels to smooth", "label_smoothing_factor"),
    **_because("the loss is already averaged over all processes", "average_tokens_across_devices"),
    **_because("the launcher sets it", "local_rank"),
    **_because("progress is shown by the command line", "disable_tqdm", "log_level", "log_level_replica"),
    **_because("the first process alone writes metrics", "log_on_each_node"),
    **_because("a model whose output is not finite stops the run", "logging_nan_inf_filter", "debug"),
    **_because("the metrics have num_tokens", "include_num_input_tokens_seen"),
    **_because("profile.json says what was spent", "skip_memory_metrics"),
    **_because("rows have no images", "log_multimodal"),
    **_because("the table of a tracker alone reads it, and each prompt there is a group's", "log_unique_prompts"),
}
"""Field → why it cannot be set."""
