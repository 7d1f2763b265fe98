"""A GGUF file as a folder of safetensors, which every engine reads and training can change. Converted once, atomically.

transformers counts what it loads from a GGUF file as quantised, and neither trains nor saves it, unless it is asked to
unpack it (`GgufConfig(dequantize=True)`).
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

from rrr_core.errors import ModelError
from rrr_core.generation import gguf_repairs
from rrr_core.generation.gguf_header import Header, read_header
from rrr_core.generation.gguf_record import CONVERTED, read_converted
from rrr_core.generation.hub import silenced
from rrr_core.runs.digests import digest_of
from rrr_core.runs.files import TEMPORARY, explained, make_folder, open_own, write_json
from rrr_core.text import one_line

INSTEAD = (
    "name the model's own safetensors (a folder or a hub name) as --model; or serve the file with llama.cpp"
    " (`llama-server -m FILE`) and name the server with --base-url, to mine and evaluate with it"
)
"""What can be done with a file that cannot be converted."""
PROBES = ("x  12\n\n3 + 45 = 48", "The  user’s 1,000 ärgerlich\t7\n", "<think>a</think> {'b': [0.5, null]}")
"""Texts on which the saved tokenizer must agree with the one that was read: digits after two spaces and others."""
_MOST_LAYERS = 1024


def converted(path: Path, folder: Path, say: Callable[[str], None]) -> Path:
    """The folder of a GGUF file's model, below `folder`; converts it if that was not done before.

    The folder is keyed by the file's digest and the version of transformers, whose reading of such files changes. A
    killed conversion leaves nothing that is taken for a whole one, and of several processes one converts. Raises
    ModelError for a file that is damaged or cannot be converted, RrrError where the folder cannot be written.
    """
    header = read_header(path)
    _check(header)
    version, digest = transformers.__version__, digest_of(path)
    target = folder / f"{path.stem}-{digest[:12]}-transformers-{version}"
    make_folder(folder)
    if not (target / CONVERTED).is_file():
        waiting = f"Another process converts {path}: waiting for it."
        with _locked(folder / f".{target.name}.lock", lambda: say(waiting)):
            if not (target / CONVERTED).is_file():
                say(f"Converting {path} to safetensors, once: {target}")
                _convert(header, target, digest)
    for notice in read_converted(target).notices:
        say(notice)
    return target


def _check(header: Header) -> None:
    """Raise ModelError for a file that is damaged, one part of several, or too odd to be tried."""
    try:
        from gguf import GGML_QUANT_SIZES
    except ModuleNotFoundError as error:
        raise ModelError(f"{header.path} needs the package {error.name!r}: pip install 'rrr-core[train]'.") from error
    header.check_data({int(kind): size for kind, size in GGML_QUANT_SIZES.items()})
    parts = header.values.get("split.count")
    if isinstance(parts, int) and parts > 1:
        raise ModelError(
            f"{header.path} is one of {parts} parts: join them (`llama-gguf-split --merge FIRST JOINED.gguf`) and name"
            " the joined file."
        )
    layers = header.of_architecture("block_count")
    if not isinstance(layers, int) or not 0 < layers <= min(_MOST_LAYERS, len(header.tensors)):
        raise _impossible(header, f"it has {len(header.tensors)} tensors and claims {layers!a} layers")


def _impossible(header: Header, why: object) -> ModelError:
    return ModelError(
        f"{header.path} (architecture {header.architecture[:40]!a}) cannot be converted by transformers"
        f" {transformers.__version__}: {one_line(why, 200).rstrip('.')}. Instead, {INSTEAD}."
    )


@contextmanager
def _locked(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Wait until no other process converts the same file; `on_wait` is called first if one does."""
    try:
        import fcntl
    except ImportError:
        yield  # The rename at the end lets one win.
        return
    with explained(path):
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
    try:
        with explained(path):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _convert(header: Header, target: Path, digest: str) -> None:
    for leftover in target.parent.glob(f".{target.name}.*{TEMPORARY}"):
        shutil.rmtree(leftover, ignore_errors=True)
    _check_room(header, target.parent)
    before = header.path.stat()
    network, tokenizer, notices = _read(header)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    make_folder(temporary)
    try:
        with explained(temporary), _quiet():
            network.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
        _check_saved(tokenizer, temporary, header)
        if (now := header.path.stat()).st_mtime_ns != before.st_mtime_ns or now.st_size != before.st_size:
            raise ModelError(f"{header.path} was changed while it was converted: run the command again.")
        about = {
            "gguf": header.path.name,
            "gguf_sha256": digest,
            "architecture": header.architecture,
            "versions": {name: metadata.version(name) for name in ("transformers", "gguf", "tokenizers")},
            "notices": notices,
        }
        write_json(temporary / CONVERTED, about)
        with explained(target):
            for each in temporary.iterdir():
                _sync(each)
            if not (target / CONVERTED).is_file():
                temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(header: Header) -> tuple[Any, Any, list[str]]:
    """The model and its tokenizer, with what transformers leaves behind restored, and notices."""
    path = header.path
    # Files beside it, such as a tokenizer.json, are not part of it.
    with tempfile.TemporaryDirectory() as alone, _quiet():
        (Path(alone) / "model.gguf").symlink_to(path.resolve())
        named: dict[str, Any] = {"pretrained_model_name_or_path": alone, "gguf_file": "model.gguf"}
        try:
            config = AutoConfig.from_pretrained(**named)
            tokenizer: Any = AutoTokenizer.from_pretrained(**named)
            with torch.device("meta"):
                count = _weights(AutoModelForCausalLM.from_config(config))
        except Exception as error:  # nearly every kind, as for any model that is loaded
            raise _impossible(header, error) from error
        if count != (stored := _stored(header, config)):
            raise _impossible(header, f"it holds {stored:,} numbers, of which a model of {count:,} would be made")
        try:
            network, loaded = AutoModelForCausalLM.from_pretrained(
                **named,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),
                output_loading_info=True,
            )
        except Exception as error:  # as above
            raise _impossible(header, error) from error
        if lacking := sorted({*loaded["missing_keys"], *map(str, loaded["mismatched_keys"])}):
            raise _impossible(header, f"{len(lacking)} weights are not found in it, such as {lacking[0]}")
    gguf_repairs.restore_positions(network.config, header)
    gguf_repairs.restore_vocabulary(tokenizer, header)
    gguf_repairs.restore_templates(tokenizer, header)
    notice = gguf_repairs.restore_split(tokenizer, header)
    network.generation_config = gguf_repairs.generation_config(header, network.get_input_embeddings().num_embeddings)
    return network.to(_smallest_exact(network)), tokenizer, [] if notice is None else [notice]


def _weights(network: Any) -> int:
    """How many numbers a network has; a tied head counts once."""
    return sum(weight.numel() for weight in network.parameters())


def _stored(header: Header, config: Any) -> int:
    """How many of the file's numbers belong to the network. Factors of positions do not, nor does a copy of a tied
    head.
    """
    tied = getattr(config, "tie_word_embeddings", False)
    return sum(
        each.count
        for each in header.tensors
        if not each.name.startswith(("rope_freqs", "rope_factors")) and not (tied and each.name == "output.weight")
    )


def _smallest_exact(network: Any) -> torch.dtype:
    """The smallest type that holds every weight exactly: float32 where the file packs them."""
    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(weight.to(dtype).float(), weight) for weight in network.parameters()):
            return dtype
    return torch.float32


def _check_room(header: Header, folder: Path) -> None:
    needed, free = 4 * sum(each.count for each in header.tensors), shutil.disk_usage(folder).free
    if free < needed:
        raise ModelError(
            f"{header.path} takes up to {needed / 1e9:.2g} GB when it is converted, and the disk of {folder} has"
            f" {free / 1e9:.2g} GB left: make room, or use another --folder."
        )


def _check_saved(tokenizer: Any, folder: Path, header: Header) -> None:
    """Raise ModelError unless the saved tokenizer is the one that was read: some classes rebuild parts of it."""
    with silenced():
        saved = AutoTokenizer.from_pretrained(folder)
    if any(saved(text)["input_ids"] != tokenizer(text)["input_ids"] for text in PROBES):
        raise _impossible(header, f"its tokenizer is another one when {type(saved).__name__} has saved it")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from logging and from drawing bars, that of unpacked tensors too, which obeys no switch."""
    before = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = lambda each, **_: each
    try:
        with silenced():
            yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = before


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
