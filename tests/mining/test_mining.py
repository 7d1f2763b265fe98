"""Mining: which tries are sampled, counted and kept."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rrr_core.errors import DataError, RrrError, TooManyAbstentions
from rrr_core.hookspecs import Message
from rrr_core.mining import MineSettings, mine, rounds
from rrr_core.mining.failure_set import read_failures
from rrr_core.mining.rounds import tries_in_round
from rrr_core.runs.files import read_json, read_lines, write_lines
from rrr_core.seeds import mining_seed
from tests.fakes import KeptProgress, Script, ScriptedGenerator, names, numbers_task
from tests.format_0_1 import mined_row_as_0_1

SMALL = MineSettings(rows=20, tries=8, shard_rows=6, seed=3)


def numbered(answers: dict[int, Sequence[str]], default: str = "right") -> Script:
    """A script that answers row n with its answers in turn, then with `default`."""
    left = {number: list(texts) for number, texts in answers.items()}

    def script(conversation: Sequence[Message], chance: random.Random) -> str:
        number = int(conversation[-1]["content"].split()[-1].rstrip("."))
        return left[number].pop(0) if left.get(number) else default

    return script


def records_of(folder: Path) -> dict[int, dict]:
    return {record["row_index"]: record for path in sorted(folder.glob("shard-*")) for record in read_lines(path)}


def counted(record: dict) -> dict:
    """A mined row without the counts that include discarded tries."""
    return {key: value for key, value in record.items() if not key.startswith("sampled")}


def test_a_row_stops_at_its_first_failing_try(tmp_path: Path) -> None:
    script = numbered({0: ["wrong a", "wrong b"], 1: ["right", "right", "wrong c"], 2: []})
    summary = mine(numbers_task(3), ScriptedGenerator(script), tmp_path, MineSettings(rows=3, tries=5), {})
    records = records_of(tmp_path)
    assert [records[n]["tries"] for n in range(3)] == [1, 3, 5]
    assert [records[n]["passes"] for n in range(3)] == [0, 2, 5]
    assert [failure.attempt for failure in read_failures(tmp_path)] == ["wrong a", "wrong c"]
    assert (summary.rows, summary.failures, summary.tries, summary.passes) == (3, 2, 9, 7)


def test_a_failure_holds_everything_training_needs(tmp_path: Path) -> None:
    mine(numbers_task(2), ScriptedGenerator(numbered({1: ["right", "wrong"]})), tmp_path, MineSettings(rows=2), {})
    (failure,) = read_failures(tmp_path)
    assert failure.failure_id == "1-1"
    assert (failure.row_index, failure.try_index, failure.attempt) == (1, 1, "wrong")
    assert failure.row == {"number": 1}
    assert failure.prompt == ({"role": "user", "content": "Say number 1."},)
    assert (failure.verdict.outcome, failure.verdict.category) == ("failed", "wrong number")


def test_several_failures_of_a_row_are_distinct_texts_and_a_repeated_text_is_only_a_try(tmp_path: Path) -> None:
    script = numbered({0: ["wrong a", "wrong a", "right", "wrong b", "wrong c"]})
    settings = MineSettings(rows=1, tries=9, failures_per_row=2)
    mine(numbers_task(1), ScriptedGenerator(script), tmp_path, settings, {})
    assert [(failure.failure_id, failure.attempt) for failure in read_failures(tmp_path)] == [
        ("0-0", "wrong a"),
        ("0-3", "wrong b"),
    ]
    assert records_of(tmp_path)[0]["tries"] == 4
    assert records_of(tmp_path)[0]["passes"] == 1


def test_a_row_whose_verifier_abstains_is_set_aside_and_is_not_a_failure(tmp_path: Path) -> None:
    script = numbered({0: ["crash", "wrong"], 1: ["wrong"]})
    settings = MineSettings(rows=2, max_abstain=0.5)
    summary = mine(numbers_task(2), ScriptedGenerator(script), tmp_path, settings, {})
    (abstention,) = records_of(tmp_path)[0]["withheld"]
    assert abstention["category"] == "exception"
    assert "rrr-numbers 1.0, hook rrr_verify" in abstention["detail"]
    assert [failure.row_index for failure in read_failures(tmp_path)] == [1]
    assert (summary.abstained_rows, summary.abstentions, summary.failed_rows) == (1, 1, 1)


def test_a_failure_found_before_the_verifier_broke_is_kept(tmp_path: Path) -> None:
    script = numbered({0: ["wrong", "crash", "wrong again"]})
    settings = MineSettings(rows=1, failures_per_row=2, max_abstain=1.0)
    mine(numbers_task(1), ScriptedGenerator(script), tmp_path, settings, {})
    assert [failure.attempt for failure in read_failures(tmp_path)] == ["wrong"]
    assert records_of(tmp_path)[0]["tries"] == 2


def test_rates_leave_abstentions_out_and_the_first_tries_rate_is_the_models_accuracy(tmp_path: Path) -> None:
    script = numbered({0: ["wrong"], 1: ["crash"], 2: ["right", "wrong"], 3: []})
    settings = MineSettings(rows=4, tries=4, max_abstain=1.0)
    summary = mine(numbers_task(4), ScriptedGenerator(script), tmp_path, settings, {})
    assert summary.pass_rate == 5 / 7
    assert summary.first_try_pass_rate == 2 / 3
    assert "first try right in 66.7%" in summary.describe()
    assert "1 row set aside" in summary.describe()


def test_the_summary_counts_the_tokens_of_tries_that_count(tmp_path: Path) -> None:
    script = numbered({0: ["wrong"], 1: ["right", "wrong!"]})
    summary = mine(numbers_task(2), ScriptedGenerator(script), tmp_path, MineSettings(rows=2), {})
    assert summary.tokens == len("wrong") + len("right") + len("wrong!")
    assert read_json(tmp_path / "summary.json")["tokens"] == summary.tokens


def test_tries_after_the_failing_one_are_thrown_away_and_their_cost_is_reported(tmp_path: Path) -> None:
    """The rounds have 1, 1, 2 and 4 tries; the fifth try fails, so three of the last round are thrown away."""
    script = numbered({0: ["right"] * 4 + ["wrong", "wrong 2", "crash", "right"]})
    settings = MineSettings(rows=1, max_abstain=1.0)
    summary = mine(numbers_task(1), ScriptedGenerator(script), tmp_path, settings, {})
    assert [failure.attempt for failure in read_failures(tmp_path)] == ["wrong"]
    assert (summary.tries, summary.abstentions, summary.sampled) == (5, 0, 8)
    assert "5 tries, 3 more thrown away, first try" in summary.describe()
    assert summary.tokens == 4 * len("right") + len("wrong")
    assert summary.sampled_tokens == summary.tokens + len("wrong 2") + len("crash") + len("right")
    assert read_json(tmp_path / "summary.json")["sampled_tokens"] == summary.sampled_tokens


def test_what_an_older_version_sampled_is_unknown(tmp_path: Path) -> None:
    mine(numbers_task(4), ScriptedGenerator(), tmp_path, MineSettings(rows=4, shard_rows=2), {})
    shard = tmp_path / "shard-00000.jsonl"
    write_lines(shard, [counted(record) for record in list(read_lines(shard))])
    for new in ("SHA256SUMS", "summary.json"):
        (tmp_path / new).unlink()
    summary = mine(numbers_task(4), ScriptedGenerator(), tmp_path, MineSettings(rows=4, shard_rows=2), {})
    assert (summary.sampled, summary.sampled_tokens) == (None, None)
    assert summary.tokens is not None


def test_tokens_are_unknown_if_the_engine_reports_none(tmp_path: Path) -> None:
    engine = ScriptedGenerator(tells_tokens=False)
    summary = mine(numbers_task(2), engine, tmp_path, MineSettings(rows=2), {})
    assert summary.tokens is summary.sampled_tokens is None


def test_each_round_of_each_shard_has_its_own_seed_derived_from_seed_shard_and_round(tmp_path: Path) -> None:
    engine = ScriptedGenerator(numbered({}))
    mine(numbers_task(4), engine, tmp_path, MineSettings(rows=4, tries=8, shard_rows=2, seed=5), {})
    seeds = [sampling.seed for _, sampling in engine.calls]
    assert seeds == [mining_seed(5, shard, round_index) for shard in range(2) for round_index in range(4)]
    assert len(set(seeds)) == 8


@given(st.integers(), st.integers(0), st.integers(0))
def test_every_engine_accepts_the_seeds(seed: int, shard: int, round_index: int) -> None:
    assert 0 <= mining_seed(seed, shard, round_index) < 2**31


def test_seeds_do_not_change_between_versions() -> None:
    assert mining_seed(0, 0, 0) == 1274094810


def test_the_settings_reach_the_sampling(tmp_path: Path) -> None:
    engine = ScriptedGenerator()
    settings = MineSettings(rows=1, tries=1, temperature=0.7, top_p=0.8, max_tokens=9)
    mine(numbers_task(1), engine, tmp_path, settings, {})
    ((_, sampling),) = engine.calls
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.7, 0.8, 9)


def test_greedy_mining_allows_one_try_since_more_would_be_the_same(tmp_path: Path) -> None:
    with pytest.raises(RrrError, match="--tries 1"):
        mine(numbers_task(1), ScriptedGenerator(), tmp_path / "none", MineSettings(rows=1, temperature=0.0), {})
    assert names(tmp_path) == []
    settings = MineSettings(rows=1, temperature=0.0, tries=1)
    assert mine(numbers_task(1), ScriptedGenerator(), tmp_path, settings, {}).tries == 1


def test_while_rows_fill_a_batch_no_row_gets_a_try_that_could_be_thrown_away(tmp_path: Path) -> None:
    engine = ScriptedGenerator(numbered({}))
    mine(numbers_task(40), engine, tmp_path, MineSettings(rows=40, tries=5), {})
    assert [len(conversations) for conversations, _ in engine.calls] == [40] * 5


def test_a_few_rows_that_always_pass_get_growing_rounds(tmp_path: Path) -> None:
    engine = ScriptedGenerator(numbered({}))
    summary = mine(numbers_task(1), engine, tmp_path, MineSettings(rows=1, tries=64), {})
    assert [len(conversations) for conversations, _ in engine.calls] == [1, 1, 2, 4, 8, 16, 32]
    assert summary.tries == summary.passes == 64


@given(st.integers(1, 300), st.integers(0, 100), st.integers(1, 100))
def test_a_round_never_asks_for_more_tries_than_are_left_nor_for_none(
    open_rows: int, tries_so_far: int, left: int
) -> None:
    tries = tries_in_round(open_rows, tries_so_far, tries_so_far + left)
    assert 1 <= tries <= left
    assert tries == 1 or tries * open_rows <= rounds.FULL_BATCH
    assert tries <= max(1, tries_so_far)


@pytest.mark.parametrize("failures_per_row", [1, 3])
def test_growing_rounds_count_the_same_as_single_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures_per_row: int
) -> None:
    """A row gets the same answers in the same order whatever the rounds, so the counts must be the same."""
    chance = random.Random(1)
    answers = {n: [chance.choice(["right", "right", "wrong a", "wrong b"]) for _ in range(40)] for n in range(9)}
    settings = MineSettings(rows=9, tries=40, failures_per_row=failures_per_row)
    mine(numbers_task(9), ScriptedGenerator(numbered(answers)), tmp_path / "growing", settings, {})
    monkeypatch.setattr(rounds, "FULL_BATCH", 1)
    mine(numbers_task(9), ScriptedGenerator(numbered(answers)), tmp_path / "single", settings, {})
    growing, single = records_of(tmp_path / "growing"), records_of(tmp_path / "single")
    assert [counted(growing[n]) for n in range(9)] == [counted(single[n]) for n in range(9)]
    assert all(single[n]["sampled"] == single[n]["tries"] for n in range(9))


def test_asking_for_more_rows_than_there_are_is_reported_and_not_an_error(tmp_path: Path) -> None:
    progress = KeptProgress()
    settings = MineSettings(rows=1000, tries=2, shard_rows=4)
    summary = mine(numbers_task(10), ScriptedGenerator(), tmp_path, settings, {}, progress)
    assert summary.rows == 10
    assert progress.lines == ["The train split has 10 rows, fewer than the 1000 asked for: all mined."]


def test_an_empty_split_is_an_error_that_says_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows: check the `--data`"):
        mine(numbers_task(0), ScriptedGenerator(), tmp_path, SMALL, {})


def test_rows_are_loaded_lazily(tmp_path: Path) -> None:
    task = numbers_task(10**12)
    summary = mine(task, ScriptedGenerator(), tmp_path, MineSettings(rows=8, tries=1, shard_rows=3), {})
    assert summary.rows == 8
    shards = [f"shard-0000{n}.jsonl" for n in range(3)]
    assert names(tmp_path) == [".lock", "SHA256SUMS", "manifest.json", "profile.json", *shards, "summary.json"]


def test_data_options_reach_the_plugin(tmp_path: Path) -> None:
    mine(numbers_task(1), ScriptedGenerator(lambda *_: "wrong"), tmp_path, MineSettings(rows=1), {"first": "7"})
    assert read_failures(tmp_path)[0].row == {"number": 7}


def test_the_bar_ends_full_and_its_note_shows_failures_and_pass_rate(tmp_path: Path) -> None:
    progress = KeptProgress()
    script = numbered({n: ["wrong"] for n in range(5)})
    mine(numbers_task(20), ScriptedGenerator(script), tmp_path, SMALL, {}, progress)
    assert progress.done == progress.total == 20
    assert "5 failures, pass rate 17%, try 2: 1 of 1 answers" in progress.notes
    assert progress.notes[-1] == "5 failures, pass rate 75%"


def test_the_manifest_records_everything_that_determines_the_failure_set(tmp_path: Path) -> None:
    mine(numbers_task(20), ScriptedGenerator(), tmp_path, SMALL, {"first": "1"})
    identity = read_json(tmp_path / "manifest.json")["identity"]
    assert identity["task"]["distribution"] == "rrr-numbers"
    assert identity["model"] == {"model": "scripted", "backend": "scripted"}
    assert identity["data"] == {"first": "1"}
    assert identity["settings"]["seed"] == 3
    assert "versions" in read_json(tmp_path / "manifest.json")["about"]


@pytest.mark.parametrize(
    ("settings", "name", "data"),
    [
        (MineSettings(rows=20, tries=8, shard_rows=6, seed=4), "scripted", {}),
        (SMALL, "another", {}),
        (SMALL, "scripted", {"first": "1"}),
    ],
    ids=["seed", "model", "data"],
)
def test_a_folder_of_another_failure_set_is_refused(
    tmp_path: Path, settings: MineSettings, name: str, data: dict[str, str]
) -> None:
    mine(numbers_task(20), ScriptedGenerator(), tmp_path, SMALL, {})
    with pytest.raises(RrrError, match="was started with .* use another folder"):
        mine(numbers_task(20), ScriptedGenerator(name=name), tmp_path, settings, data)


def test_too_many_abstentions_stop_the_run_and_finished_shards_are_kept(tmp_path: Path) -> None:
    script = numbered({n: ["crash"] for n in range(60, 200)})
    settings = MineSettings(rows=200, tries=1, shard_rows=50)
    with pytest.raises(TooManyAbstentions, match=r"rrr-numbers 1\.0"):
        mine(numbers_task(200), ScriptedGenerator(script), tmp_path, settings, {})
    assert names(tmp_path) == [".lock", "SHA256SUMS", "manifest.json", "profile.json", "shard-00000.jsonl"]


def test_the_limit_on_abstentions_spans_resumed_calls_and_may_be_raised(tmp_path: Path) -> None:
    task, script = numbers_task(20), numbered({0: ["crash"]})
    settings = MineSettings(rows=20, tries=1)
    for _ in range(2):
        with pytest.raises(TooManyAbstentions, match="1 of 20 verdicts"):
            mine(task, ScriptedGenerator(script), tmp_path, settings, {})
    raised = MineSettings(rows=20, tries=1, max_abstain=0.05)
    engine = ScriptedGenerator()
    assert mine(task, engine, tmp_path, raised, {}).abstained_rows == 1
    assert engine.calls == []


def test_hostile_text_comes_back_as_the_model_wrote_it(tmp_path: Path) -> None:
    hostile = "wrong \u2028\r\n\x00\ud800 </script> \x1b[2J"
    mine(numbers_task(1), ScriptedGenerator(lambda *_: hostile), tmp_path, MineSettings(rows=1), {})
    assert read_failures(tmp_path)[0].attempt == hostile


def test_a_row_line_can_be_read_without_rrr(tmp_path: Path) -> None:
    mine(numbers_task(1), ScriptedGenerator(lambda *_: "wrong"), tmp_path, MineSettings(rows=1), {})
    (line,) = (tmp_path / "shard-00000.jsonl").read_text().splitlines()
    counts = {"row_index", "tries", "passes", "abstentions", "tokens", "sampled", "sampled_tokens"}
    assert set(json.loads(line)) == {*counts, "withheld", "failures"}


def test_a_failure_keeps_the_tools_of_its_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = {"role": "tools", "content": '[{"type": "function", "function": {"name": "add", "parameters": {}}}]'}
    asked = {"role": "user", "content": "Say number 0."}
    task, engine = numbers_task(1), ScriptedGenerator(numbered({0: ["wrong"]}))
    monkeypatch.setattr(task, "prompt", lambda row, model: (tools, asked))
    mine(task, engine, tmp_path, MineSettings(rows=1), {})
    (failure,) = read_failures(tmp_path)
    assert failure.prompt == (tools, asked)
    assert engine.calls[0][0] == [[tools, asked]]


def test_an_engine_keeps_its_prefix_cache_for_one_shard(tmp_path: Path) -> None:
    class Caching(ScriptedGenerator):
        events: list[str] = []

        @contextmanager
        def prefix_caching(self):
            self.events.append("begin")
            yield
            self.events.append("end")

        def generate(self, *arguments):
            self.events.append("round")
            return super().generate(*arguments)

    mine(numbers_task(2), Caching(numbered({})), tmp_path, MineSettings(rows=2, tries=2, shard_rows=1), {})
    assert Caching.events == ["begin", "round", "round", "end"] * 2


def test_the_failure_set_is_the_same_as_in_earlier_versions(tmp_path: Path) -> None:
    """The hash was made when rounds copied every record; rounds grow here, so some tries are thrown away."""

    def seldom_wrong(conversation: Sequence[Message], chance: random.Random) -> str:
        return "right" if chance.random() < 0.9 else f"wrong {chance.randrange(20)}"

    settings = MineSettings(rows=60, tries=40, shard_rows=25, seed=3, failures_per_row=2)
    mine(numbers_task(60), ScriptedGenerator(seldom_wrong), tmp_path, settings, {})
    made = [json.dumps(mined_row_as_0_1(counted(record))) for record in records_of(tmp_path).values()]
    assert hashlib.sha256("".join(made).encode()).hexdigest()[:16] == "19bb024bb70a04b1"


class Thinker(ScriptedGenerator):
    """Thinks; is cut off in its thought, or answers."""

    thinks = True

    def generate(self, conversations, sampling, on_done=None):
        made = super().generate(conversations, sampling, on_done)
        return [
            replace(each, thought="hm")
            if each.text == "right"
            else replace(each, text="", thought="right", is_thinking=True, finish="length")
            for each in made
        ]


def test_an_unfinished_thought_is_a_failed_try_that_no_verifier_judges(tmp_path: Path) -> None:
    engine = Thinker()
    mine(numbers_task(12), engine, tmp_path, MineSettings(rows=12, tries=1), {})
    failures = read_failures(tmp_path)
    assert {(each.verdict.category, each.attempt) for each in failures} == {("cut off", "")}
    assert {each.episode.attempt.thought for each in failures} == {"right"}
    assert {sampling.max_tokens for _, sampling in engine.calls} == {4096}


def test_a_limit_that_the_user_set_holds_for_a_model_that_thinks(tmp_path: Path) -> None:
    engine = Thinker()
    mine(numbers_task(2), engine, tmp_path, MineSettings(rows=2, tries=1, max_tokens=512), {})
    assert {sampling.max_tokens for _, sampling in engine.calls} == {512}


def test_the_share_of_tries_that_met_the_token_limit_is_counted_and_said_where_it_passes_a_twentieth(
    tmp_path: Path,
) -> None:
    summary = mine(numbers_task(12), Thinker(), tmp_path, MineSettings(rows=12, tries=1), {})
    assert 0 < summary.cut_off == summary.failures < 12
    assert f"{summary.cut_off / 12:.0%} of the tries cut off by --max-tokens" in summary.describe()
    assert read_json(tmp_path / "summary.json")["cut_off"] == summary.cut_off
    assert "cut off" not in replace(summary, cut_off=0).describe()
