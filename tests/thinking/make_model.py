"""Makes the model of these tests, which thinks in `<think>` marks: `python -m tests.thinking.make_model FOLDER`.

A Llama of 150,000 weights learns the worked conversations of `adding` by the product's own warm-up, each in the context
in which it is used: the template opens the thought, and drops earlier ones when the conversation goes on.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from rrr_core.tasks import load_task
from rrr_core.training.tiny import make_model, make_tokenizer
from rrr_core.training.warmup import warm_up
from rrr_core.training.warmup_settings import WarmupSettings
from tests.conftest import FakeSite

MODEL = Path(__file__).with_name("model")
TEMPLATE = MODEL / "chat_template.jinja"
"""Written by hand, and saved again with every model."""
TASK = Path(__file__).with_name("adding.py")
TAGS = ("<answer>", "</answer>", "<think>", "</think>")
SETTINGS = WarmupSettings(
    conversations=40_000, batch_size=64, learning_rate=4e-3, hidden_size=64, layers=2, heads=2, context=512
)
TOKENS = 384
"""Most tokens of the vocabulary, besides the tags."""


def main(folder: Path, settings: WarmupSettings = SETTINGS) -> None:
    task = load_task("adding")
    texts = [each["content"] for talk in task.warmup("train", 2000, 1) for each in talk]
    tokenizer = make_tokenizer(texts, TOKENS, TAGS)
    tokenizer.chat_template = TEMPLATE.read_text(encoding="utf-8")
    network = make_model(tokenizer, settings)
    with tempfile.TemporaryDirectory() as scratch:
        start = Path(scratch) / "start"
        network.save_pretrained(start)
        tokenizer.save_pretrained(start)
        made = warm_up([task], Path(scratch) / "warmup", settings, str(start))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder, ignore=shutil.ignore_patterns("training_args.bin"))


def install(folder: Path) -> None:
    """Put the task's distribution into a folder of installed packages."""
    FakeSite(folder).install_task("adding", TASK.read_text(encoding="utf-8"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as site:
        sys.path.insert(0, site)
        install(Path(site))
        main(Path(sys.argv[1]) if sys.argv[1:] else MODEL)
