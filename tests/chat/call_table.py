"""How each chat template that TRL ships writes calls, held against what the core finds."""

_OWN, _TEXTS = "own notation", "texts"
CALLS = {
    "diffusion_gemma": _OWN,
    "gemma4": _OWN,
    "gemma4_v2": _OWN,
    "gemma4_v3": _OWN,
    "gemma4_v4": _OWN,
    "gemma4_v5": _OWN,
    "glm4moe": _TEXTS,
    "gptoss": "named object",
    "lfm2_2_5": _OWN,
    "lfm2_2_5_v2": _OWN,
    "lfm2_2_5_vl": _OWN,
    "lfm2_v2": _OWN,
    "llama3_1": "object",
    "llama3_2": "object",
    "muse_glimmer": _TEXTS,
    "nemotron_3_5_lightning": _TEXTS,
    "nemotron_3_nano": _TEXTS,
    "nemotron_3_super": _TEXTS,
    "nemotron_3_ultra": _TEXTS,
    "qwen2_5": "object",
    "qwen3": "object",
    "qwen3_5_nothink": _TEXTS,
    "qwen3_5_think": _TEXTS,
    "qwen3_6": _TEXTS,
    "qwen3_8": _TEXTS,
    "qwen3_instruct_2507": "object",
    "qwen3_vl": "object",
}
"""Template → the kind of its form; every awkward argument makes the round trip."""
MANY = sorted({*CALLS} - {"gptoss", "llama3_1", "llama3_2"})
"""Those with several calls in a reply."""
NO_CALLS = (
    *("cohere", "cohere2", "deepseek_r1_distill", "deepseekv3", "gemma", "gemma3", "idefics3", "lfm2", "llama3"),
    *("llava_next", "phi3", "phi3_5", "qwen2_5_vl", "smolvlm"),
)
"""Those that show no tools, or write no calls of them."""
_BARE, _NO_TEXT = (True, False, False), (True, False, True)
EXTENDS: dict[str, tuple[bool, ...]] = {
    **dict.fromkeys(CALLS, (True, True, True)),
    **dict.fromkeys(["gemma4", "gemma4_v2", "gemma4_v3", "gemma4_v4", "llama3_1", "llama3_2", "muse_glimmer"], _BARE),
    **dict.fromkeys(["diffusion_gemma", "gemma4_v5", "gptoss"], _NO_TEXT),
    "glm4moe": (False, False, True),
    "qwen3_5_nothink": (True, True, False),
}
"""Whether the conversation after an observation goes on from the sampled ids of a call alone, of one after a text, and
of one after a thought."""
