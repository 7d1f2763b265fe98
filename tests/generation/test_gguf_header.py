"""The header of a GGUF file: what is read, and that no file, however damaged, does more than end in one line."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import ModelError
from rrr_core.generation.gguf_header import is_gguf, read_header
from tests.generation.gguf_files import ARCHITECTURE, ARRAY, INT32, STRING, UINT32, header_bytes, pair, tensor, text

FLOAT32, Q4_1 = 0, 3
SIZES = {FLOAT32: (1, 4), Q4_1: (32, 20)}
WHOLE = header_bytes(
    (
        ARCHITECTURE,
        pair("llama.block_count", UINT32, struct.pack("<I", 2)),
        pair("tokenizer.ggml.tokens", ARRAY, struct.pack("<IQ", STRING, 2) + text("a") + text("é")),
        pair("tokenizer.ggml.token_type", ARRAY, struct.pack("<IQ2i", INT32, 2, 1, -3)),
    ),
    (tensor("one", (32, 2), Q4_1, 0), tensor("two", (3,), FLOAT32, 64)),
)
"""Its data begin at the next multiple of 32."""
DATA = -len(WHOLE) % 32 + 64 + 12


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(WHOLE + bytes(DATA))
    return path


def refused(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_header(path).check_data(SIZES)
    (line,) = str(caught.value).splitlines()
    assert str(path) in line
    assert line.endswith(" Fetch it again.")
    return line


def test_a_header_says_what_the_model_is_and_where_its_tensors_lie(file: Path) -> None:
    header = read_header(file)
    assert header.architecture == "llama"
    assert header.of_architecture("block_count") == 2
    assert header.of_architecture("head_count") is None
    assert header.values["tokenizer.ggml.tokens"] == ["a", "é"]
    assert header.values["tokenizer.ggml.token_type"] == [1, -3]
    start = len(WHOLE) + -len(WHOLE) % 32
    assert [(each.name, each.shape, each.count, each.offset) for each in header.tensors] == [
        ("one", (32, 2), 64, start),
        ("two", (3,), 3, start + 64),
    ]
    header.check_data(SIZES)


def test_a_file_is_one_by_its_name_or_by_its_first_bytes(file: Path, tmp_path: Path) -> None:
    assert is_gguf(file)
    assert is_gguf(file.rename(tmp_path / "a blob"))
    (tmp_path / "text.gguf").write_text("no")
    assert is_gguf(tmp_path / "text.gguf")
    (tmp_path / "text").write_text("no")
    assert not is_gguf(tmp_path / "text")
    assert not is_gguf(tmp_path)


@pytest.mark.parametrize("length", [0, 3, 4, 8, 24, 30, 60, len(WHOLE) - 1])
def test_a_header_that_ends_too_early_is_refused(file: Path, length: int) -> None:
    assert "GGUF" in refused(file, WHOLE[:length])


def test_data_that_end_too_early_are_refused(file: Path) -> None:
    assert "'two' ends at" in refused(file, WHOLE + bytes(DATA - 1))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04" + WHOLE[4:], "does not begin with GGUF"),
        (header_bytes(version=1), "version 1, and rrr reads 2 and 3"),
        (header_bytes(version=3 << 24), "big-endian"),
        (header_bytes(counts=(0, 1 << 60)), f"claims {1 << 60:,} keys"),
        (header_bytes(counts=(1 << 60, 1)), f"and {1 << 60:,} tensors"),
        (header_bytes((struct.pack("<Q", 1 << 62) + b"a",)), f"a text of {1 << 62:,} bytes"),
        (header_bytes((pair("a", ARRAY, struct.pack("<IQ", STRING, 1 << 40)),)), f"a list of {1 << 40:,} values"),
        (header_bytes((pair("a", ARRAY, struct.pack("<IQ", UINT32, 1 << 20)),)), "goes on to"),
        (header_bytes((pair("a", ARRAY, struct.pack("<IQ", ARRAY, 1)),)), "a list of the unknown type 9"),
        (header_bytes((pair("a", 77, b""),)), "unknown type 77"),
        (header_bytes((ARCHITECTURE, ARCHITECTURE)), "twice"),
        (header_bytes(()), "names no architecture"),
        (header_bytes((pair("general.architecture", STRING, struct.pack("<Q", 1) + b"\xff"),)), "no UTF-8"),
        (header_bytes((ARCHITECTURE, pair("general.alignment", UINT32, struct.pack("<I", 0)))), "alignment is 0"),
        (header_bytes(tensors=(tensor("a", (1,) * 5),)), "5 dimensions"),
        (header_bytes(tensors=(tensor("a", (1,)), tensor("a", (1,)))), "one name"),
        (header_bytes(tensors=(tensor("a", (1,), 99),)), "unknown type 99"),
        (header_bytes(tensors=(tensor("a", (33,), Q4_1),)), "the shape (33,)"),
        (header_bytes(tensors=(tensor("a", (0,)),)), "the shape (0,)"),
        (header_bytes(tensors=(tensor("a", (1 << 50, 1 << 50)),)), "ends at"),
        (header_bytes(tensors=(tensor("a", (1,), 0, 1 << 63),)), "ends at"),
    ],
)
def test_a_hostile_header_is_refused_in_one_line(file: Path, content: bytes, why: str) -> None:
    assert why in refused(file, content)


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=9))
def test_whatever_bytes_are_changed_the_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: bytes
) -> None:
    content = bytearray(WHOLE + bytes(DATA))
    content[place : place + len(change)] = change
    path = tmp_path_factory.mktemp("changed") / "model.gguf"
    path.write_bytes(content)
    try:
        read_header(path).check_data(SIZES)
    except ModelError as error:
        (line,) = str(error).splitlines()
        assert "no GGUF file that can be read" in line
