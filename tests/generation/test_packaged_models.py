"""`pip:NAME`: the GGUF file of an installed distribution, found without running any of its code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rrr_core.errors import ModelError
from rrr_core.generation.packaged_models import packaged_model


def install(folder: Path, *files: str, listed: tuple[str, ...] | None = None) -> None:
    """A distribution `small-models` whose module raises if anything imports it."""
    package, about = folder / "small_models", folder / "small_models-1.2.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    for name in files:
        (package / name).write_bytes(b"GGUF")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: small-models\nVersion: 1.2\n")
    names = ("__init__.py", *files) if listed is None else listed
    (about / "RECORD").write_text("".join(f"small_models/{name},,\n" for name in names))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def refused(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        packaged_model(name)
    (line,) = str(caught.value).splitlines()
    return line


def test_the_only_file_of_a_distribution_is_found(site: Path) -> None:
    install(site, "tiny.gguf")
    assert packaged_model("pip:small-models") == site / "small_models" / "tiny.gguf"
    assert packaged_model("pip:Small_Models") == site / "small_models" / "tiny.gguf"


def test_of_several_files_one_has_to_be_named(site: Path) -> None:
    install(site, "large.gguf", "tiny.gguf")
    listed = "name one of pip:small-models/large.gguf, pip:small-models/tiny.gguf."
    assert refused("pip:small-models").endswith(f"carries several GGUF files: {listed}")
    assert refused("pip:small-models/huge.gguf").endswith(f"carries no GGUF file 'huge.gguf': {listed}")
    assert packaged_model("pip:small-models/tiny.gguf") == site / "small_models" / "tiny.gguf"
    assert packaged_model("pip:small-models/small_models/tiny.gguf") == site / "small_models" / "tiny.gguf"


def test_a_distribution_that_is_missing_is_named_with_the_command_that_installs_it(site: Path) -> None:
    assert refused("pip:small-models") == "'pip:small-models': small-models is not installed: pip install small-models"


def test_a_distribution_without_such_a_file_or_one_that_lost_it_is_refused(site: Path) -> None:
    install(site, listed=("__init__.py", "gone.gguf"))
    # From Python 3.12 on, a distribution does not list what it has lost.
    lost = "gone.gguf is listed by small-models and is not there: install it again."
    assert refused("pip:small-models").endswith(lost if sys.version_info < (3, 12) else "carries no GGUF file.")
    (site / "small_models-1.2.dist-info" / "RECORD").write_text("small_models/__init__.py,,\n")
    assert refused("pip:small-models").endswith("small-models 1.2 carries no GGUF file.")


@pytest.mark.parametrize("name", ["pip:", "pip:/etc", "pip:../x", "pip:a b", "pip:-r"])
def test_what_names_no_distribution_is_refused(name: str) -> None:
    assert "names no distribution" in refused(name)
