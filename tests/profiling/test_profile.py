"""A stage's profile: what each moment and token counts as, and what the folder keeps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.episode import Generation
from rrr_core.errors import DataError, RrrError
from rrr_core.generation.engine import Engine, Hits, Sampling, TokenEngine
from rrr_core.generation.measured import measured
from rrr_core.profiling.flops import peak_flops, training_flops, utilisation
from rrr_core.profiling.profile import Profile, machine_of, profiled, read_profile
from rrr_core.profiling.spent import KINDS, OTHER, Machine, Spent
from rrr_core.runs.files import read_json
from rrr_core.runs.layout import PROFILE
from rrr_core.runs.stage import holds_nothing
from tests.fakes import ScriptedGenerator

WORK = [kind for kind in KINDS if kind != OTHER]
H100 = Machine(parameters=1_000_000_000, trainable=1_000_000_000, device="NVIDIA H100 80GB HBM3")


class Clock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def profile(clock: Clock) -> Profile:
    return Profile(clock=clock)


def test_a_nested_measurement_counts_once(profile: Profile, clock: Clock) -> None:
    with profile.during("forward_backward"):
        clock.now += 1
        with profile.during("generate"):
            clock.now += 10
            with profile.during("generate"):
                clock.now += 100
        clock.now += 1000
    assert profile.spent().seconds == {"forward_backward": 1001, "generate": 110}


def test_unmeasured_time_is_other(profile: Profile, clock: Clock) -> None:
    clock.now += 1
    with profile.during("judge"):
        clock.now += 10
        with profile.during("other"):
            clock.now += 100
    clock.now += 1000
    spent = profile.spent()
    assert (spent.seconds, spent.other_seconds, spent.wall_seconds) == ({"judge": 10}, 1101, 1111)


@given(st.lists(st.one_of(st.sampled_from([*KINDS, "end"]), st.integers(1, 100)), max_size=60))
def test_kinds_and_other_add_up_to_the_wall_time_however_nested(events: list[str | int]) -> None:
    clock, opened = Clock(), []
    profile = Profile(clock=clock)
    for event in events:
        if isinstance(event, int):
            clock.now += event
        elif event != "end":
            profile.enter(event)
            opened.append(event)
        elif opened:
            profile.leave(opened.pop())
    spent = profile.spent()
    assert sum(spent.seconds.values()) + spent.other_seconds == spent.wall_seconds == clock.now - 100


def test_what_other_processes_did_is_added_and_kinds_still_add_up(profile: Profile, clock: Clock) -> None:
    with profile.during("generate"):
        clock.now += 2.0
    profile.count(written=10)
    profile.add(Spent(wall_seconds=3.0, seconds={"generate": 2.5, "judge": 0.25}, tokens={"written": 7}, verdicts=4))
    assert profile.spent().seconds == {"generate": 2.0}
    whole = Spent.from_json(profile.spent_by_all().to_json())
    assert whole.seconds["generate"] == 4.5
    assert (whole.tokens["written"], whole.verdicts, whole.wall_seconds, whole.elsewhere_seconds) == (17, 4, 2.0, 3.0)
    assert sum(whole.seconds.values()) + whole.other_seconds == whole.process_seconds == 5.0


def test_an_error_ends_what_it_left_open(profile: Profile, clock: Clock) -> None:
    def fail() -> None:
        with profile.during("forward_backward"):
            profile.enter("optimiser")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    clock.now += 5
    assert profile.kind == OTHER
    assert profile.spent().other_seconds == 5


def test_an_unknown_kind_of_work_is_refused(profile: Profile) -> None:
    with pytest.raises(KeyError, match="generating"), profile.during("generating"):
        pass


def test_unfinished_work_is_counted_already(profile: Profile, clock: Clock) -> None:
    with profile.during("generate"):
        clock.now += 3
        assert profile.spent().seconds == {"generate": 3}


class IdEngine(ScriptedGenerator, TokenEngine):
    """Writes two ids per prompt; reports all of a prompt except its last id as cached."""

    prefix_cache_hits = Hits(9, 7)
    network = None
    tokenizer = None
    off_policy = False
    keeps_logprobs = True
    notice = "a made-up engine"

    def generate_ids(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_done: Callable[[int], None] | None = None,
        places: Sequence[int] | None = None,
    ) -> list[list[int]]:
        self.prefix_cache_hits += Hits(sum(map(len, prompts)), sum(len(ids) - 1 for ids in prompts))
        return [[1, 2] for _ in prompts]

    def sync_weights(self, network: Any) -> None:
        self.network = network

    def is_ended(self, ids: Sequence[int]) -> bool:
        return ids[-1] == 2

    def read(self, ids: Sequence[int]) -> Generation:
        return Generation(" ".join(map(str, ids)))

    def logprobs_of(self, prompt: Sequence[int], written: Sequence[int]) -> list[float]:
        return [-0.5] * len(written)


def test_an_engines_ids_are_counted_and_so_are_those_it_had_in_its_cache(profile: Profile) -> None:
    engine = measured(IdEngine(), profile)
    assert engine.generate_ids([[1, 2, 3], [4, 5]], Sampling(), places=[3, 4]) == [[1, 2], [1, 2]]
    spent = profile.spent()
    assert spent.tokens == {"prompt": 5, "cached": 3, "written": 4}
    assert spent.cache_hit_rate() == 3 / 5


def test_a_weight_sync_is_measured_and_reaches_the_engine(profile: Profile) -> None:
    engine = IdEngine()
    measured(engine, profile).sync_weights("the policy")
    assert engine.network == "the policy"
    assert list(profile.spent().seconds) == ["sync"]


@pytest.mark.parametrize(("reports", "written"), [(True, {"written": 10}), (False, {})])
def test_tokens_that_an_engine_does_not_report_are_unknown_and_not_zero(
    profile: Profile, reports: bool, written: dict[str, int]
) -> None:
    engine = measured(ScriptedGenerator(lambda *_: "right", tells_tokens=reports), profile)
    engine.generate([[{"role": "user", "content": str(n)}] for n in range(2)], Sampling())
    spent = profile.spent()
    assert spent.tokens == written
    assert spent.to_json()["tokens"]["prompt"] is None
    assert spent.cache_hit_rate() is None


def test_a_measured_engine_gives_the_same_texts_and_is_otherwise_the_engine(profile: Profile) -> None:
    asked = [[{"role": "user", "content": str(n)}] for n in range(9)]
    plain, done = ScriptedGenerator(), []
    engine = measured(ScriptedGenerator(), profile)
    assert engine.generate(asked, Sampling(seed=3), done.append) == plain.generate(asked, Sampling(seed=3))
    assert done == [1] * 9
    assert (engine.model, engine.describe()) == (plain.model, plain.describe())


@pytest.mark.parametrize("base", [Engine, TokenEngine])
def test_a_measured_engine_leaves_no_capability_to_the_default(profile: Profile, base: type[Engine]) -> None:
    engine = measured(IdEngine() if base is TokenEngine else ScriptedGenerator(), profile)
    kind, own = type(engine), vars(engine)
    capabilities = {name for name in dir(base) if not name.startswith("_")}
    assert {"prefix_caching", "notice", "network"} <= capabilities
    assert [name for name in capabilities - own.keys() if getattr(kind, name) is getattr(base, name)] == []


def test_a_measured_engine_of_ids_answers_as_the_engine_does(profile: Profile) -> None:
    plain = IdEngine()
    engine = measured(plain, profile)
    assert (engine.off_policy, engine.keeps_logprobs, engine.notice) == (False, True, "a made-up engine")
    assert (engine.is_ended([1, 2]), engine.read([1, 2]).text, engine.logprobs_of([], [1, 2])) == (
        True,
        "1 2",
        [-0.5] * 2,
    )
    engine.sync_weights("the policy")
    assert engine.network == "the policy"


def spent_in(folder: Path, clock: Clock, seconds: float) -> Spent:
    """The profile after one more call that generated for `seconds` and made a file."""
    with profiled(folder) as profile:
        profile._clock, profile._began, profile._since = clock, clock(), clock()
        with profile.during("generate"):
            clock.now += seconds
        profile.count(written=50)
        profile.verdicts += 1
        (folder / "shard").write_text("made")
    found = read_profile(folder)
    assert found is not None
    return found


def test_a_resumed_stages_profile_covers_all_its_calls(tmp_path: Path, clock: Clock) -> None:
    spent_in(tmp_path, clock, 2)
    spent = spent_in(tmp_path, clock, 3)
    assert (spent.calls, spent.wall_seconds, spent.verdicts) == (2, 5, 2)
    assert spent.seconds["generate"] == 5
    assert spent.tokens == {"written": 100}
    assert spent.rates()["generate"] == 20


def test_a_call_on_a_finished_stage_does_not_count(tmp_path: Path, clock: Clock) -> None:
    spent_in(tmp_path, clock, 2)
    before = (tmp_path / PROFILE).read_bytes()
    with profiled(tmp_path):
        pass
    assert (tmp_path / PROFILE).read_bytes() == before


def test_a_stage_that_fails_keeps_what_it_spent(tmp_path: Path) -> None:
    (tmp_path / "shard").write_text("made")
    with pytest.raises(ZeroDivisionError), profiled(tmp_path) as profile, profile.during("judge"):
        raise ZeroDivisionError
    assert read_json(tmp_path / PROFILE)["calls"] == 1


def test_a_call_that_made_nothing_leaves_no_profile(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), profiled(tmp_path) as profile, profile.during("generate"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_for_the_first_file_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, value: Any) -> None:
        raise RrrError(f"{path.name} cannot be written")

    (tmp_path / "shard").write_text("made")
    monkeypatch.setattr("rrr_core.runs.files.write_json", refuse)
    reported = pytest.raises(RrrError, match="shard cannot be written")
    with reported, profiled(tmp_path) as profile, profile.during("save"):
        refuse(tmp_path / "shard", {})


def test_a_profile_alone_does_not_bind_a_folder_to_its_run(tmp_path: Path) -> None:
    (tmp_path / PROFILE).write_text("{}")
    assert holds_nothing(tmp_path)


def test_an_invalid_profile_is_refused_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / PROFILE).write_text('{"calls": 1}')
    with pytest.raises(DataError, match=r"profile.json:1: not a profile"):
        read_profile(tmp_path)


def test_a_profile_is_read_as_it_was_written() -> None:
    seconds = dict(zip(WORK, itertools.count(1.0), strict=False))
    tokens = {"prompt": 10, "cached": 4, "written": 5, "trained": 6, "scored": 7}
    spent = Spent(2, 100.0, seconds, tokens, 9, H100)
    assert Spent.from_json(spent.to_json()) == spent
    assert Spent.from_json(spent.to_json()).to_json() == spent.to_json()


def test_a_stage_resumed_on_another_device_has_no_utilisation(tmp_path: Path) -> None:
    work = {"seconds": {"forward_backward": 1.0}, "tokens": {"trained": 1000}}
    here, there = (Spent(1, 1.0, machine=machine, **work) for machine in (H100, Machine(1, 1, "NVIDIA L4")))
    assert here.plus(here).utilisation()["train"] is not None
    assert here.plus(there).utilisation()["train"] is None


def test_training_a_billion_parameters_at_its_peak_is_a_utilisation_of_one() -> None:
    tokens = 989_000  # 6 × 1e9 × 989,000 operations take an H100 six seconds at 989e12 a second
    spent = Spent(1, 9.0, {"forward_backward": 6.0}, {"trained": tokens}, 0, H100)
    assert spent.utilisation() == {"generate": None, "train": pytest.approx(1.0)}


def test_a_prompt_from_the_cache_is_no_work_of_generating() -> None:
    tokens = {"prompt": 90, "cached": 80, "written": 10}
    spent = Spent(1, 1.0, {"generate": 1.0}, tokens, 0, H100)
    assert spent.utilisation()["generate"] == pytest.approx(2e9 * 20 / 989e12)


def test_frozen_weights_cost_no_gradient_of_their_own() -> None:
    assert training_flops(100, 100, trained=1, scored=0) == 600
    assert training_flops(100, 0, trained=1, scored=0) == 400
    assert training_flops(100, 100, trained=0, scored=1) == 200


@pytest.mark.train
def test_a_networks_size_is_counted_and_its_device_named(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="a network is torch's")
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2, bias=False))
    network[1].requires_grad_(False)
    network.device = torch.device("cpu")
    assert machine_of(network) == Machine(parameters=24, trainable=16, device="cpu")
    network.device = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"NVIDIA H200 number {device.index}")
    assert machine_of(network) == Machine(24, 16, "NVIDIA H200 number 0")
    assert machine_of(None) is None


@pytest.mark.parametrize(
    ("device", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100-PCIE-40GB", 312),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA H200", 989),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA B200", 2250),
    ],
)
def test_a_devices_peak_is_found_by_its_name(device: str, teraflops: float) -> None:
    assert peak_flops(device) == teraflops * 1e12


@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        "mps",
        "Tesla T4",
        "NVIDIA H100 80GB HBM3 MIG 1g.10gb",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
    ],
)
def test_a_device_with_an_unknown_peak_has_no_utilisation(device: str) -> None:
    assert peak_flops(device) is None
    assert utilisation(1.0, 1.0, peak_flops(device)) is None
