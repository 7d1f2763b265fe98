"""Engines of other distributions: found by name, imported on request, blamed when broken."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rrr_core
from rrr_core import cli
from rrr_core.errors import ModelError, PluginError
from rrr_core.generation import Engine, ModelSettings, Sampling, make_engine
from rrr_core.generation.engines import CORE_ENGINES
from rrr_core.generation.entries import find_engines
from rrr_core.generation.finding import find_engine
from rrr_core.mining.failure_set import read_failures

PACKAGES = Path(__file__).parents[1] / "packages" / "plugins"
ASKED = [[{"role": "user", "content": "one two three"}]]
SPEC = "from rrr_core.generation import EngineSpec\n"


@pytest.fixture
def install(site: Any) -> Callable[..., None]:
    """Installs packages made for these tests: `echo`, `echo-twin`, `mute`, `odd`."""

    def lay_out(*distributions: str) -> None:
        for distribution in distributions:
            module = distribution.replace("-", "_")
            (source,) = (PACKAGES / module).glob(f"{module}.py*")
            name = distribution.split("-")[1]
            engines = {name: f"{module}:ENGINE"}
            site.install(distribution, modules={module: source.read_text(encoding="utf-8")}, engines=engines)

    return lay_out


def refused(name: str) -> str:
    with pytest.raises(PluginError) as caught:
        make_engine(ModelSettings(model="m", backend=name))
    (line,) = str(caught.value).splitlines()
    return line


def test_an_installed_engine_is_opened_by_its_name(install: Any) -> None:
    install("rrr-echo-engine")
    engine = make_engine(ModelSettings(model="any", backend="echo", family="qwen"))
    assert isinstance(engine, Engine)
    assert (engine.model.name, engine.model.family) == ("any", "qwen")
    (answer,) = engine.generate(ASKED, Sampling(max_tokens=2))
    assert (answer.text, answer.finish) == ("one two", "length")
    assert engine.describe() == {"backend": "echo", "name": "any", "rrr-echo-engine": "1.0"}


def test_what_an_engine_does_not_override_has_a_default(install: Any) -> None:
    install("rrr-echo-engine")
    engine = make_engine(ModelSettings(model="any", backend="echo"))
    assert (engine.notice, engine.network, engine.prefix_cache_hits) == (None, None, None)
    with engine.prefix_caching():
        assert engine.generate(ASKED, Sampling())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"device": "cpu"}, r"device cannot be set for the echo backend \(rrr-echo-engine 1.0\): leave it out, or use"),
        ({"timeout": 3.0}, "timeout cannot be set for the echo backend"),
        ({"model": None}, "The echo backend needs model: give --model"),
    ],
)
def test_a_setting_that_the_engine_does_not_act_on_is_refused(
    install: Any, setting: dict[str, Any], message: str
) -> None:
    install("rrr-echo-engine")
    with pytest.raises(ModelError, match=message):
        make_engine(ModelSettings(**{"model": "m", "backend": "echo", **setting}))


def test_an_unknown_name_suggests_the_nearest(install: Any) -> None:
    install("rrr-echo-engine")
    with pytest.raises(ModelError) as caught:
        find_engine("ehco")
    assert str(caught.value) == (
        "No engine 'ehco' is installed. Did you mean 'echo'? Installed: transformers, vllm, server, echo."
    )


def test_only_the_requested_engine_is_imported(site: Any, install: Any) -> None:
    install("rrr-echo-engine")
    site.install("rrr-loud", modules={"rrr_loud": "raise SystemExit('imported')"}, engines={"loud": "rrr_loud:ENGINE"})
    assert make_engine(ModelSettings(model="m", backend="echo"))
    assert "rrr_loud" not in sys.modules


def test_a_broken_engine_is_blamed_and_does_not_affect_others(install: Any) -> None:
    install("rrr-echo-engine", "rrr-mute-engine", "rrr-odd-engine")
    assert refused("mute") == (
        "rrr-mute-engine 1.0: its module rrr_mute_engine cannot be imported: SyntaxError at rrr_mute_engine.py:3:"
        " '(' was never closed. Fix it, or report it to the authors of rrr-mute-engine."
    )
    assert refused("odd") == (
        "rrr-odd-engine 1.0: the value of its entry point, 'rrr_odd_engine:ENGINE', is dict: it has to be `module:NAME`"
        " of an EngineSpec (`rrr docs engines.md#bring-an-engine`)."
    )
    assert make_engine(ModelSettings(model="m", backend="echo"))


def test_two_distributions_that_claim_one_name_are_both_named_and_neither_is_imported(install: Any) -> None:
    install("rrr-echo-engine", "rrr-echo-twin")
    line = refused("echo")
    assert line.startswith("The engine 'echo' is claimed by rrr-echo-engine 1.0 ")
    assert line.endswith("and by rrr-echo-twin 1.0 (module rrr_echo_twin:ENGINE): uninstall all but one.")
    assert "rrr_echo_twin" not in sys.modules


def test_a_name_of_the_cores_own_cannot_be_taken(site: Any) -> None:
    site.install("rrr-thief", engines={"server": "rrr_thief:ENGINE", "auto": "rrr_thief:ENGINE"})
    line = refused("server")
    assert f"claimed by rrr-core {rrr_core.__version__} " in line
    assert "rrr-thief 1.0" in line
    (auto,) = [entry for entry in find_engines() if entry.name == "auto"]
    assert "rrr-thief 1.0 must rename its engine" in str(auto.error)


def test_an_engine_made_for_another_core_is_refused_and_not_imported(site: Any) -> None:
    site.install("rrr-future", "3.1", engines={"future": "rrr_future:ENGINE"}, requires=["rrr-core>=99"])
    assert refused("future").startswith("rrr-future 3.1 needs rrr-core >=99")


@pytest.mark.parametrize(
    ("value", "source", "message"),
    [
        ("rrr_bad", SPEC, "has to be `module:NAME` of an EngineSpec"),
        ("rrr_bad:NONE", SPEC, "'rrr_bad:NONE', is none: it has to be"),
        ("rrr bad:ENGINE", SPEC, "is not a module's name"),
        (
            "rrr_bad:ENGINE",
            SPEC + "ENGINE = EngineSpec(open='x:y', takes=['family', 'divice'])",
            "Did you mean 'device'",
        ),
        (
            "rrr_bad:ENGINE",
            SPEC + "ENGINE = EngineSpec(open='x:y', needs=['family'])",
            "needs 'family', and does not take",
        ),
        ("rrr_bad:ENGINE", SPEC + "ENGINE = EngineSpec(open='rrr_bad:no')", "there is no function rrr_bad:no"),
        ("rrr_bad:ENGINE", SPEC + "ENGINE = EngineSpec(open='rrr_no:open')", "rrr_no cannot be imported"),
        (
            "rrr_bad:ENGINE",
            SPEC + "ENGINE = EngineSpec(open='rrr_bad:run')\ndef run(settings): return 7",
            "rrr_bad:run gave int, which is no Engine",
        ),
        (
            "rrr_bad:ENGINE",
            SPEC + "ENGINE = EngineSpec(open='rrr_bad:run')\ndef run(settings): return 1 / 0",
            "rrr_bad:run failed: ZeroDivisionError at rrr_bad.py:3: division by zero",
        ),
    ],
)
def test_each_fault_of_an_engine_is_one_line_that_names_its_distribution(
    site: Any, value: str, source: str, message: str
) -> None:
    site.install("rrr-bad", "1.3", modules={"rrr_bad": source}, engines={"bad": value})
    line = refused("bad")
    assert "rrr-bad 1.3: " in line
    assert message in line


def test_an_error_that_the_engine_raises_for_its_user_is_left_as_it_is(site: Any) -> None:
    source = f"""
        {SPEC}
        from rrr_core.errors import ModelError
        ENGINE = EngineSpec(open="rrr_bad:run")
        def run(settings):
            raise ModelError("no such model")
    """
    site.install("rrr-bad", modules={"rrr_bad": source}, engines={"bad": "rrr_bad:ENGINE"})
    with pytest.raises(ModelError, match="^no such model$"):
        make_engine(ModelSettings(model="m", backend="bad"))


def test_another_distributions_engine_mines_and_evaluates(
    install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    install("rrr-echo-engine")
    monkeypatch.chdir(tmp_path)
    asked = ["countdown", "--backend", "echo", "--model", "any", "--folder", "run", "--rows", "4"]
    assert cli.run_command(["mine", *asked, "--tries", "2"]) == 0, capsys.readouterr().err
    assert cli.run_command(["eval", *asked]) == 0, capsys.readouterr().err
    identity = json.loads((tmp_path / "run" / "mine" / "manifest.json").read_text())["identity"]
    assert identity["model"] == {"backend": "echo", "name": "any", "rrr-echo-engine": "1.0"}
    assert read_failures(tmp_path / "run" / "mine")[0].attempt.startswith("Using the numbers")


def test_the_command_line_takes_an_installed_engine_and_suggests_the_nearest(
    install: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    install("rrr-echo-engine")
    assert cli.run_command(["mine", "countdown", "--backend", "ehco"]) == 2
    assert "must be one of auto, transformers, vllm, server, echo, not 'ehco'. Did you mean 'echo'?" in (
        capsys.readouterr().err
    )


def test_a_settings_file_takes_an_installed_engine(install: Any) -> None:
    from rrr_core.config.settings import BadValue, settings_of

    (backend,) = (setting for setting in settings_of(ModelSettings) if setting.key == "backend")
    with pytest.raises(BadValue):
        backend.from_toml("echo")
    install("rrr-echo-engine")
    assert backend.from_toml("echo") == "echo"


def test_help_shows_the_cores_engines_and_looks_for_no_others(
    site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rrr_core.generation.entries.find_engines", None)
    assert cli.run_command(["mine", "--help"]) == 0
    assert "--backend auto|transformers|vllm|server|NAME" in capsys.readouterr().out


def test_finding_an_engine_of_the_core_imports_none() -> None:
    code = (
        "import sys\nfrom rrr_core.generation.finding import find_engine\n"
        f"[find_engine(name) for name in {[*CORE_ENGINES]}]\n"
        "assert not {'torch', 'transformers', 'openai', 'vllm'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", CORE_ENGINES)
def test_the_table_names_existing_settings_and_each_is_taken_ignored_or_refused_once(name: str) -> None:
    spec = CORE_ENGINES[name]
    known = set(ModelSettings.__dataclass_fields__) - {"model", "backend"}
    assert set(spec.takes) | set(spec.ignores) <= known
    assert not set(spec.takes) & set(spec.ignores)
    assert set(spec.needs) <= set(spec.takes)
