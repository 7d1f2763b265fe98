"""`docs/overlays.md` is true: its tables match the overlays' options, and its overlay does what the page says."""

import re
import tomllib
from importlib.metadata import entry_points

import pytest

from rrr_core import overlays
from rrr_core.config.settings import settings_of
from rrr_core.overlays.agreement import AgreementOptions
from rrr_core.overlays.model_judge import ModelJudgeOptions
from rrr_core.overlays.noisy import NoisyOptions, with_noise
from rrr_core.tasks import load_task
from rrr_core.verdicts import failed, passed
from rrr_core.verification import Judge
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "overlays.md"
SECTIONS = dict(re.findall(r"^## (\S[^\n]*)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL))
OPTIONS = {
    "noisy": NoisyOptions,
    "agreement": AgreementOptions,
    "model-judge": ModelJudgeOptions,
}


def default(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "–" if value is None else str(value)


@pytest.mark.parametrize("overlay", OPTIONS)
def test_the_table_of_an_overlay_lists_its_options_with_default_and_help(overlay):
    rows = [f"| `{each.key}` | {default(each.default)} | {each.help} |" for each in settings_of(OPTIONS[overlay])]
    assert re.findall(r"^\| `.*$", SECTIONS[overlay], re.MULTILINE) == rows


def test_each_overlay_of_the_core_has_a_section():
    offered = {point.name for point in entry_points(group="rrr.overlays") if point.value.startswith("rrr_core.")}
    assert offered <= set(SECTIONS)


@pytest.mark.parametrize(("share", "reported"), [(0.1, 0.18), (0.9, 0.82)])
def test_noise_moves_a_measured_share_as_the_page_says(share, reported):
    count = 20_000
    verdicts = [passed() if number < share * count else failed("x") for number in range(count)]
    noisy = [with_noise(verdict, {}, str(number), NoisyOptions(0.1)) for number, verdict in enumerate(verdicts)]
    assert sum(verdict.is_passed for verdict in noisy) / count == pytest.approx(reported, abs=5 * (0.09 / count) ** 0.5)


def test_the_overlay_of_the_page_fails_long_answers_and_keeps_the_verifier_trusted(site):
    held = {block.language: block.text for block in blocks(PAGE) if block.section == "Writing an overlay"}
    points = tomllib.loads(held["toml"])["project"]["entry-points"]["rrr.overlays"]
    site.install("rrr-brief", modules={"rrr_brief": held["python"]}, overlays=points)
    verify = """
        from rrr_core import hookimpl, passed, trusted

        @hookimpl
        def rrr_load_dataset(): return []

        @hookimpl
        def rrr_prompt(): return "?"

        @hookimpl
        @trusted
        def rrr_verify(): return passed()
    """
    site.install_task("kind", verify)
    task = load_task("kind", ["brief:words=20"])
    assert task.trusted
    assert task.verify({}, "word " * 20) == passed()
    assert task.verify({}, "word " * 21) == failed("too long", "more than 20 words")


def test_the_judge_of_the_page_asks_once_for_each_answer_and_shows_nothing_hostile(site, monkeypatch):
    (judge,) = (block.text for block in blocks(PAGE) if block.section == "What an overlay builds on")
    site.install("rrr-keys", modules={"rrr_keys": judge}, overlays={"keys": "rrr_keys"})
    site.install_task("plus")
    asked = []
    monkeypatch.setattr("builtins.input", lambda text: asked.append(text) or ("rude" if "[2J" in text else ""))
    row = {"a": 1, "b": 2}
    with Judge(load_task("plus", ["keys"])) as judged:
        verdicts = judged.judge([(row, "three"), (row, "no\x1b[2J"), (row, "three")])
    assert verdicts == [passed(), failed("rude"), passed()]
    assert asked == [
        f"What is 1 + 2?\n\n{answer}\n\nWhat is wrong? Enter: nothing > " for answer in ("three", "no\ufffd[2J")
    ]


def test_the_page_lists_what_an_overlay_builds_on_and_no_more():
    rows = re.findall(r"^\| (`\w+\([^|]*) \|", SECTIONS["What an overlay builds on"], re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)\(", row)]
    assert sorted(named) == overlays.__all__
