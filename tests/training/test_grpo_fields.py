"""Every field of TRL's GRPOConfig acts, which is shown here, or is refused by name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.training_args import OptimizerNames
from trl import GRPOConfig

from rrr_core.errors import RrrError
from rrr_core.generation import ModelSettings
from rrr_core.generation.engine import TokenEngine
from rrr_core.training import run as training_run
from rrr_core.training.grpo_fields import ACTS, OPTIMISERS, OPTIONS, REFUSED, SAMPLED, Situation
from rrr_core.training.options import check_fields, grpo_config, parse_fields
from rrr_core.training.run import train
from rrr_core.training.settings import TrainSettings
from tests.training.conftest import CoinTask

pytestmark = pytest.mark.train

REUSED = {"num_iterations": "2"}
ADAPTIVE = {"use_adaptive_entropy": "true", "entropy_target": "100"}
VESPO = {**REUSED, "loss_type": "vespo"}
SGD = {"optim": "sgd"}

CHANGED: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, Any]]] = {
    "lr_scheduler_kwargs": ('{"num_cycles": 2}', {}, {}),
    "optim": ("adafactor", {}, {}),
    "optim_args": ("momentum=0.9", SGD, {}),
    "weight_decay": ("0.5", {}, {}),
    "adam_beta1": ("0.5", {}, {}),
    "adam_beta2": ("0.5", {}, {}),
    "adam_epsilon": ("0.1", {}, {}),
    "max_grad_norm": ("0.01", {}, {}),
    "bf16": ("true", {}, {}),
    "steps_per_generation": ("1", {}, {}),
    "num_iterations": ("2", {}, {}),
    "top_p": ("0.5", {}, {}),
    "top_k": ("3", {}, {}),
    "min_p": ("0.5", {}, {}),
    "repetition_penalty": ("1.8", {}, {}),
    "multi_objective_aggregation": ("normalize_then_sum", {}, {}),
    "scale_rewards": ("none", {}, {}),
    "loss_type": ("dr_grpo", {}, {}),
    "mask_truncated_completions": ("true", {}, {}),
    "epsilon": ("0.0001", REUSED, {}),
    "epsilon_high": ("0.0001", REUSED, {}),
    "delta": ("1.0", REUSED, {}),
    "sapo_temperature_neg": ("3", {"loss_type": "sapo"}, {}),
    "sapo_temperature_pos": ("3", {"loss_type": "sapo"}, {}),
    "vespo_k_pos": ("4", VESPO, {}),
    "vespo_lambda_pos": ("5", VESPO, {}),
    "vespo_k_neg": ("5", VESPO, {}),
    "vespo_lambda_neg": ("4", VESPO, {}),
    "importance_sampling_level": ("sequence", {}, {}),
    "top_entropy_quantile": ("0.5", {}, {}),
    "entropy_coef": ("0.1", {}, {}),
    "use_adaptive_entropy": ("true", {}, {}),
    "entropy_coef_min": ("0.01", {"use_adaptive_entropy": "true"}, {}),
    "entropy_coef_max": ("0.003", ADAPTIVE, {}),
    "entropy_coef_delta": ("0.1", ADAPTIVE, {}),
    "entropy_target": ("100", {"use_adaptive_entropy": "true"}, {}),
    "use_bias_correction_kl": ("false", {}, {}),
    "off_policy_mask_threshold": ("0", REUSED, {}),
    "logging_first_step": ("true", {}, {"log_every": 2}),
}
"""Field → a value, the fields and settings beside it: metrics or weights differ from those without the field."""

DRAWN = {
    "vllm_importance_sampling_correction": ("false", {}),
    "vllm_importance_sampling_mode": ("token_mask", {}),
    "vllm_importance_sampling_clip_max": ("0.5", {}),
    "vllm_importance_sampling_clip_min": ("0.9", {}),
}
"""Field → a value, and the fields beside it: metrics or weights differ where an engine beside the policy writes."""

READ = {
    "tf32": ("false", {}, 1),
    "fp16": ("false", {}, 1),
    "activation_checkpointing": ("true", {}, 1),
    "activation_checkpointing_kwargs": ('{"use_reentrant": true}', {"activation_checkpointing": "true"}, 1),
    "gradient_checkpointing": ("true", {}, 1),
    "gradient_checkpointing_kwargs": ('{"use_reentrant": true}', {"gradient_checkpointing": "true"}, 1),
    "ddp_find_unused_parameters": ("true", {}, 2),
    "ddp_bucket_cap_mb": ("7", {}, 2),
    "ddp_broadcast_buffers": ("true", {}, 2),
    "ddp_static_graph": ("true", {}, 2),
    "ddp_backend": ("gloo", {}, 2),
    "ddp_timeout": ("77", {}, 2),
}
"""Field → a value, the fields beside it, and a number of processes: TRL and transformers read it in their trainer."""

SHOWN = {
    "cast_lm_head_to_fp32",
    "full_determinism",
    "torch_empty_cache_steps",
    "log_completions",
    "num_completions_to_print",
    "run_name",
    "project",
    "trackio_space_id",
    "trackio_bucket_id",
    "router_aux_loss_coef",
}
"""Those that a test of their own shows."""


PLAIN: dict[str, str] = {}
"""What was computed without the field, by the fields and settings beside it."""


def outcome(folder: Path) -> str:
    """A digest of what a training run computed: its metrics, without times, and its weights."""
    digest = hashlib.sha256((folder / "model" / "model.safetensors").read_bytes())
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        numbers = [[name, value] for name, value in sorted(json.loads(line).items()) if "second" not in name]
        digest.update(json.dumps(numbers).encode())
    return digest.hexdigest()


@pytest.fixture
def trained(
    failures: Any, model_settings: ModelSettings, settings: TrainSettings, tmp_path: Path
) -> Callable[..., Path]:
    """Trains two steps with fields of GRPOConfig; gives the folder."""

    def run(fields: Mapping[str, str], model: ModelSettings = model_settings, **changes: Any) -> Path:
        folder = tmp_path / f"t{len(list(tmp_path.iterdir()))}"
        made = dataclasses.replace(settings, steps=2, grpo=fields, **changes)
        train(CoinTask(), failures, model, folder, made)
        return folder

    return run


def test_every_field_of_the_installed_trl_is_sorted() -> None:
    fields = {field.name for field in dataclasses.fields(GRPOConfig) if field.init}
    assert not fields - {*ACTS, *OPTIONS, *REFUSED}, "sort these in rrr_core/training/grpo_fields.py"
    assert len({*ACTS, *OPTIONS, *REFUSED}) == len(ACTS) + len(OPTIONS) + len(REFUSED)
    assert set(ACTS) <= fields
    assert set(OPTIMISERS) <= {name.value for name in OptimizerNames}


def test_every_field_that_acts_has_a_test() -> None:
    shown = [*CHANGED, *DRAWN, *READ, *SHOWN]
    assert sorted(shown) == sorted(ACTS)
    assert set(SAMPLED) <= set(CHANGED)


@pytest.mark.parametrize("name", [*OPTIONS, *REFUSED])
def test_any_other_field_is_refused_by_name_in_one_line(name: str) -> None:
    with pytest.raises(RrrError, match=rf"GRPOConfig field '{name}'(: set it with --| cannot be set: )") as caught:
        parse_fields({name: "1"})
    assert "\n" not in str(caught.value)


def test_a_field_that_nobody_has_sorted_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACTS, "epsilon")  # type: ignore[arg-type]
    with pytest.raises(RrrError, match="'epsilon' is newer than this rrr"):
        parse_fields({"epsilon": "0.1"})


def test_training_computes_the_same_twice(trained: Any) -> None:
    assert outcome(trained({})) == outcome(trained({}))


@pytest.mark.parametrize("name", CHANGED)
def test_a_field_that_acts_changes_what_training_computes(name: str, trained: Any) -> None:
    value, beside, changes = CHANGED[name]
    key = json.dumps([beside, changes])
    if key not in PLAIN:
        PLAIN[key] = outcome(trained(beside, **changes))
    assert outcome(trained({**beside, name: value}, **changes)) != PLAIN[key]


@pytest.mark.parametrize("name", [name for name, (_, beside, _) in CHANGED.items() if beside and ACTS[name].only])
def test_a_field_that_would_change_nothing_is_refused(name: str) -> None:
    with pytest.raises(RrrError, match=rf"'{name}' would change nothing here: it acts only"):
        check_fields(Situation(TrainSettings(), parse_fields({name: CHANGED[name][0]})))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("use_bias_correction_kl", {"kl": 0.0}),
        ("importance_sampling_level", {"kl": 0.0}),
        ("logging_first_step", {"log_every": 1}),
    ],
)
def test_a_field_that_would_change_nothing_beside_a_setting_is_refused(name: str, changes: Any) -> None:
    with pytest.raises(RrrError, match=rf"'{name}' would change nothing here"):
        check_fields(Situation(TrainSettings(**changes), parse_fields({name: CHANGED[name][0]})))


@pytest.mark.parametrize("name", READ)
def test_a_field_is_in_the_configuration_that_trainers_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, beside, processes = READ[name]
    if name == "ddp_backend":  # a configuration made in earnest would wait for the other process

        def read(made: GRPOConfig) -> None:
            made.steps_per_generation = made.gradient_accumulation_steps

        monkeypatch.setattr(GRPOConfig, "__post_init__", read)
    made = grpo_config(TrainSettings(grpo={**beside, name: value}), tmp_path, "float32", None, processes)
    assert getattr(made, name) == json.loads(value) if value[0] in "{tf7" else value
    if processes > 1:
        with pytest.raises(RrrError, match=rf"'{name}' would change nothing here: it acts only with several processes"):
            grpo_config(TrainSettings(grpo={name: value}), tmp_path, "float32", None, 1)


class OffPolicy(TokenEngine):
    """The policy under another name, which says that each token was half again as likely as it was."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.model, self.tokenizer = policy, policy.model, policy.tokenizer

    off_policy = True  # type: ignore[assignment]
    keeps_logprobs = True  # type: ignore[assignment]

    def generate(self, *arguments: Any, **named: Any) -> Any:
        return self.policy.generate(*arguments, **named)

    def generate_ids(self, *arguments: Any, **named: Any) -> Any:
        return self.policy.generate_ids(*arguments, **named)

    def is_ended(self, ids: Any) -> bool:
        return bool(self.policy.is_ended(ids))

    def text_of(self, ids: Any) -> str:
        return str(self.policy.text_of(ids))

    def sync_weights(self, network: Any) -> None:
        self.policy.sync_weights(network)

    def describe(self) -> dict[str, object]:
        return {}

    def logprobs_of(self, prompt: Any, written: Any) -> list[float]:
        ids = torch.tensor([[*prompt, *written]])
        with torch.no_grad():
            logits = self.policy.network(ids).logits[0, len(prompt) - 1 : -1]
        own = logits.log_softmax(-1)[range(len(written)), list(written)]
        return [float(each) + 0.4 for each in own]


@pytest.mark.parametrize("name", DRAWN)
def test_a_field_of_the_correction_acts_where_an_engine_beside_the_policy_writes(
    name: str, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, beside = DRAWN[name]
    with pytest.raises(RrrError, match=rf"'{name}' would change nothing here: it acts only with an engine other than"):
        trained({**beside, name: value})
    monkeypatch.setattr(training_run, "open_engine", lambda policy, settings: OffPolicy(policy))
    monkeypatch.setattr(
        training_run,
        "checked_config",
        lambda model, folder, settings: grpo_config(settings, folder, "float32", None, 1, off_policy=True),
    )
    plain, changed = (outcome(trained(fields)) for fields in (beside, {**beside, name: value}))
    assert plain != changed


def test_a_head_in_float32_changes_what_half_precision_computes(trained: Any, model_settings: ModelSettings) -> None:
    half = dataclasses.replace(model_settings, dtype="bfloat16")
    plain, cast = (outcome(trained(fields, half)) for fields in ({}, {"cast_lm_head_to_fp32": "true"}))
    assert plain != cast
    with pytest.raises(RrrError, match="acts only with --dtype bfloat16 or float16"):
        trained({"cast_lm_head_to_fp32": "true"})


def test_full_determinism_reaches_torch(trained: Any) -> None:
    try:
        trained({"full_determinism": "true"})
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True


def test_the_devices_cache_is_emptied_every_so_many_steps(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = []
    monkeypatch.setattr("transformers.trainer.clear_device_cache", lambda: emptied.append(1))
    trained({"torch_empty_cache_steps": "1"})
    assert emptied


def test_completions_are_logged_and_so_many_printed(trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = []
    monkeypatch.setattr(
        "trl.trainer.grpo_trainer.print_prompt_completions_sample", lambda *given, **_: printed.append(given[-1])
    )
    folder = trained({"log_completions": "true", "num_completions_to_print": "3"})
    assert len(list((folder / "completions").iterdir())) == 2
    assert set(printed) == {3}
    with pytest.raises(RrrError, match="acts only with log_completions=true"):
        trained({"num_completions_to_print": "3"})


@pytest.mark.parametrize("name", ["run_name", "project", "trackio_space_id", "trackio_bucket_id"])
def test_a_trackers_field_reaches_its_callback(name: str, trained: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    received = {}

    class Tracker(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            received[name] = getattr(args, name)

    with pytest.raises(RrrError, match=rf"'{name}' would change nothing here: it acts only with --report-to"):
        trained({name: "mine"})
    monkeypatch.setattr("rrr_core.training.options.get_available_reporting_integrations", lambda: ["trackio"])
    monkeypatch.setattr("transformers.trainer.get_reporting_integration_callbacks", lambda _: [Tracker])
    trained({name: "mine"}, report_to=("trackio",))
    assert received == {name: "mine"}


def test_experts_are_balanced_by_the_weight_asked_for(
    trained: Any, tiny_model: Path, model_settings: ModelSettings, tmp_path: Path
) -> None:
    experts = tmp_path / "experts"
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = AutoConfig.for_model(
        "mixtral",
        vocab_size=len(tokenizer),
        num_key_value_heads=2,
        num_local_experts=4,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **sizes,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(experts)
    shutil.copy(tiny_model / "tokenizer.json", experts)
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        if (tiny_model / name).exists():
            shutil.copy(tiny_model / name, experts)
    model = dataclasses.replace(model_settings, model=str(experts))
    light, heavy = (trained({"router_aux_loss_coef": weight}, model) for weight in ("0.001", "1.0"))
    assert '"aux_loss"' in (light / "metrics.jsonl").read_text()
    assert outcome(light) != outcome(heavy)
    with pytest.raises(RrrError, match="LlamaForCausalLM has no experts to balance"):
        trained({"router_aux_loss_coef": "0.1"})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"top_p": "0"}, "'top_p' must be at least 0.001, not 0."),
        ({"min_p": "1.5"}, "'min_p' must be at most 1, not 1.5."),
        ({"loss_type": "grpoo"}, "'loss_type' must be one of .* Did you mean 'grpo'"),
        ({"scale_rewards": "groups"}, "Did you mean 'group'"),
        ({"weight_decay": "NaN"}, "must be a finite number"),
        ({"optim": "galore_adamw"}, "'optim' must be one of"),
        ({"chat_template_kwargs": '{"enable_thinking": false}'}, "--template"),
        ({"generation_kwargs": '{"suppress_tokens": [5]}'}, "set top_p, top_k, min_p, repetition_penalty"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_one_clear_line(fields: Any, said: str) -> None:
    with pytest.raises(RrrError, match=said) as caught:
        parse_fields(fields)
    assert "\n" not in str(caught.value)


def test_vespo_beside_an_engine_that_is_not_the_policy_needs_a_correction_of_tokens() -> None:
    fields = {"loss_type": "vespo"}
    with pytest.raises(RrrError, match="vllm_importance_sampling_mode=token_truncate"):
        check_fields(Situation(TrainSettings(), fields, off_policy=True))
    check_fields(Situation(TrainSettings(), {**fields, "vllm_importance_sampling_mode": "token_mask"}, off_policy=True))
    check_fields(Situation(TrainSettings(), fields))
