"""The page in a real browser: nothing hostile runs, nothing is loaded, and every part can be used."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from headless import Chromium
from made_run import make_run

from rrr_core.profiling.spent import KINDS
from rrr_core.report import write_report
from rrr_core.report.data import read_runs
from rrr_core.report.page import page_of
from rrr_core.runs.files import read_json, read_lines, write_json, write_lines, write_text

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'><svg onload='window.hacked = 1'>",
    "javascript:window.hacked=1",
    "evil \u202e reversed",
    "nul \x00\x00\x00 bell \x07 escape \x1b[31m",
    "\u2028line\u2029paragraph",
    "<!--<script>",
    "@@DATA@@ ${window.hacked = 1}",
    "\ud800 lone",
    "Z" + "\u0301" * 500,
    "w" * 100_000,
)


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which every text, name, category and manifest value is hostile, with one hostile text per row."""
    folder = make_run(tmp_path_factory.mktemp("hostile") / "run\u202e<b>", rows=2 * len(HOSTILE), steps=3)
    for path in [*folder.glob("eval/*/*-*.jsonl"), folder / "train" / "episodes.jsonl"]:
        records = list(read_lines(path))
        for record in records:
            text = HOSTILE[record["row_index"] % len(HOSTILE)]
            record["row"] = {text: text}
            verdict = {"outcome": "failed", "category": text[:200], "detail": text}
            for segment in record["segments"]:
                if "messages" in segment:
                    segment["messages"] = [{"role": text, "content": text}]
                else:
                    segment["text"] = segment["thought"] = text
                if "verdict" in segment:
                    segment["verdict"] = verdict
                if "token_texts" in segment:
                    segment["token_texts"] = list(HOSTILE)
            record["controls"] = {"independent": [text, verdict]}
        write_lines(path, records)
    figures = json.loads((folder / "eval" / "trained" / "figures.json").read_text())
    figures["modes"]["sampled"]["error_classes"]["first"] = {text[:200]: 9 for text in HOSTILE}
    write_json(folder / "eval" / "trained" / "figures.json", {**figures, "task": HOSTILE[0]})
    write_json(folder / "run.json", {"kind": "run", "identity": dict.fromkeys(HOSTILE, HOSTILE[1])})
    with (folder / "train" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 4, HOSTILE[0]: 1.0, HOSTILE[3]: 2.0}) + "\n")
    out = folder / "report.html"
    write_report([folder], out)
    return out


@pytest.fixture(scope="module")
def two_runs(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = make_run(tmp_path_factory.mktemp("other") / "second", rows=60, steps=10, seed=3, lift=-0.1)
    out = tmp_path_factory.mktemp("two") / "report.html"
    write_report([run_folder, other], out)
    return out


@pytest.fixture
def served(hostile_page: Path) -> Iterator[tuple[str, list[str]]]:
    """The hostile page on a local server, and the requested paths."""
    asked: list[str] = []
    body = hostile_page.read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", asked
        server.shutdown()
        thread.join()


def set_filter(chromium: Chromium, label: str, value: str) -> None:
    chromium.evaluate(
        f"""(() => {{
          const field = [...document.querySelectorAll(".filters .field, #controls .field")]
            .find(each => each.firstChild.textContent === {json.dumps(label)}).lastChild;
          field.value = {json.dumps(value)};
          field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input", {{bubbles: true}}));
        }})()"""
    )


def found(chromium: Chromium) -> str:
    return str(chromium.evaluate("document.querySelector('.found').textContent"))


def title(chromium: Chromium) -> str:
    return str(chromium.evaluate("document.querySelector('#episode-title').textContent"))


def test_nothing_hostile_runs_and_nothing_is_requested_from_the_network(
    chromium: Chromium, served: tuple[str, list[str]]
) -> None:
    address, asked = served
    chromium.open(address)
    total = chromium.evaluate("document.querySelector('.option').getAttribute('aria-setsize')")
    assert int(total) > 100
    for _ in range(2 * 4 * len(HOSTILE)):
        chromium.press("j")
    chromium.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    set_filter(chromium, "Model", "4")
    for _ in range(8):
        chromium.press("j")
    assert chromium.evaluate("document.querySelector('.tokens .token').textContent").startswith("</script>")
    assert chromium.evaluate("typeof window.hacked") == "undefined"
    assert chromium.evaluate("document.querySelectorAll('main script, main img, main b:not(.scale b)').length") == 0
    assert chromium.complaints() == []
    assert chromium.requests() in ([address], [address, "data:,"])
    assert asked == ["/"]


def test_the_policy_blocks_what_a_bug_of_ours_would_let_through(
    chromium: Chromium, served: tuple[str, list[str]]
) -> None:
    address, asked = served
    chromium.open(address)
    assert (
        chromium.evaluate(
            """(() => {
          const script = document.createElement("script");
          try { script.textContent = "window.hacked = 1"; document.body.append(script); } catch { }
          try { document.body.innerHTML += "<img src=/x>"; return "written"; } catch { return "refused"; }
        })()"""
        )
        == "refused"
    )
    assert chromium.evaluate("fetch('/leak').then(() => 'sent', () => 'refused')") == "refused"
    assert chromium.evaluate("typeof window.hacked") == "undefined"
    assert asked == ["/"]


def test_invisible_characters_are_shown_as_badges(chromium: Chromium, hostile_page: Path) -> None:
    chromium.open(hostile_page.as_uri())
    set_filter(chromium, "Order", "row")
    badges = {}
    for _ in range(4 * len(HOSTILE)):
        for name, text in chromium.evaluate(
            "[...document.querySelectorAll('.episode .odd')].map(each => [each.title, each.textContent])"
        ):
            badges[name] = text
        chromium.press("j")
    assert badges["U+202E right-to-left override"] == "U+202E"
    assert badges["U+0000 null, 3 times"] == "NUL×3"
    assert badges["U+001B escape"] == "ESC"
    assert badges["combining marks, 500 times"] == "marks×500"
    assert badges["U+2028 line separator"] == "U+2028"
    assert badges["U+D800"] == "U+D800"
    assert "\u202e" not in chromium.evaluate("document.body.innerText + document.title")
    assert "[U+202E]" in chromium.evaluate("document.title")


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_the_page_never_scrolls_sideways_even_with_hostile_text(
    chromium: Chromium, page: Path, hostile_page: Path, width: int
) -> None:
    for each in (page, hostile_page):
        chromium.open(each.as_uri(), width=width)
        chromium.wait_for("document.querySelectorAll('.chart svg').length > 5")
        chromium.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert chromium.evaluate("document.documentElement.scrollWidth") <= width


def test_a_thought_is_shown_apart_from_its_answer_and_can_be_searched_for(
    chromium: Chromium, run_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "thinking")
    path = folder / "eval" / "vanilla" / "greedy-00000.jsonl"
    records = list(read_lines(path))
    records[0]["segments"][1]["thought"] = "I ponder the sum."
    write_lines(path, records)
    write_report([folder], tmp_path / "report.html")
    chromium.open((tmp_path / "report.html").as_uri())
    chromium.evaluate(
        "(() => { const box = document.querySelector('input[type=search]'); box.value = 'ponder';"
        " box.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    assert chromium.evaluate("document.querySelector('#episode details.thought summary').textContent") == "Thought"
    assert (
        chromium.evaluate("document.querySelector('#episode details.thought .words').textContent")
        == "I ponder the sum."
    )


def table_of(chromium: Chromium, section: str) -> list[list[str]]:
    """The cells of a section's tables, row by row; a cell's lines are separated by a space."""
    cells = "[...row.children].map(each => [...each.childNodes].map(part => part.textContent).join(' '))"
    found = chromium.evaluate(f"[...document.querySelectorAll('#{section} tbody tr')].map(row => {cells})")
    return [list(map(str, row)) for row in found]


def test_one_round_shows_how_many_rows_enter_it_and_how_many_retries_repeat(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    titles = [row[0] for row in table_of(chromium, "rounds")]
    assert titles == ["Round 1: enter the round", "Round 1: repeat an earlier answer"]


def test_several_rounds_are_shown_with_their_controls(chromium: Chromium, tmp_path: Path) -> None:
    folder = make_run(tmp_path / "rounds", rounds=2)
    write_report([folder], tmp_path / "report.html")
    chromium.open((tmp_path / "report.html").as_uri())
    rows = {row[0]: row[1:] for row in table_of(chromium, "rounds")}
    assert [title for title in rows if title.startswith("Round 2")] == [
        "Round 2: enter the round",
        "Round 2: right, of those that entered",
        "Round 2: repeat an earlier answer",
        "Round 2: right after it",
        "Round 2: no reflection",
        "Round 2: another row’s reflection",
        "Round 2: pass@3",
        "Round 2: over no reflection",
        "Round 2: over another row’s reflection",
        "Round 2: over pass@3",
    ]
    figures = read_json(folder / "eval" / "vanilla" / "figures.json")["modes"]["sampled"]["rounds"]
    for number in (1, 2):
        share = figures[number - 1]["right"]
        cell = rows[f"Round {number}: right after it"][0]
        assert float(cell.split()[0]) == pytest.approx(100 * share["value"], abs=0.051)
        assert cell.endswith(f" n {share['total']}")
    assert " to " in rows["Round 2: right after it"][2]
    set_filter(chromium, "Second try", "failed")
    titles = chromium.evaluate("[...document.querySelectorAll('#episode .control h4')].map(each => each.textContent)")
    assert "Control: a retry without a reflection, round 2" in titles


def test_several_rounds_are_filtered_by_their_last_one_and_by_the_errors_of_all(
    chromium: Chromium, page: Path, tmp_path: Path
) -> None:
    chromium.open(page.as_uri())
    labels = "[...document.querySelectorAll('.filters .field span')].map(each => each.textContent)"
    assert "Last try" not in chromium.evaluate(labels)
    write_report([make_run(tmp_path / "rounds", rounds=2)], tmp_path / "report.html")
    chromium.open((tmp_path / "report.html").as_uri())
    assert "Last try" in chromium.evaluate(labels)
    set_filter(chromium, "Second try", "failed")
    set_filter(chromium, "Last try", "passed")
    signs = chromium.evaluate("[...document.querySelectorAll('.option .way')].map(each => each.textContent)")
    assert set(signs) == {"✕→✕→✓"}


def test_controls_are_shown_under_their_titles(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    rows = chromium.evaluate(
        "[...document.querySelectorAll('#controls-section tbody th')].map(each => each.textContent)"
    )
    assert rows == [
        "First try",
        "Second try, after its own reflection",
        "Second try, no reflection",
        "Second try, another row’s reflection",
        "Two samples, either right (pass@2)",
        "Second try, failed rows alone",
        "over no reflection",
        "over another row’s reflection",
        "over pass@2",
    ]
    assert "a retry after another row’s reflection; " in chromium.evaluate(
        "document.querySelector('#controls-section .lead').textContent"
    )
    set_filter(chromium, "Second try", "passed")
    assert chromium.evaluate(
        "[...document.querySelectorAll('#episode .control h4')].map(each => each.textContent)"
    ) == [
        "Control: a retry without a reflection",
        "Control: a retry after another row’s reflection",
        "Control: a second, independent sample",
    ]


def test_the_top_of_the_page_shows_the_gain_and_the_checks(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    assert "points, 95% interval" in chromium.evaluate("document.querySelector('h1').textContent")
    assert chromium.evaluate("document.querySelectorAll('.check').length") == 8
    assert chromium.evaluate("[...document.querySelectorAll('.four thead th')].map(each => each.textContent)") == [
        "",
        "vanilla1st try",
        "vanilla2nd try",
        "trained1st try",
        "trained2nd try",
    ]
    assert chromium.evaluate("document.querySelectorAll('.four tbody tr').length") == 2
    assert "n 2" in chromium.evaluate("document.querySelector('.four td').textContent")


def test_the_one_number_is_on_the_first_screen_of_a_phone(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri(), width=360, height=640)
    top, bottom = chromium.evaluate(
        "(() => { const box = document.querySelector('.gain-value').getBoundingClientRect();"
        " return [box.top, box.bottom]; })()"
    )
    assert 0 < top < bottom < 400
    assert chromium.evaluate("document.querySelector('h1').getBoundingClientRect().bottom") < 640


def test_three_pairs_show_reflections_on_the_same_row_before_and_after_with_their_retries(
    chromium: Chromium, page: Path
) -> None:
    chromium.open(page.as_uri())
    assert chromium.evaluate("document.querySelectorAll('.pair-card').length") == 3
    signs = "[...document.querySelectorAll('.pair-side .way')].map(each => each.textContent)"
    assert chromium.evaluate(signs) == ["✕→✕", "✕→✓"] * 3
    headings = "[...document.querySelectorAll('.pair-card:first-child h3')].map(each => each.textContent)"
    assert chromium.evaluate(headings) == ["Before: vanilla ✕→✕", "After: trained ✕→✓"]
    rows = "[...document.querySelectorAll('.pair-row .eyebrow')].map(each => each.textContent)"
    first = chromium.evaluate(rows)
    chromium.evaluate("document.querySelector('.pair-bar .quiet').click()")
    assert not set(first) & set(chromium.evaluate(rows))
    chromium.evaluate("[...document.querySelectorAll('.pair-bar button')][1].click()")
    assert chromium.evaluate(signs) == ["✕→✓", "✕→✕"] * 3
    row = chromium.evaluate(rows)[0]
    chromium.evaluate("document.querySelector('.pair-side .link').click()")
    assert title(chromium).startswith(f"{row} ")


def test_kinds_of_reflection_are_shown_with_the_success_of_the_retries_after_them(
    chromium: Chromium, page: Path
) -> None:
    chromium.open(page.as_uri())
    rows = {row[0].split(" says ")[0]: row for row in table_of(chromium, "reflections")}
    assert "Generic" in rows
    assert len(rows["Generic"]) == 5
    assert rows["Generic"][1].split(" n ")[0].endswith("%")


def test_series_that_never_changed_are_folded_away(chromium: Chromium, run_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run_folder, tmp_path / "still")
    metrics = [{**line, "abstentions": 0} for line in read_lines(folder / "train" / "metrics.jsonl")]
    write_lines(folder / "train" / "metrics.jsonl", metrics)
    write_report([folder], tmp_path / "page.html")
    chromium.open((tmp_path / "page.html").as_uri())
    drawn = "[...document.querySelectorAll('#curves .curve figcaption span')].map(each => each.textContent)"
    assert "Abstentions" not in chromium.evaluate(drawn)
    folded = "document.querySelector('#curves > details:last-of-type').textContent"
    assert chromium.evaluate(folded) == "1 series that never changedAbstentions0"


def test_a_live_page_loads_itself_again_and_keeps_the_place_of_its_reader(
    chromium: Chromium, run_folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    write_text(path, page_of(read_runs([run_folder], live=7)))
    held = "window.timers = []; window.setTimeout = (work, wait) => window.timers.push([work, wait]);"
    added = chromium.call("Page.addScriptToEvaluateOnNewDocument", source=held)
    chromium.open(path.as_uri())
    chromium.evaluate("document.getElementById('curves').scrollIntoView({ behavior: 'instant' }); window.old = true")
    chromium.reload_by("window.timers.find(([, wait]) => wait === 7000)[0]()")
    chromium.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added["identifier"])
    assert chromium.evaluate("typeof window.old") == "undefined"
    chromium.wait_for("Math.abs(document.getElementById('curves').getBoundingClientRect().top) < 200", 20)
    chromium.evaluate("[...document.querySelectorAll('#controls button')].find(b => b.textContent === 'live').click()")
    assert "paused" in chromium.evaluate("document.querySelector('#controls').textContent")
    assert chromium.complaints() == []


def test_every_section_is_there_and_the_contents_lead_to_them(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    names = chromium.evaluate("[...document.querySelectorAll('#contents a')].map(each => each.textContent)")
    top = ["Gain", "Before and after", "Numbers", "Checks"]
    detail = ["Controls", "Rounds", "Rows", "Errors", "Reflections"]
    assert names == [*top, *detail, "Training", "Failures", "Time", "Episodes", "Manifests"]
    assert chromium.evaluate("[...document.querySelectorAll('#contents a')].every(a => document.querySelector(a.hash))")
    assert chromium.complaints() == []


def test_time_is_shown_by_stage_on_one_scale_and_by_kind_of_work(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    shown = chromium.evaluate("[...document.querySelectorAll('#time figcaption .range')].map(each => each.innerText)")
    assert shown[1].replace("\u00a0", " ") == (
        "2 min 30 s: 40% forward and backward, 33% generating, 15% waiting and other, 5% optimiser, 3% weight sync, "
        "2% judging, 1% saving"
    )
    chromium.wait_for("document.querySelectorAll('#time svg').length === 4")
    mine, train, *_ = chromium.evaluate("[...document.querySelectorAll('#time svg')].map(e => e.viewBox.baseVal.width)")
    assert mine / train == pytest.approx(40 / 150)
    kinds = "[...document.querySelectorAll('#time .legend li')].map(each => each.textContent)"
    assert chromium.evaluate(kinds) == list(KINDS.values())


def test_hardware_utilisation_is_shown_where_it_is_known(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    heads = chromium.evaluate("[...document.querySelectorAll('#time th[scope=col]')].map(each => each.textContent)")
    cells = chromium.evaluate(
        "[...document.querySelectorAll('#time tbody tr')][1].innerText.trim().split(/\\s*\\t\\s*/)"
    )
    row = dict(zip(heads, cells, strict=True))
    assert row["Prompt tokens from the prefix cache"] == "75.0%"
    assert row["Trained per second"] == "10,000"
    # (6 + 2) × 494 million × 300,000 operations in 60 s on a device of 989e12 a second
    assert row["Model FLOPs utilisation, training"] == "2.0%"


def test_a_run_without_profiles_says_so(chromium: Chromium, run_folder: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(run_folder, tmp_path / "old"))
    for path in old.rglob("profile.json"):
        path.unlink()
    write_report([old], tmp_path / "page.html")
    chromium.open((tmp_path / "page.html").as_uri())
    assert chromium.evaluate("document.querySelector('#time')") is None
    assert "No profile (profile.json) of mine, train" in chromium.evaluate(
        "document.querySelector('.notice').textContent"
    )


def test_the_other_decoding_can_be_chosen(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    read = "document.querySelector('#controls-section tbody .number').textContent"
    sampled = chromium.evaluate(read)
    chromium.evaluate("[...document.querySelectorAll('.choice button')].find(b => b.textContent === 'greedy').click()")
    assert chromium.evaluate(read) != sampled
    assert "Greedy decoding" in chromium.evaluate("document.querySelector('#controls-section .lead').textContent")
    pressed = "document.querySelector('.choice [aria-pressed=true]').textContent"
    assert chromium.evaluate(pressed) == "greedy"


def test_an_episode_can_be_found_and_read_with_the_keyboard_alone(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    first = title(chromium)
    chromium.press("j", "j", "j", "j", "j")
    assert title(chromium) != first
    chromium.press("k", "k", "k", "k", "k")
    assert title(chromium) == first
    chromium.press("/")
    assert chromium.evaluate("document.activeElement.id") == "search"
    chromium.press(*"row 5")
    chromium.wait_for("document.querySelector('#episode-title').textContent.startsWith('Row 5 ')")
    chromium.press("Escape")
    assert chromium.evaluate("document.activeElement.id") == "episode-list"
    chromium.press("End", "ArrowUp", "Enter")
    assert chromium.evaluate("document.activeElement.id") == "episode-title"
    assert chromium.evaluate("document.querySelectorAll('#episode .turn').length") >= 3


def test_keys_typed_into_the_search_are_text(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    before = title(chromium)
    chromium.press("/", *"jk?t/")
    assert chromium.evaluate("document.querySelector('#search').value") == "jk?t/"
    assert chromium.evaluate("document.querySelector('#help').open") is False
    chromium.wait_for("document.querySelector('.found').textContent.startsWith('0 of')")
    assert before.startswith("Row")


def test_help_opens_and_closes_by_keyboard(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    chromium.press("?")
    assert chromium.evaluate("document.querySelector('#help').open") is True
    assert "next and previous episode" in chromium.evaluate("document.querySelector('#help').textContent")
    chromium.press("Enter")
    assert chromium.evaluate("document.querySelector('#help').open") is False


def test_filters_keep_what_they_name_and_show_how_many(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    everything = found(chromium)
    set_filter(chromium, "First try", "failed")
    set_filter(chromium, "Second try", "passed")
    set_filter(chromium, "Error", "wrong numbers")
    assert found(chromium) != everything
    signs = chromium.evaluate("[...document.querySelectorAll('.option .way')].map(each => each.textContent)")
    assert set(signs) == {"✕→✓"}
    set_filter(chromium, "Step from", "20")
    set_filter(chromium, "to", "30")
    steps = chromium.evaluate("[...document.querySelectorAll('.option-row')].map(e => e.textContent)")
    numbers = {int(step.removeprefix("step ")) for step in steps if step.startswith("step")}
    assert numbers
    assert all(20 <= number <= 30 for number in numbers)


def test_a_search_looks_into_every_text_ignoring_case(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    chromium.press("/", *"LEFT OUT")
    chromium.wait_for("!document.querySelector('.found').textContent.startsWith('0 of')")
    chromium.wait_for("document.querySelector('#episode').textContent.includes('left out')")


def test_trained_tokens_are_coloured_and_show_their_advantage(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    for order, side, sign in (("high", "plus", "+"), ("low", "minus", "−")):
        set_filter(chromium, "Order", order)
        assert chromium.evaluate(f"document.querySelectorAll('.token.{side}').length") > 5
        shade = "getComputedStyle(document.querySelector('.token')).backgroundColor"
        assert chromium.evaluate(shade) not in ("", "rgba(0, 0, 0, 0)")
        chromium.move_to(".token")
        reading = chromium.wait_for(
            "document.querySelector('.episode .reading').textContent.match(/advantage .*/)?.[0]"
        )
        assert reading.startswith(f"advantage {sign}")
    chromium.evaluate("document.querySelector('.tokens').focus()")
    chromium.press("ArrowRight", "ArrowRight")
    assert "Token 3 of" in chromium.evaluate("document.querySelector('.episode .reading').textContent")
    assert "Colour scale" in chromium.evaluate("document.querySelector('.scale').getAttribute('aria-label')")


def test_a_long_list_renders_only_visible_rows(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    total = int(chromium.evaluate("document.querySelector('.option').getAttribute('aria-setsize')"))
    assert total > 1500
    assert chromium.evaluate("document.querySelectorAll('.option').length") < 40
    chromium.press("j")
    chromium.press("End")
    assert chromium.evaluate("document.querySelector('[aria-selected=true]').getAttribute('aria-posinset')") == str(
        total
    )
    active = "document.querySelector('#episode-list').getAttribute('aria-activedescendant')"
    assert chromium.evaluate(f"document.getElementById({active}).getAttribute('aria-selected')") == "true"


def test_the_theme_follows_the_system_until_one_is_chosen(chromium: Chromium, page: Path) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    chromium.open(page.as_uri(), dark=False)
    light = chromium.evaluate(background)
    chromium.open(page.as_uri(), dark=True)
    dark = chromium.evaluate(background)
    assert light != dark
    chromium.press("t")
    assert chromium.evaluate(background) == light
    chromium.press("t")
    assert chromium.evaluate(background) == dark
    chromium.press("t")
    assert chromium.evaluate("document.documentElement.dataset.theme") == "auto"


@pytest.mark.parametrize("dark", [False, True])
def test_text_has_enough_contrast(chromium: Chromium, page: Path, dark: bool) -> None:
    chromium.open(page.as_uri(), dark=dark)
    set_filter(chromium, "Order", "low")
    faint = chromium.evaluate(
        """(() => {
          const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
          const over = (colours) => {
            canvas.clearRect(0, 0, 1, 1);
            for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
          };
          const light = (rgb) => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, place) => sum + v * [0.2126, 0.7152, 0.0722][place], 0);
          const grounds = (element) => {
            const layers = [];
            for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
            return layers;
          };
          const faint = [];
          for (const element of document.querySelectorAll("main *, .contents *, .bar *")) {
            if (element.closest("svg, .unseen") || !element.checkVisibility()) continue;
            if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
            const ground = grounds(element);
            const [one, other] = [light(over(ground)), light(over([...ground, getComputedStyle(element).color]))];
            const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (contrast < 4.5) faint.push(`${element.tagName}.${element.className} ${contrast.toFixed(2)}`);
          }
          return [...new Set(faint)];
        })()"""
    )
    assert faint == []


def test_there_is_no_motion_if_the_user_prefers_none(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    chromium.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    assert chromium.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_every_control_has_a_name_and_the_page_its_landmarks(chromium: Chromium, page: Path) -> None:
    chromium.open(page.as_uri())
    chromium.call("Accessibility.enable")
    nodes = chromium.call("Accessibility.getFullAXTree")["nodes"]
    roles = {node["role"]["value"] for node in nodes if "role" in node}
    assert {"main", "navigation", "banner", "contentinfo", "search", "listbox", "option", "table", "image"} <= roles
    wanted = {"button", "combobox", "searchbox", "spinbutton", "listbox", "image", "link", "region", "table"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in wanted and not node.get("name", {}).get("value")
    ]
    assert nameless == []


def test_runs_are_shown_side_by_side_and_one_can_be_opened(chromium: Chromium, two_runs: Path) -> None:
    chromium.open(two_runs.as_uri())
    assert chromium.evaluate("document.querySelectorAll('#runs tbody tr').length") == 2
    assert chromium.evaluate("document.querySelectorAll('#curves .line.behind.run-1').length") > 0
    legend = "[...document.querySelectorAll('#curves > .legend li')].map(each => each.textContent)"
    assert chromium.evaluate(legend) == ["first", "second"]
    first = chromium.evaluate("document.querySelector('h1').textContent")
    set_filter(chromium, "Run", "1")
    assert chromium.evaluate("document.querySelector('h1').textContent") != first
    assert chromium.evaluate("document.title").startswith("second")
    assert int(found(chromium).split(" of ")[0].replace(",", "")) < 500


def test_a_run_with_only_a_manifest_still_makes_a_page(chromium: Chromium, tmp_path: Path) -> None:
    write_json(tmp_path / "bare" / "run.json", {"kind": "run"})
    write_report([tmp_path / "bare"], tmp_path / "page.html")
    chromium.open((tmp_path / "page.html").as_uri())
    assert chromium.evaluate("document.querySelector('h1').textContent").startswith("No model was evaluated")
    assert chromium.evaluate("document.querySelectorAll('.notice li').length") >= 3
    assert chromium.complaints() == []
