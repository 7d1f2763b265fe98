"""The header of a GGUF file: what it says of a model, and where its tensors lie. No size in it is believed unchecked.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_core.errors import ModelError
from rrr_core.runs.files import explained_reading

MAGIC = b"GGUF"
VERSIONS = (2, 3)
_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
"""Type of a value → its layout."""
_STRING, _ARRAY = 8, 9
_MOST_KEYS, _MOST_TENSORS, _MOST_DIMENSIONS = 1 << 16, 1 << 20, 4
_LONGEST_TEXT, _LONGEST_LIST = 1 << 26, 1 << 24
"""Far beyond any model's; a false one would fill the memory."""
_ALIGNMENT = "general.alignment"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a GGUF file."""

    name: str
    shape: tuple[int, ...]
    """The fastest dimension first, as the file has it."""
    kind: int
    """How its numbers are packed: a type of ggml."""
    offset: int
    """Where its data begin in the file."""

    @property
    def count(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says before its data."""

    path: Path
    size: int
    """Bytes of the file."""
    values: Mapping[str, Any]
    """Key → a number, a text, or a list of them."""
    tensors: Sequence[Tensor]

    @property
    def architecture(self) -> str:
        """The architecture as llama.cpp calls it, such as `llama` or `qwen3`."""
        return str(self.values["general.architecture"])

    def of_architecture(self, key: str) -> Any:
        """The value of `ARCHITECTURE.key`; None if there is none."""
        return self.values.get(f"{self.architecture}.{key}")

    def check_data(self, sizes: Mapping[int, tuple[int, int]]) -> None:
        """Raise ModelError if a tensor's data are not all in the file.

        `sizes` says, for each type of ggml, how many numbers a block has and how many bytes it takes.
        """
        for tensor in self.tensors:
            if tensor.kind not in sizes:
                raise damaged(self.path, f"its tensor {tensor.name[:60]!a} has the unknown type {tensor.kind}")
            numbers, taken = sizes[tensor.kind]
            if tensor.count % numbers or not tensor.count:
                raise damaged(self.path, f"its tensor {tensor.name[:60]!a} has the shape {tensor.shape}")
            if (end := tensor.offset + tensor.count // numbers * taken) > self.size:
                raise damaged(
                    self.path, f"it has {self.size:,} bytes, and its tensor {tensor.name[:60]!a} ends at {end:,}"
                )


def is_gguf(path: Path) -> bool:
    """Whether a path is a file that begins as GGUF files do, or is called as they are."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".gguf":
        return True
    with explained_reading(path), open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def damaged(path: Path, what: str) -> ModelError:
    """The error to raise for a file that is no whole GGUF file."""
    return ModelError(f"{path} is no GGUF file that can be read: {what}. Fetch it again.")


def read_header(path: Path) -> Header:
    """The header of a GGUF file. Raises ModelError for one that is damaged, DataError for one that cannot be read."""
    with explained_reading(path), open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise damaged(path, "it does not begin with GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            reader = _Reader(path, content)
            try:
                return reader.header()
            except UnicodeDecodeError:
                raise damaged(path, f"it has a text that is no UTF-8 before byte {reader.place:,}") from None


class _Reader:
    """Reads one value after the other, and raises ModelError where the file ends too early."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self.content, self.place = path, content, len(MAGIC)

    def header(self) -> Header:
        version = self.number("<I")
        if version not in VERSIONS:
            order = " (big-endian)" if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS else ""
            raise damaged(self.path, f"it has version {version}{order}, and rrr reads 2 and 3 in little-endian order")
        tensor_count, key_count = self.number("<Q"), self.number("<Q")
        if key_count > _MOST_KEYS or tensor_count > _MOST_TENSORS:
            raise damaged(self.path, f"it claims {key_count:,} keys and {tensor_count:,} tensors")
        values: dict[str, Any] = {}
        for _ in range(key_count):
            key = self.text()
            if key in values:
                raise damaged(self.path, f"it has the key {key[:60]!a} twice")
            values[key] = self.value(self.number("<I"))
        if not isinstance(values.get("general.architecture"), str):
            raise damaged(self.path, "it names no architecture")
        listed = [self.tensor() for _ in range(tensor_count)]
        if len({name for name, *_ in listed}) != len(listed):
            raise damaged(self.path, "two of its tensors have one name")
        alignment = values.get(_ALIGNMENT, 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise damaged(self.path, f"its alignment is {alignment!a}")
        start = -(-self.place // alignment) * alignment
        tensors = [Tensor(name, shape, kind, start + offset) for name, shape, kind, offset in listed]
        return Header(self.path, len(self.content), values, tensors)

    def take(self, count: int) -> bytes:
        end = self.place + count
        if end > len(self.content):
            raise damaged(self.path, f"it ends at byte {len(self.content):,}, and its header goes on to {end:,}")
        found = self.content[self.place : end]
        self.place = end
        return found

    def number(self, layout: str) -> Any:
        (value,) = struct.unpack(layout, self.take(struct.calcsize(layout)))
        return value

    def text(self) -> str:
        length = self.number("<Q")
        if length > _LONGEST_TEXT:
            raise damaged(self.path, f"it claims a text of {length:,} bytes")
        return self.take(length).decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self.values()
        if kind not in _NUMBERS:
            raise damaged(self.path, f"it has a value of the unknown type {kind} at byte {self.place:,}")
        return self.number(_NUMBERS[kind])

    def values(self) -> list[Any]:
        kind, count = self.number("<I"), self.number("<Q")
        if count > _LONGEST_LIST:
            raise damaged(self.path, f"it claims a list of {count:,} values")
        if kind == _STRING:
            return [self.text() for _ in range(count)]
        if kind not in _NUMBERS:
            raise damaged(self.path, f"it has a list of the unknown type {kind} at byte {self.place:,}")
        layout = _NUMBERS[kind]
        content = self.take(count * struct.calcsize(layout))
        return [value for (value,) in struct.iter_unpack(layout, content)]

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self.text(), self.number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise damaged(self.path, f"its tensor {name[:60]!a} has {dimensions:,} dimensions")
        shape = tuple(self.number("<Q") for _ in range(dimensions))
        return name, shape, self.number("<I"), self.number("<Q")
