"""Weights sent over a network: what is offered, what a worker fetches, and what each refuses."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")
pytest.importorskip("transformers")

from rrr_core.errors import ModelError
from rrr_core.generation import vllm_worker
from rrr_core.generation.sync_address import Address, address_towards, read_address
from rrr_core.generation.vllm_worker import WeightFile, adapter_folder
from rrr_core.generation.weight_fetch import fetched
from rrr_core.generation.weight_offer import Parcel, offered, packed, packed_bytes

pytestmark = pytest.mark.train

HERE = Address("127.0.0.1")
NAME = "0" * 32


class Kept:
    """A model that keeps the weights it loads."""

    def __init__(self) -> None:
        self.weights = {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.bfloat16)}

    def named_parameters(self) -> Any:
        return self.weights.items()

    def load_weights(self, weights: Any) -> set[str]:
        loaded = set()
        for name, weight in weights:
            self.weights[name].copy_(weight)
            loaded.add(name)
        return loaded


@pytest.fixture
def worker() -> WeightFile:
    worker = WeightFile()
    worker.model_runner = SimpleNamespace(model=Kept())
    worker.parallel_config = SimpleNamespace(world_size=1)
    return worker


def some_weights() -> dict[str, Any]:
    return {"a": torch.arange(6.0).reshape(3, 2).T, "b": torch.ones(4, dtype=torch.bfloat16)}


def test_what_is_packed_is_a_safetensors_file() -> None:
    with packed(some_weights()) as parcel:
        content = Path(f"/proc/self/fd/{parcel.file.fileno()}").read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (parcel.size, parcel.sha256)
    loaded = safetensors.load(content)
    for name, weight in some_weights().items():
        assert torch.equal(loaded[name], weight)
        assert loaded[name].dtype == weight.dtype


def test_a_worker_loads_what_is_offered(worker: WeightFile) -> None:
    with packed(some_weights()) as parcel, offered(parcel, [HERE]) as urls:
        assert worker.fetch_weight_file(urls[HERE], parcel.sha256, parcel.size) == "taken"
        assert worker.fetch_weight_file(urls[HERE], parcel.sha256, parcel.size) == "taken"
    assert torch.equal(worker.model_runner.model.weights["a"], some_weights()["a"])
    assert worker.count_weight_files() == "2"


def test_an_offer_serves_nothing_else_and_ends() -> None:
    with packed_bytes(b"weights") as parcel:
        with offered(parcel, [HERE]) as urls:
            url = urls[HERE]
            root = url.rpartition("/")[0]
            for path in ("/", "/weights.safetensors", "/../etc/passwd", "/" + "A" * 43):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(root + path, timeout=30)
            with pytest.raises(urllib.error.HTTPError, match="501"):
                urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT"), timeout=30)
            assert urllib.request.urlopen(url, timeout=30).read() == b"weights"
        with pytest.raises(urllib.error.URLError, match="refused"):
            urllib.request.urlopen(url, timeout=30)


def test_two_offers_have_different_paths() -> None:
    with packed_bytes(b"weights") as parcel, offered(parcel, [HERE]) as one, offered(parcel, [HERE]) as other:
        assert one[HERE].rpartition("/")[2] != other[HERE].rpartition("/")[2]


@pytest.mark.parametrize(
    ("sha256", "longer", "reason"),
    [("0" * 64, 0, "damaged weights"), (None, 1, "offered no file of"), (None, -1, "offered no file of")],
)
def test_a_file_of_another_digest_or_size_is_not_loaded(
    sha256: str | None, longer: int, reason: str, worker: WeightFile
) -> None:
    with packed(some_weights()) as parcel, offered(parcel, [HERE]) as urls:
        said = worker.fetch_weight_file(urls[HERE], sha256 or parcel.sha256, parcel.size + longer)
    assert reason in said
    assert not worker.model_runner.model.weights["a"].any()
    assert worker.count_weight_files() == "0"


def test_a_transfer_that_breaks_off_is_refused(worker: WeightFile) -> None:
    """The offer's file is shorter than it says, so the connection ends too early, as with a killed trainer's."""
    with packed(some_weights()) as parcel:
        short = Parcel(parcel.file, parcel.sha256, parcel.size)
        os.ftruncate(parcel.file.fileno(), parcel.size - 8)
        with offered(short, [HERE]) as urls:
            said = worker.fetch_weight_file(urls[HERE], parcel.sha256, parcel.size)
    assert re.search(r"got \d+ of \d+ bytes|lost the trainer", said)
    assert worker.count_weight_files() == "0"


def test_more_than_the_model_can_hold_is_not_fetched(worker: WeightFile) -> None:
    said = worker.fetch_weight_file("http://127.0.0.1:9/" + "A" * 43, "0" * 64, 1 << 40)
    assert said.startswith("takes no 1099511627776 bytes, but at most")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:9/" + "A" * 43,
        "file:///etc/passwd",
        "http://localhost:9/" + "A" * 43,
        "http://127.0.0.1/" + "A" * 43,
        "http://me@127.0.0.1:9/" + "A" * 43,
        "http://127.0.0.1:9/latest/meta-data",
        "http://127.0.0.1:9/" + "A" * 43 + "?x=1",
    ],
)
def test_only_a_trainers_offer_is_fetched(url: str) -> None:
    with pytest.raises(ModelError, match="fetches "), fetched(url, "0" * 64, 10, 100):
        pass


def test_a_trainer_that_cannot_be_reached_is_said_to_be(worker: WeightFile) -> None:
    said = worker.fetch_weight_file("http://127.0.0.1:9/" + "A" * 43, "0" * 64, 10)
    assert said.startswith("cannot reach the trainer at 127.0.0.1 port 9 (")


KILLED = """
import os, signal, torch
from rrr_core.generation.sync_address import Address
from rrr_core.generation.weight_offer import offered, packed
with packed({"a": torch.ones(2, 3)}) as parcel, offered(parcel, [Address("127.0.0.1")]) as urls:
    print(*urls.values(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_trainer_leaves_nothing() -> None:
    folders = [folder for folder in (Path("/dev/shm"), Path(tempfile.gettempdir())) if folder.is_dir()]
    before = {path for folder in folders for path in folder.glob("rrr-weights*")}
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(killed.stdout.strip(), timeout=30)
    assert {path for folder in folders for path in folder.glob("rrr-weights*")} <= before


def test_two_workers_of_one_machine_share_an_adapters_folder(
    worker: WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with packed_bytes(b"adapter") as parcel, offered(parcel, [HERE]) as urls:
        arguments = (NAME, "{}", urls[HERE], parcel.sha256, parcel.size)
        said = {worker.fetch_adapter(*arguments), worker.fetch_adapter(*arguments)}
    assert said == {f"taken {adapter_folder(NAME)}"}
    assert [path.name for path in tmp_path.iterdir()] == [f"rrr-adapter-{NAME}"]
    assert (adapter_folder(NAME) / "adapter_model.safetensors").read_bytes() == b"adapter"
    worker.drop_adapter(NAME)
    assert list(tmp_path.iterdir()) == []


def test_the_adapter_of_a_killed_trainer_leaves_the_server(
    worker: WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(vllm_worker, "ADAPTER_SECONDS", 0.01)
    with packed_bytes(b"adapter") as parcel, offered(parcel, [HERE]) as urls:
        assert worker.fetch_adapter(NAME, "{}", urls[HERE], parcel.sha256, parcel.size).startswith("taken ")
    until = time.monotonic() + 30
    while list(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_adapter_and_a_name_with_a_path_leave_no_folder(
    worker: WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with packed_bytes(b"adapter") as parcel, offered(parcel, [HERE]) as urls:
        assert "damaged" in worker.fetch_adapter(NAME, "{}", urls[HERE], "0" * 64, parcel.size)
        said = worker.fetch_adapter("../" + NAME, "{}", urls[HERE], parcel.sha256, parcel.size)
    assert said == "takes adapters under random names alone"
    assert list(tmp_path.iterdir()) == []


def test_a_server_on_this_machine_needs_no_address() -> None:
    assert address_towards("http://127.0.0.1:8000/v1") is None
    assert address_towards("http://127.0.0.2:8000/v1") is None


@pytest.mark.parametrize("text", ["", ":80", "127.0.0.1:0", "127.0.0.1:x", "me@127.0.0.1", "127.0.0.1/path", "0.0.0.0"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="--sync-address"):
        read_address(text)


def test_a_port_in_use_is_refused_with_what_to_do() -> None:
    with packed_bytes(b"weights") as parcel, offered(parcel, [HERE]) as urls:
        taken = Address("127.0.0.1", int(urls[HERE].split(":")[2].partition("/")[0]))
        match = r"cannot be offered at 127\.0\.0\.1:\d+ .*--sync-address HOST:PORT"
        with pytest.raises(ModelError, match=match), offered(parcel, [taken]):
            pass
