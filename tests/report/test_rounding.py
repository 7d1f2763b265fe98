"""A figure has one rounding: what the page's script writes is what the terminal writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import rrr_core
from rrr_core.cli import cells
from rrr_core.report.evidence import points

TEXT = Path(rrr_core.__file__).parent / "report" / "assets" / "text.js"
node = shutil.which("node")


@pytest.mark.skipif(node is None, reason="the script is run with node")
def test_every_share_of_4000_rows_is_rounded_as_python_does() -> None:
    (function,) = re.findall(r"^function fixed\(.*?^}$", TEXT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    loop = "for (let n = 0; n <= 4000; n++) for (const d of [0, 1, 2]) found.push(fixed((n / 4000) * 100, d));"
    code = f"const found = []; {function} {loop} console.log(JSON.stringify(found));"
    done = subprocess.run([str(node), "-e", code], capture_output=True, text=True, check=True)
    wanted = [f"{n / 4000 * 100:.{digits}f}" for n in range(4001) for digits in (0, 1, 2)]
    assert "35.2" in wanted
    assert json.loads(done.stdout) == wanted


def test_no_figure_of_the_page_is_rounded_otherwise() -> None:
    lines = [line.strip() for line in TEXT.read_text(encoding="utf-8").splitlines() if "toFixed" in line]
    others = [
        line for line in lines if "isTie" not in line and "seconds" not in line and not line.startswith("return p <")
    ]
    assert others == []


@pytest.mark.skipif(node is None, reason="the script is run with node")
def test_every_difference_of_400_rows_is_rounded_as_the_terminal_and_the_headline_do() -> None:
    source = TEXT.read_text(encoding="utf-8")
    functions = "\n".join(
        re.findall(r"^function (?:fixed|signed)\(.*?^}$|^const points = .*?$", source, re.MULTILINE | re.DOTALL)
    )
    loop = "for (const total of [237, 400]) for (let n = -total; n <= total; n++) found.push(points(n / total));"
    code = f"const found = []; {functions} {loop} console.log(JSON.stringify(found));"
    done = subprocess.run([str(node), "-e", code], capture_output=True, text=True, check=True)
    wanted = [points(n / total) for total in (237, 400) for n in range(-total, total + 1)]
    assert json.loads(done.stdout) == wanted
    shown = [text.replace("−", "-") for text in wanted]
    terminal = [cells.points(n / total) for total in (237, 400) for n in range(-total, total + 1)]
    assert shown == terminal
    assert points(101 / 400) == "+25.2"
