"""Memory of one process (rank), part by part: what a run allocates, counted from the model's shape.

What is counted is what our trainer really does: weights in float32 unless `--dtype` says otherwise, computed in
bfloat16 on a GPU (autocast), AdamW's two moments in the weights' dtype, a second copy of the model if `--kl` is above
0 and all weights are trained, one packed row of tokens in each pass, a head that makes its logits in tiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rrr_core.planning.shape import Shape

SHARDINGS = ("none", "zero2", "fsdp2", "zero3")
"""From the cheapest in communication on; where one process is enough there is nothing to shard."""

DEEPSPEED, WHOLLY_SHARDED = ("zero2", "zero3"), ("fsdp2", "zero3")
"""Shardings by DeepSpeed, and those in which each process holds a part of the weights."""
BUCKET = 5e8
"""Numbers that DeepSpeed reduces at a time."""

HEAD_TOKENS, HEAD_COLUMNS = 4096, 32768
"""The tile in which TRL's head makes logits on a GPU: tokens times entries of the vocabulary."""

TILE, FEWEST_COLUMNS, KEPT = 2**20, 256, 2**27
"""On a CPU (`rrr_core.training.head`; a test compares): most logits of a tile, its fewest columns, and the most
exponentials that are kept for the backward pass."""
TILE_COPIES = 3
"""Copies of a tile in float32: logits, their exponentials or gradient, and a product."""

FORM, FORMS_WRITTEN, FORMS_TRAINED = 0.8e6, 12, 36
"""Bytes of code that oneDNN compiles for a form of a product (`rrr_core.generation.products`), and the usual number of
forms: six weights with two numbers of rows, and with gradients three products of each."""

SPARE, SPARE_COLUMNS = 0.25, 16
"""The key-value cache grows by a quarter at a time, and by 16 columns at least: all of that is unused once the prompts
are read, and half of it on average later."""

SAMPLED_AT_ONCE = 1 << 19
"""Logits that a CPU samples from at once (`rrr_core.generation.decoding.CPU_LOGITS`; a test compares)."""
LOGIT, CHOICE = 4, 24
"""Bytes of a logit, and of what sampling from it takes: two copies in float32, and two in float64."""

HOLES, LARGE_BLOCK = 0.4, float(32 << 20)
"""On a CPU, tensors below the second come from a heap. A freed one leaves a hole that the next, of another size, often
does not fill: measured, 0.24 to 0.7 of what each pass or batch makes again, mostly about 0.4. Larger ones go back
to the system at once (glibc)."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a run computes."""

    bytes_per_weight: int
    """Of the trained weights."""
    stored_bytes: int
    """Of the weights where nothing is trained: mining and evaluation."""
    autocast: bool
    """Whether passes compute in two bytes per number whatever the weights have."""
    checkpointed: bool
    """Whether activations are recomputed in the backward pass."""
    trainable: int
    """Weights with a gradient."""
    reference: bool
    """Whether there is a second copy of the model."""
    moments: float = 2.0
    """Numbers that the optimiser keeps for each trained weight."""
    sharding: str = "none"
    processes: int = 1
    on_cpu: bool = False
    compiles: bool = False
    """Whether products are oneDNN's, which keeps code for each form."""
    packed: float = 0.0
    """Bytes of the packed copies that a CPU mines and evaluates with."""
    packed_in_training: float = 0.0
    """The same of those that it writes a step's texts with."""
    prefix_limit: float = 1 << 30
    """Most bytes of the prefix cache."""
    other_engine: float = 0.0
    """Bytes that an engine beside training takes."""

    @property
    def width(self) -> int:
        """Bytes of a number that a pass computes."""
        return 2 if self.autocast else self.bytes_per_weight

    @property
    def held_bytes(self) -> int:
        """Bytes of a weight as training holds it: DeepSpeed converts weights to what a pass computes in."""
        return self.width if self.sharding in DEEPSPEED else self.bytes_per_weight


@dataclass(frozen=True, slots=True)
class Pass:
    """The tokens of one forward and backward pass."""

    prompts: float
    """Distinct prompts."""
    prompt: float
    """Tokens of each."""
    rows: float
    """Completions."""
    completion: float
    """Tokens of each."""

    @property
    def tokens(self) -> float:
        return self.prompts * self.prompt + self.rows * self.completion

    @property
    def written(self) -> float:
        """Tokens whose probability is computed."""
        return self.rows * self.completion


@dataclass(frozen=True, slots=True)
class Batch:
    """The texts of one batch of generation, and what the prefix cache has by then."""

    rows: float
    prompt: float
    """Tokens of the longest."""
    written: float
    """Tokens of the longest text."""
    kept: float = 0.0
    """Tokens in the prefix cache."""
    read_at_once: float = 0.0
    """Most tokens prefilled together."""

    @property
    def columns(self) -> float:
        return self.prompt + self.written


def static_parts(shape: Shape, setup: Setup) -> dict[str, float]:
    """What training holds all the time."""
    width, count, sharding = setup.held_bytes, setup.processes, setup.sharding
    weights, trained = shape.parameters * width, setup.trainable * width
    per_rank = count if sharding in WHOLLY_SHARDED else 1
    states = count if sharding != "none" else 1
    parts = {
        "weights": weights / per_rank,
        "gradients": trained / states,
        "optimiser": setup.moments * setup.trainable * setup.bytes_per_weight / states,
        "reference": weights / per_rank if setup.reference else 0.0,
    }
    parts |= _code(setup, FORMS_TRAINED)
    if sharding in DEEPSPEED:
        # DeepSpeed updates a flat copy of the process's share in full width.
        parts["optimiser"] += setup.trainable * setup.bytes_per_weight / states
    if sharding == "none" and count > 1:
        parts["exchange"] = trained  # DistributedDataParallel's buckets
    elif sharding in DEEPSPEED and count > 1:
        parts["exchange"] = min(2.0 * BUCKET * width, 2.0 * trained)
    elif sharding in WHOLLY_SHARDED and count > 1:
        # What is gathered and reduced at a time: two layers, the embedding among them.
        parts["exchange"] = 2.0 * max(shape.embedding, shape.layer_parameters) * width
    if sharding in WHOLLY_SHARDED and not setup.other_engine:
        # Made before the weights are sharded and converted, and kept. Beside vLLM it is in the machine's memory.
        parts["whole copy"] = float(shape.parameters * setup.bytes_per_weight)
    return parts


def starting_parts(shape: Shape, setup: Setup) -> dict[str, float]:
    """What training holds before weights are sharded: each process has loaded them whole and has made its copy."""
    whole = float(shape.parameters * setup.bytes_per_weight)
    held = static_parts(shape, setup)
    return {"weights": whole, **{name: held.get(name, 0.0) for name in ("whole copy", "reference")}}


def pass_parts(shape: Shape, setup: Setup, one: Pass) -> dict[str, float]:
    """What one forward and backward pass adds, part by part; `training_memory` says which are there together."""
    layer = _layer_bytes(shape, setup, one)
    stream = one.tokens * shape.hidden * max(setup.bytes_per_weight, setup.width)
    # The backward pass of a layer holds gradients of its largest tensors beside what was saved.
    working = one.tokens * (2 * shape.hidden + 2 * shape.active_intermediate) * setup.width
    if setup.checkpointed:
        working += layer
    casts = 2.0 * (shape.parameters - shape.embedding) if setup.autocast and setup.held_bytes > 2 else 0.0
    if setup.sharding in WHOLLY_SHARDED:
        casts /= setup.processes
    return {
        "activations": shape.layers * (stream if setup.checkpointed else layer),
        "working": working,
        "head": _head_bytes(shape, setup, one),
        "head's gradient": _head_gradient(shape, setup),
        "casts": casts,
    }


def _head_bytes(shape: Shape, setup: Setup, one: Pass) -> float:
    """What the head takes while it computes logits and their gradient, tile by tile."""
    head = one.written * shape.hidden * 8
    if setup.on_cpu:
        cells = one.written * shape.vocabulary
        return head + (cells if cells <= KEPT else 0) * 4 + TILE_COPIES * _tile_bytes(shape, one)
    return head + min(one.written, HEAD_TOKENS) * HEAD_COLUMNS * setup.width


def _code(setup: Setup, forms: int) -> dict[str, float]:
    return {"compiled products": forms * FORM} if setup.compiles else {}


def _tile_bytes(shape: Shape, one: Pass) -> float:
    """Of a tile of the head on a CPU."""
    return min(max(TILE, one.written * FEWEST_COLUMNS), one.written * shape.vocabulary) * 4


def _head_gradient(shape: Shape, setup: Setup) -> float:
    """Of the head's weights, summed in float32."""
    return float(shape.vocabulary * shape.hidden * 4) if setup.trainable == shape.parameters else 0.0


def _layer_bytes(shape: Shape, setup: Setup, one: Pass) -> float:
    """What a layer saves for its backward pass."""
    wide, narrow = max(setup.bytes_per_weight, setup.width), setup.width
    # Two norms: their input and the normalised one in full width, and the result as the projections read it.
    norms = one.tokens * shape.hidden * 2 * (2 * wide + narrow)
    # Queries, the attention's output as rows and packed again, and gate, its activation, up and their product.
    each = one.tokens * (3 * shape.attention + 4 * shape.active_intermediate) * narrow
    # Keys and values: of prompts once, and for each completion those of its prompt again.
    keys = (one.prompts * one.prompt + one.rows * (one.prompt + one.completion)) * 2 * shape.cached * narrow
    adapters = one.tokens * shape.hidden * narrow if setup.trainable < shape.parameters else 0.0
    return norms + each + keys + adapters


def generating_parts(shape: Shape, setup: Setup, batch: Batch, *, in_training: bool) -> dict[str, float]:
    """What a batch of generation adds."""
    width = setup.bytes_per_weight if in_training else setup.stored_bytes
    token = 2 * shape.layers * shape.cached * width
    # Reading a batch: its prompts in the cache, and the projections of a layer.
    prompts = batch.rows * (batch.prompt + max(SPARE * batch.prompt, SPARE_COLUMNS)) * token
    reading = batch.read_at_once * (4 * shape.hidden + 3 * shape.active_intermediate) * width
    # Decoding its last token: the whole cache, and the logits in several widths.
    cache = batch.rows * batch.columns * token * _spare(batch.columns)
    logits = batch.rows * shape.vocabulary
    chosen = min(logits, max(SAMPLED_AT_ONCE, shape.vocabulary)) if setup.on_cpu else logits
    logits = logits * (LOGIT if width == LOGIT or not setup.on_cpu else LOGIT + width) + chosen * CHOICE
    at_first, at_last = {"cache": prompts, "reading": reading}, {"cache": cache, "logits": logits}
    parts = max((at_first, at_last), key=lambda moment: sum(moment.values()))
    if setup.on_cpu:
        made = {"cache": cache, "reading": reading, "logits": logits}
        parts["holes"] = _holes(made, _sampling_blocks(shape, width, batch))
    parts["packed weights"] = setup.packed_in_training if in_training else setup.packed
    # A batch whose rows end together is kept as it is, with what is spare in it.
    parts["prefix cache"] = min(batch.kept * token * _spare(batch.columns), setup.prefix_limit)
    if in_training and setup.other_engine:
        parts = {"engine": setup.other_engine}
    return parts


def _spare(columns: float) -> float:
    """What the unused columns of a cache make of its size, on average."""
    return 1 + max(SPARE, SPARE_COLUMNS / max(columns, 1.0)) / 2


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes of one process at their peak."""

    parts: Mapping[str, float]
    """What is held at the peak."""

    @property
    def peak(self) -> float:
        return sum(self.parts.values())


def training_memory(shape: Shape, setup: Setup, one: Pass, batch: Batch, *, accumulates: bool = True) -> Memory:
    """Of training: its passes or its generation, whichever takes more.

    `accumulates` says whether a step has several passes, so that a pass begins with gradients of the one before.
    """
    held = static_parts(shape, setup)
    passing = pass_parts(shape, setup, one)
    sampling = generating_parts(shape, setup, batch, in_training=True)
    gradients = held["gradients"] if accumulates else 0.0
    at_head = {**held, **passing, "gradients": gradients, "working": 0.0}
    # From the last layer to the first, activations go and gradients come.
    at_last = {**held, **passing, "gradients": max(gradients, passing["head's gradient"]), **_NO_HEAD}
    at_first = {**held, **passing, "activations": passing["activations"] / max(shape.layers, 1), **_NO_HEAD}
    blocks = _passing_blocks(shape, setup, one)
    moments = [_with_holes(setup, each, blocks) for each in (at_head, at_last, at_first)]
    if setup.other_engine:
        return max((Memory({**each.parts, **sampling}) for each in moments), key=lambda memory: memory.peak)
    # Gradients are dropped before anything is sampled.
    between = {**held, "gradients": 0.0, **sampling}
    moments += [
        Memory(between),
        Memory(starting_parts(shape, setup)),
    ]
    return max(moments, key=lambda memory: memory.peak)


def generating_memory(shape: Shape, setup: Setup, batch: Batch) -> Memory:
    """Of mining or evaluation."""
    parts = generating_parts(shape, setup, batch, in_training=False)
    weights = {"weights": float(shape.parameters * setup.stored_bytes)}
    return Memory({**weights, **parts, **_code(setup, FORMS_WRITTEN)})


_NO_HEAD = {"head": 0.0, "head's gradient": 0.0}


def _passing_blocks(shape: Shape, setup: Setup, one: Pass) -> dict[str, float]:
    """Part that a pass makes again → bytes of its largest tensor."""
    layer = one.tokens * shape.active_intermediate * setup.width
    return {"activations": layer, "working": layer, "head": _tile_bytes(shape, one)}


def _sampling_blocks(shape: Shape, width: int, batch: Batch) -> dict[str, float]:
    """Part that a batch of generation makes again → bytes of its largest tensor. What is kept of it leaves no holes."""
    return {
        "cache": batch.rows * batch.columns * shape.cached * width,
        "reading": batch.read_at_once * shape.active_intermediate * width,
        "logits": batch.rows * shape.vocabulary * LOGIT,
    }


def _with_holes(setup: Setup, parts: Mapping[str, float], blocks: Mapping[str, float]) -> Memory:
    """With the holes in the heap that a pass's freed tensors leave."""
    return Memory({**parts, "holes": _holes(parts, blocks)} if setup.on_cpu else parts)


def _holes(made: Mapping[str, float], blocks: Mapping[str, float]) -> float:
    """Bytes of the holes left by what each pass or batch makes again, that of moments that are over included."""
    return HOLES * sum(made[name] for name, block in blocks.items() if block < LARGE_BLOCK)
