"""The overlay `model-judge`: a language model behind an OpenAI-compatible server judges instead of the verifier.

The answer may be hostile to the judge too (`rrr_core.overlays.judge_prompt`). A reply that is not exactly in the
required form gives no verdict: the verdict is withheld, never a pass or a fail.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rrr_core.episode import Generation
from rrr_core.errors import DataError, ModelError, RrrError
from rrr_core.generation import ModelSettings, Sampling, make_engine
from rrr_core.hookspecs import Manifest, Model, Row, hookimpl
from rrr_core.overlays import option, pair_key, read_options
from rrr_core.overlays.agreement import decided
from rrr_core.overlays.judge_prompt import RUBRIC, Reading, Request, make_request, read_reply
from rrr_core.tasks import Task, load_task
from rrr_core.verdicts import Verdict, failed, passed, withheld

if TYPE_CHECKING:
    from rrr_core.generation import Engine

NAME = "model-judge"
CATEGORY = "judged wrong"
"""The error class of an answer that the judge fails."""
SEVERAL_TEMPERATURE = 0.7
"""Several greedy samples would all be the same."""


@dataclass(frozen=True)
class ModelJudgeOptions:
    """Which model judges, and how it is asked."""

    base_url: str | None = option(None, "The server's address, such as http://127.0.0.1:8000/v1.")
    model: str | None = option(None, "The name that the server gives its model.")
    samples: int = option(1, "Times that each answer is judged.", minimum=1)
    need: int | None = option(None, "Samples that must say PASS; by default more than half of them.", minimum=1)
    temperature: float | None = option(
        None, "Sampling temperature; by default 0 for one sample and 0.7 for several.", minimum=0
    )
    max_tokens: int = option(1024, "Longest reply, in tokens.", minimum=1)
    rubric: str | None = option(None, "File with the rules to judge by, in place of the built-in ones.")
    gold: bool = option(False, "Whether the judge is shown an answer that is known to pass.")
    longest: int = option(20_000, "Characters of the longest answer that is sent; a longer one is withheld.", minimum=1)
    seed: int = option(0, "Seed of the sampling.")
    api_key_env: str = option("OPENAI_API_KEY", "Environment variable that holds the server's key.")
    concurrency: int = option(16, "Requests in flight at a time.", minimum=1)
    timeout: float = option(120.0, "Seconds to wait for one reply.", minimum=0.001)
    retries: int = option(5, "Times a request is sent again after a fault of server or network.", minimum=0)

    @property
    def needed(self) -> int:
        return self.need or self.samples // 2 + 1

    @property
    def sampling(self) -> Sampling:
        usual = SEVERAL_TEMPERATURE if self.samples > 1 else 0.0
        chosen = usual if self.temperature is None else self.temperature
        return Sampling(temperature=chosen, max_tokens=self.max_tokens, seed=self.seed)


@hookimpl
def rrr_configure(options: Mapping[str, str]) -> list[Callable[..., Any]]:
    """The judge, and a wrapper that records it in the task's manifest."""
    chosen = read_options(NAME, ModelJudgeOptions, options, required=["base_url", "model"])
    judge = ModelJudge(checked_options(chosen), read_rubric(chosen.rubric))

    @hookimpl
    def rrr_judge(task: str, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        return judge.judge(task, pairs)

    @hookimpl(wrapper=True)
    def rrr_manifest() -> Generator[None, Manifest | None, Manifest | None]:
        manifest = yield
        return manifest and replace(manifest, categories=(*manifest.categories, CATEGORY), deterministic=False)

    return [rrr_judge, rrr_manifest]


class ModelJudge:
    """Judges with a server's model; caches verdicts, so each process asks about equal pairs only once."""

    def __init__(self, options: ModelJudgeOptions, rubric: str = RUBRIC) -> None:
        self.options, self.rubric = options, rubric
        self._tasks: dict[str, Task] = {}
        self._known: dict[str, Verdict] = {}
        self._engine: Engine | None = None

    def judge(self, task: str, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        """The verdicts on (row, answer) pairs, in order.

        Raises ModelError if the server fails, and RrrError if the task has no gold answers to show.
        """
        keys = [pair_key(task, row, answer) for row, answer in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self._known}
        self._known.update(zip(new, self._verdicts(self._task(task), list(new.values())), strict=True))
        return [self._known[key] for key in keys]

    def _verdicts(self, task: Task, pairs: Sequence[tuple[Row, str]]) -> list[Verdict]:
        """The verdicts on pairs not asked about before: `samples` requests for each, all of them at once."""
        options = self.options
        sent = [pair for pair in pairs if len(pair[1]) <= options.longest]
        requests = [request for row, answer in sent for request in self._requests(task, row, answer)]
        readings = [
            read_reply(request.code, reply) for request, reply in zip(requests, self._replies(requests), strict=True)
        ]
        judged = (
            verdict_of(readings[start : start + options.samples], options.needed)
            for start in range(0, len(readings), options.samples)
        )
        too_long = withheld(f"{NAME}: answers of more than {options.longest} characters are not sent: raise longest")
        return [next(judged) if len(answer) <= options.longest else too_long for _, answer in pairs]

    def _requests(self, task: Task, row: Row, answer: str) -> list[Request]:
        """One request per sample, each with a code of its own."""
        prompt = task.prompt(row, Model(self.options.model or ""))
        gold = task.gold_answer(row) if self.options.gold else None
        return [make_request(self.rubric, prompt, answer, gold) for _ in range(self.options.samples)]

    def _replies(self, requests: Sequence[Request]) -> list[Generation]:
        if self._engine is None:
            self._engine = make_engine(engine_settings(self.options))
        conversations = [[{"role": "user", "content": request.text}] for request in requests]
        try:
            return self._engine.generate(conversations, self.options.sampling)
        except ModelError as error:
            # The command line's options of these names belong to the trained model.
            reworded = re.sub(r"--(timeout|retries|concurrency)", r"the overlay's option \1", str(error))
            raise ModelError(f"The overlay {NAME!r}: {reworded}") from error

    def _task(self, name: str) -> Task:
        """The task's plugin without its overlays, for a row's prompt and gold answer."""
        if name not in self._tasks:
            task = load_task(name)
            if self.options.gold and not task.implements("rrr_gold_answer"):
                raise RrrError(f"The overlay {NAME!r}: the task {name!r} gives no gold answers: leave out gold=yes.")
            self._tasks[name] = task
        return self._tasks[name]


def verdict_of(readings: Sequence[Reading], need: int) -> Verdict:
    """The verdict from the readings of one pair's replies."""
    outcome = decided([reading.outcome for reading in readings], need)
    reasons = [reading.reason for reading in readings if reading.outcome == outcome]
    match outcome:
        case "passed":
            return passed()
        case "failed":
            return failed(CATEGORY, f"{len(reasons)} of {len(readings)} say FAIL: {reasons[0]}")
        case _:
            return withheld(f"{NAME}: {len(reasons)} of {len(readings)} replies give no verdict: {reasons[0]}")


def engine_settings(options: ModelJudgeOptions) -> ModelSettings:
    """The judge's model, set up like any other behind a server."""
    return ModelSettings(
        model=options.model,
        backend="server",
        base_url=(options.base_url,) if options.base_url else (),
        api_key_env=options.api_key_env,
        concurrency=options.concurrency,
        timeout=options.timeout,
        retries=options.retries,
    )


def checked_options(options: ModelJudgeOptions) -> ModelJudgeOptions:
    """The options, if they are consistent. Raises RrrError.

    A wrong option or a missing extra is reported before any answer is generated.
    """
    who = f"The overlay {NAME!r}"
    if options.needed > options.samples:
        raise RrrError(f"{who}: need={options.need} can never be met by samples={options.samples}: raise samples.")
    parts = urlsplit(options.base_url or "")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise RrrError(f"{who}, option base_url: expected an address such as http://127.0.0.1:8000/v1.")
    if "@" in parts.netloc or parts.query:
        raise RrrError(
            f"{who}, option base_url: options are kept in the run's records, so leave out user, password and query: "
            f"the key is read from the environment variable {options.api_key_env}."
        )
    if importlib.util.find_spec("httpx2") is None:
        raise ModelError(f"{who} needs the package 'httpx2': pip install 'rrr-core[server]'.")
    return options


def read_rubric(path: str | None) -> str:
    """The rules to judge by. Raises DataError for a file that cannot be read or is empty."""
    if path is None:
        return RUBRIC
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise DataError(f"{path}: the rubric of the overlay {NAME!r} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the rubric of the overlay {NAME!r} is not UTF-8.") from error
    if not text:
        raise DataError(f"{path}: the rubric of the overlay {NAME!r} is empty.")
    return text
