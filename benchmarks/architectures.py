"""Every causal architecture that transformers can configure small: which forward pass is right on it, held against each
sequence alone, and whether our decoding loop is.

    python benchmarks/architectures.py --write docs/compatibility.md

Each architecture has a process and a time limit of its own, and is measured once: results are kept in `--folder` until
a version changes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from small_models import VOCABULARY, StaysLargeError, architectures, small_model
from transformers.utils import logging as transformers_logging
from trl.trainer.utils import add_fused_lm_head

from rrr_core.generation.decoding import decoded, serves
from rrr_core.generation.kv_cache import arguments_of
from rrr_core.generation.trial import EXACT, Difference, Sample
from rrr_core.text import one_line
from rrr_core.training.dropout import without_dropout
from rrr_core.training.packing import Packing, inputs_of
from rrr_core.training.shared_prompt import packed_score, prepare

PROMPTS, COMPLETION = (50, 20), 24
SECONDS = 120
"""Time limit of an architecture."""
BEGIN, END = "<!-- architectures: made by benchmarks/architectures.py -->", "<!-- end of architectures -->"
MOST_MEMORY = 6 << 30
"""Bytes of address space of its process."""


def sample_of(vocabulary: int = VOCABULARY) -> Sample:
    source = torch.Generator().manual_seed(0)
    return Sample.of([torch.randint(2, vocabulary, (n,), generator=source).tolist() for n in PROMPTS], COMPLETION)


def padded_score(network: Any, with_positions: bool) -> Callable[..., torch.Tensor]:
    """TRL's pass, with or without the position ids that it leaves out."""

    def score(ids: torch.Tensor, mask: torch.Tensor, width: int) -> torch.Tensor:
        labels = ids.masked_fill(mask == 0, -100)
        labels[:, :-width] = -100
        positions = {"position_ids": (mask.cumsum(1) - 1).clamp(min=0)} if with_positions else {}
        output = network(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True, **positions)
        return output.log_probs[:, -width:]

    return score


def fused_pass(network: Any, packing: Packing) -> Any:
    """The log-probabilities of a packing's labels, by TRL's fused head."""
    return network(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True).log_probs


def measure(model_type: str) -> dict[str, Any]:
    """What is found of one architecture; its reason if it cannot be configured small."""
    sample = sample_of()
    try:
        network = small_model(model_type)
        with torch.no_grad():
            alone = sample.alone(network)
            again = network(input_ids=torch.cat([sample.long, sample.written])[None]).logits
            changed = torch.cat([sample.long, sample.written])
            changed[-1] = (changed[-1] + 1) % VOCABULARY
            if float((network(input_ids=changed[None]).logits[0, :-1] - again[0, :-1]).abs().max()) > EXACT:
                return {"reason": "not causal: a token's logits depend on later ones"}
    except StaysLargeError as error:
        return {"reason": str(error)}
    except Exception as error:  # noqa: BLE001 - any architecture may fail in its own way, which is one row of the table
        return {"reason": one_line(f"{type(error).__name__}: {error}", 160)}
    found: dict[str, Any] = {"class": type(network).__name__}

    def note(name: str, measured: Callable[[], Difference]) -> None:
        try:
            one = measured()
        except Exception as error:  # noqa: BLE001 - as above
            one = Difference(torch.inf, torch.inf, one_line(f"{type(error).__name__}: {error}", 160))
        found[name] = {"failed": one.failed} if one.failed else {"largest": one.largest}

    with torch.no_grad():
        note("noise", lambda: sample.noise(network))
        if serves(network):
            note("decoded", lambda: decoded(network, sample))
        else:
            found["decoded"] = {"failed": "unsupported"}
        add_fused_lm_head(network, outputs=("log_probs", "entropy"))
        note("trl", lambda: sample.tried(padded_score(network, False), alone))
        if "position_ids" in arguments_of(network):
            note("padded", lambda: sample.tried(padded_score(network, True), alone))
        else:
            found["padded"] = found["trl"]
        reason = prepare(network)
        if reason is None:
            packed = packed_score(
                network,
                lambda packing: (
                    network(**inputs_of(packing), shift_labels=packing.labels, fused_lm_head=True).log_probs
                ),
            )
            note("packed", lambda: sample.tried(packed, alone))
        else:
            found["packed"] = {"failed": reason}
        network.train()
        with without_dropout(network), torch.random.fork_rng(devices=[]):
            score = padded_score(network, "position_ids" in arguments_of(network))
            note("training", lambda: sample.tried(score, alone))
    return found


def measured_apart(model_type: str, seconds: float) -> dict[str, Any]:
    """The same from a process of its own, which may crash or hang."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)

    def run() -> None:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        transformers_logging.set_verbosity_error()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        theirs.send(measure(model_type))

    process = context.Process(target=run)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return {"reason": f"takes over {seconds:.0f} seconds"}
        found: dict[str, Any] = ours.recv()
        return found
    except EOFError:
        process.join()
        return {"reason": f"its process dies (exit status {process.exitcode})"}
    finally:
        process.kill()
        process.join()


def versions() -> str:
    """What results hold for."""
    return ", ".join(f"{name} {version(name)}" for name in ("transformers", "trl", "torch"))


def known(file: Path) -> dict[str, dict[str, Any]]:
    """The results in the file that hold for the installed versions, by model type."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return {line["type"]: line for line in lines if line["versions"] == versions()}


def is_right(cell: dict[str, Any]) -> bool:
    """Whether a way's difference is below the trial's tolerance."""
    return cell.get("largest", float("inf")) < EXACT


def used(found: dict[str, Any]) -> str:
    """The way an architecture is trained."""
    if not is_right(found["packed"]) and not is_right(found["padded"]):
        return "refused"
    if is_right(found["padded"]) and not is_right(found["training"]):
        return "refused: random in training"
    return "shared prompt" if is_right(found["packed"]) else "padded"


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as a page's text: a table, and those that cannot be configured small."""

    def cell(one: dict[str, Any]) -> str:
        if "failed" in one:
            return "–"
        largest = float(one["largest"])
        return "0" if is_right(one) else f"**{largest:.2g}**"

    rows = [(name, results[name]) for name in sorted(results)]
    lines = [
        f"Measured with {versions()}.",
        "",
        "| model type | TRL's pass | padded, with positions | shared prompt | decoding loop | trained |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {' | '.join(cell(one[way]) for way in ('trl', 'padded', 'packed', 'decoded'))} | {used(one)} |"
            for name, one in rows
            if "reason" not in one
        ),
        "",
        "Not configured small, so not measured; the trial before training decides on them all the same:",
        "",
        *(f"- {name}: {one['reason'].replace('<', '&lt;').replace('`', '')}" for name, one in rows if "reason" in one),
    ]
    return "\n".join(lines)


def write(page: Path, text: str) -> None:
    """Put the text between the page's marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--folder", type=Path, default=Path("runs/benchmarks"))
    options.add_argument("--only", nargs="*", help="model types; default: all")
    options.add_argument("--seconds", type=float, default=SECONDS, help="time limit of an architecture")
    options.add_argument("--write", type=Path, metavar="PAGE", help="the page to put the table into")
    given = options.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    file = given.folder / "architectures.jsonl"
    for name in given.only or architectures():
        if name in known(file):
            continue
        found = {"type": name, "versions": versions(), **measured_apart(name, given.seconds)}
        with file.open("a") as out:
            out.write(json.dumps(found) + "\n")
        print(name, found.get("reason") or used(found), flush=True)
    text = table(known(file))
    if given.write:
        write(given.write, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
