"""`rrr new --from-reward`: the package around a reward function works at once, and what cannot work is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rrr_core import cli
from rrr_core.errors import RrrError
from rrr_core.rewards import scorer
from rrr_core.scaffolding import Answers, reward_package
from rrr_core.scaffolding.reward_rows import FORMS, read_data, tried
from rrr_core.scaffolding.reward_source import read_source
from tests.scaffolding.conftest import Package

pytest.importorskip("copier", reason="copier is in the dependency group `test`")
import yaml

REWARDS = """
import re
import json   # unused, and not sorted: a file of the user's own is left as it is

def accuracy(prompts, completions, answer, **kwargs):
    texts = [completion[0]["content"] for completion in completions]
    found = [re.findall(r"<answer>([0-9]+)</answer>", text) for text in texts]
    return [float(each == [gold]) for each, gold in zip(found, answer)]
"""
ROWS = [
    {"prompt": [{"role": "user", "content": f"{number} + 1? In <answer> tags."}], "answer": str(number + 1)}
    for number in range(30)
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a file of rewards and one of rows, as a user of TRL has them."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", list(sys.path))
    (folder / "rewards.py").write_text(REWARDS)
    write_rows(folder / "rows.jsonl", ROWS)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write_rows(path: Path, rows) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def new(*arguments: str) -> int:
    return cli.run_command(["new", "paid", "--author", "Ada", "--yes", *arguments])


def refusal(capsys, *arguments: str) -> str:
    assert new(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert not Path("rrr-paid").exists()
    return captured.err


def test_the_package_passes_its_checks_and_ruff_untouched(here, capsys) -> None:
    assert new("--from-reward", "rewards:accuracy", "--data", "rows.jsonl") == 0
    said = capsys.readouterr().out
    assert "Answers that pass: the column 'answer', in answer tags; 27 of 27 rows tried.\n" in said
    assert "Rows: 27 train, 3 test.\n" in said
    made = Package(Answers("paid", "Ask.", "Ada"), here / "rrr-paid", here / "site")
    for arguments in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = made.run("-m", "ruff", *arguments)
        assert done.returncode == 0, done.stdout
    built = replace(made, site=here).run("-m", "hatchling", "build", "--target", "wheel", "--directory", str(here))
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(here.glob("*.whl"))) as archive:
        archive.extractall(made.site)
    done = made.run("-c", "from rrr_core.cli import main; main()", "check", "paid")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (made.site / "rrr_paid" / "reward.py").read_text() == REWARDS


def test_a_function_of_a_distribution_becomes_a_dependency_and_a_slow_one_waits_for_the_first_verdict(
    here, monkeypatch
) -> None:
    site = here.parent / "site-packages"
    info = site / "paid_rewards-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paid-rewards\nVersion: 1.2\n")
    (info / "top_level.txt").write_text("paid_rewards\n")
    (info / "RECORD").write_text("paid_rewards.py,,\n")
    slow = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass\n"
    (site / "paid_rewards.py").write_text(slow + REWARDS)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    assert new("--from-reward", "paid_rewards:accuracy", "--data", "rows.jsonl", "--threshold", "0.5") == 0
    project = tomllib.loads(Path("rrr-paid/pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["rrr-core>=0.1,<0.2", "paid-rewards>=1.2"]
    module = Path("rrr-paid/src/rrr_paid")
    assert 'from_reward("paid_rewards:accuracy", threshold=0.5, shape="trl")' in (module / "__init__.py").read_text()
    assert not (module / "reward.py").exists()
    monkeypatch.syspath_prepend(str(module.parent.resolve()))
    light = "import sys, rrr_paid; sys.exit('paid_rewards' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{module.parent.resolve()}{os.pathsep}{os.environ['PYTHONPATH']}"}
    assert subprocess.run([sys.executable, "-c", light], env=environment, check=False).returncode == 0


def test_the_answers_of_the_package_are_kept_for_a_later_template(here) -> None:
    assert new("--from-reward", "rewards:accuracy", "--data", "rows.jsonl", "--threshold", "0.5") == 0
    kept = yaml.safe_load(Path("rrr-paid/.copier-answers.yml").read_text())
    wanted = {"reward": "rrr_paid.reward:accuracy", "shape": "trl", "threshold": 0.5, "columns": ["answer"]}
    assert {name: kept[name] for name in wanted} == wanted


def test_what_a_file_imports_becomes_a_dependency(here) -> None:
    (here / "rewards.py").write_text("import click\nimport json\nimport not_there_at_all_x\n" + REWARDS.lstrip())
    (here / "not_there_at_all_x.py").write_text("")
    with pytest.raises(RrrError, match="imports not_there_at_all_x, which no installed distribution has: put both"):
        read_source("rewards:accuracy")
    (here / "rewards.py").write_text("import click\n" + REWARDS)
    del sys.modules["rewards"]
    (requirement,) = read_source("rewards:accuracy").requires
    assert requirement.startswith("click>=")


REFUSED = {
    "no module": ("reward:accuracy", "there is no module 'reward': install it, or run this in the folder of reward.py"),
    "no function": ("rewards:acuracy", "rewards has no function 'acuracy'. Did you mean 'accuracy'?"),
    "a path": ("rewards.py", "write module:function, such as rewards:accuracy"),
    "a file": ("./rewards.py:accuracy", "write rewards:accuracy, the module's name, in the folder of rewards.py"),
    "no shape": ("odd:plain", "plain(text) fits no shape: give one of trl (completions, **columns), "),
    "what cannot be given": ("odd:ids", "ids takes completion_ids, token ids, which a verdict does not know"),
    "a file that raises": ("broken:f", "broken cannot be imported: ZeroDivisionError at broken.py:1: division by zero"),
    "a part of a package": ("inner.rewards:accuracy", "is part of a package that no installed distribution has"),
    "one that always raises": (
        "odd:raises",
        "on the rows of rows.jsonl, it raised KeyError at odd.py:3: 'gold'.",
    ),
    "a column that no row has": (
        "odd:lacks",
        "lacks takes 'target', and the rows of rows.jsonl have 'prompt', 'answer': add the column 'target', or give",
    ),
    "an argument that its shape has not": (
        "odd:extra",
        "rubric (completion, answer, **kwargs) has no such argument, so give it a default",
    ),
    "one that returns nothing": (
        "odd:nothing",
        "on the rows of rows.jsonl, nothing returned None; a list of one number for each completion is expected.",
    ),
    "one that never applies": ("odd:never", "it gave None, which is no reward, for every answer tried on the rows of"),
    "one of texts on messages": (
        "odd:texts",
        "'strip'. Completions are lists of messages here; where the column 'prompt' is a text, they are, too.",
    ),
}


@pytest.mark.parametrize(("target", "message"), REFUSED.values(), ids=REFUSED)
def test_a_function_that_cannot_judge_is_refused_in_a_line(here, capsys, target, message) -> None:
    (here / "odd.py").write_text(
        "def plain(text): return 1.0\ndef ids(completions, completion_ids): return [1.0]\n"
        "def raises(completions, **columns): return [columns['gold']]\n"
        "def lacks(completions, target, **columns): return [1.0]\n"
        "def extra(completion, target): return 1.0\n"
        "def nothing(completions): pass\n"
        "def never(completions): return [None]\n"
        "def texts(completions): return [float(each.strip() == '5') for each in completions]\n"
    )
    (here / "broken.py").write_text("1 / 0\n")
    (here / "inner").mkdir()
    (here / "inner" / "__init__.py").write_text("")
    (here / "inner" / "rewards.py").write_text(REWARDS)
    assert message in refusal(capsys, "--from-reward", target, "--data", "rows.jsonl")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "rows.jsonl"], "--data is for --from-reward MODULE:FUNCTION: give both, or neither"),
        (["--from-reward", "rewards:accuracy"], "--from-reward needs its rows: --data FILE"),
        (["--from-reward", "rewards:accuracy", "--data", "rows.jsonl", "--steps"], "takes no --steps"),
        (["--from-reward", "rewards:accuracy", "--data", "rows.jsonl", "--answer", "text"], "takes no --answer"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(here, capsys, arguments, message) -> None:
    assert message in refusal(capsys, *arguments)


def test_a_row_without_a_column_that_the_function_takes_is_named_by_its_line(here, capsys) -> None:
    write_rows(here / "rows.jsonl", [*ROWS[:3], {"prompt": "5 + 5?"}, *ROWS[4:]])
    said = refusal(capsys, "--from-reward", "rewards:accuracy", "--data", "rows.jsonl")
    assert said == "rrr: rows.jsonl, line 4: no 'answer', which accuracy takes.\n"


def test_a_function_of_messages_hears_that_prompts_of_text_make_texts(here, capsys) -> None:
    write_rows(here / "rows.jsonl", [{"prompt": f"{number}?", "answer": str(number)} for number in range(5)])
    said = refusal(capsys, "--from-reward", "rewards:accuracy", "--data", "rows.jsonl")
    assert "it raised TypeError at rewards.py:6: string indices must be integers" in said
    assert (
        "Completions are texts here, as the prompts are; where 'prompt' is a list of messages, they are, too." in said
    )


def test_a_function_is_called_where_the_rows_have_no_column_to_try(here, capsys) -> None:
    write_rows(here / "rows.jsonl", [{"prompt": row["prompt"]} for row in ROWS])
    (here / "alone.py").write_text("def nothing(completions): pass\n")
    assert "nothing returned None;" in refusal(capsys, "--from-reward", "alone:nothing", "--data", "rows.jsonl")


def test_equal_prompts_are_on_one_side_of_the_split(here) -> None:
    train, test = read_data(write_rows(here / "twice.jsonl", [*ROWS, *ROWS]))
    prompts = [{json.dumps(row["prompt"]) for row in rows} for rows in (train, test)]
    assert not prompts[0] & prompts[1]
    assert (len(train), len(test)) == (54, 6)


def test_a_folder_keeps_its_own_splits(here) -> None:
    write_rows(here / "data" / "train.jsonl", ROWS[:20])
    write_rows(here / "data" / "test.jsonl", ROWS[20:])
    assert [len(rows) for rows in read_data(here / "data")] == [20, 10]


BAD_ROWS = {
    "no prompt": ([{"answer": "5"}], "line 1: it has no prompt or question"),
    "a prompt that ends with the assistant": (
        [{"prompt": [{"role": "assistant", "content": "5"}]}],
        "line 1: its last message is the assistant's, not the user's",
    ),
    "messages with pictures": (
        [{"prompt": [{"role": "user", "content": []}]}],
        "neither a text nor a list of messages",
    ),
    "one prompt": ([{"prompt": "2 + 3?"}] * 3, "1 different prompts, and a train and a test split need one each"),
}


@pytest.mark.parametrize(("rows", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_data_without_prompts_to_ask_are_refused(here, rows, message) -> None:
    with pytest.raises(RrrError, match=message):
        read_data(write_rows(here / "bad.jsonl", rows))


@pytest.mark.parametrize("form", FORMS)
def test_a_right_answer_is_found_in_whatever_form_the_function_wants(form) -> None:
    before, after = FORMS[form]
    rows = [{"prompt": f"{number}?", "hint": "x", "answer": f"so\n#### {number}"} for number in range(5)]

    def reward(completions, answer):
        return [float(completions[0] == before + answer[0].rpartition("#### ")[2] + after)]

    trial = tried(scorer(reward), 1.0, rows)
    assert (trial.passed, trial.tried) == (5, 5)
    row = rows[3]
    assert eval(trial.form.code) == trial.form.answer(row) == before + "3" + after


def test_without_an_answer_that_passes_the_highest_reward_is_reported(here) -> None:
    (here / "half.py").write_text("def half(completions): return [0.5]\n")
    package = reward_package("half:half", Path("rows.jsonl"))
    assert package.trial.form is None
    (line,) = [line for line in package.said() if line.startswith("No column")]
    assert "The highest reward of what was tried is 0.5: 'answer' (str), written as text. Add one" in line
    outcomes = [json.loads(each)["outcome"] for each in package.files()["examples.jsonl"].splitlines()]
    assert outcomes == ["failed", "failed"]


def test_a_row_that_no_answer_fits_leaves_out_the_gold_answers(here) -> None:
    package = reward_package("rewards:accuracy", write_rows(here / "some.jsonl", [dict(row, level=1) for row in ROWS]))
    assert package.answers(Answers("paid", "Ask.", "Ada")).gold == '"<answer>" + str(row["answer"]) + "</answer>"'
    package.trial.passed -= 1
    assert package.answers(Answers("paid", "Ask.", "Ada")).gold == ""
    assert package.answers(Answers("paid", "Ask.", "Ada")).columns == ("answer", "level")
