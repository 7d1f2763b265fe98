"""A real HTTP server on this machine that acts as `vllm serve`, with a fake engine (see `fake_vllm`)."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from rrr_core.generation import Sampling
from rrr_core.generation.vllm_worker import WeightFile
from tests.generation.fake_vllm import Played, SamplingParams, make_llm

TRAINABLE = {
    "model_config": {"logprobs_mode": "processed_logprobs"},
    "parallel_config": {"worker_extension_cls": "rrr_core.generation.vllm_worker.WeightFile"},
}


class Stage(ThreadingHTTPServer):
    """Serves the model in `folder` under that name; records the requests for completions."""

    daemon_threads = True

    def __init__(self, folder: Path, config: dict[str, Any] | None, tells_hits: bool, host: str) -> None:
        super().__init__((host, 0), Handler)
        self.name, self.config, self.tells_hits = str(folder), config, tells_hits
        self.llm = make_llm(Played())(str(folder), seed=0, block_size=32)
        self.worker = WeightFile()
        self.worker.model_runner = SimpleNamespace(model=self.llm.model)
        self.worker.parallel_config = SimpleNamespace(world_size=1)
        self.workers = [self.worker]
        self.lock = threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.empties_cache = True
        self.adapters: dict[str, Any] = {}
        """Those loaded, as networks with the served weights below them."""
        self.calls: list[str] = []

    @property
    def base_url(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stage

    def do_GET(self) -> None:
        stage = self.server
        if self.path == "/v1/models":
            self.send({"data": [{"id": stage.name, "max_model_len": 512}]})
        elif self.path.startswith("/server_info") and stage.config is not None:
            self.send({"vllm_config": stage.config})
        else:
            self.send({"detail": "Not Found"}, 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stage = self.server
        with stage.lock:
            stage.calls.append(self.path)
            if self.path.endswith("_lora_adapter") and "lora_config" in (stage.config or {}):
                self.change_adapter(body)
            elif self.path == "/v1/completions":
                self.send(self.complete(body))
            elif self.path == "/collective_rpc":
                with ThreadPoolExecutor() as pool:  # as the processes of a tensor-parallel server
                    calls = [
                        pool.submit(getattr(worker, body["method"]), *body.get("args", [])) for worker in stage.workers
                    ]
                    self.send({"results": [call.result() for call in calls]})
            elif self.path == "/reset_prefix_cache":
                if stage.empties_cache:
                    stage.llm.reset_prefix_cache()
                self.send({"success": stage.empties_cache})
            else:
                self.send({"detail": "Not Found"}, 404)

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        stage = self.server
        stage.requests.append(body)
        fields = (
            "temperature",
            "top_p",
            "top_k",
            "min_p",
            "repetition_penalty",
            "max_tokens",
            "seed",
            "stop_token_ids",
        )
        asked = SamplingParams(**{name: body[name] for name in fields}, detokenize=False, logprobs=body.get("logprobs"))
        served = stage.llm.model.network
        stage.llm.model.network = served if body["model"] == stage.name else stage.adapters[body["model"]]
        written = stage.llm.write(body["prompt"], asked)
        stage.llm.model.network = served
        output = written.outputs[0]
        logprobs = [
            position[token].logprob for token, position in zip(output.token_ids, output.logprobs or [], strict=False)
        ]
        choice = {
            "index": 0,
            "text": "",
            "finish_reason": "stop",
            "token_ids": list(output.token_ids) if body.get("return_token_ids") else None,
            "logprobs": {"token_logprobs": logprobs} if logprobs else None,
        }
        details = {"cached_tokens": written.num_cached_tokens} if stage.tells_hits else None
        return {"id": "1", "choices": [choice], "usage": {"prompt_tokens_details": details}}

    def change_adapter(self, body: dict[str, Any]) -> None:
        """Load or unload an adapter; vLLM answers with a plain text."""
        stage, name = self.server, body["lora_name"]
        if self.path == "/v1/load_lora_adapter":
            from peft import PeftModel

            network = copy.deepcopy(stage.llm.model.network)
            stage.adapters[name] = PeftModel.from_pretrained(network, body["lora_path"]).eval()
        else:
            del stage.adapters[name]
        self.send(f"Success: LoRA adapter '{name}' changed.")

    def send(self, body: object, status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def serving(
    folder: Path, config: dict[str, Any] | None = TRAINABLE, tells_hits: bool = True, host: str = "127.0.0.1"
) -> Iterator[Stage]:
    stage = Stage(folder, config, tells_hits, host)
    thread = threading.Thread(target=stage.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        stage.shutdown()
        stage.server_close()
        thread.join()


SAMPLED = Sampling(temperature=0.9, max_tokens=12, seed=3)


def gap(engine: Any, network: Any, prompts: list[list[int]]) -> float:
    """The largest difference between a sampled token's log-probability at the server and in the network."""
    gaps = [0.0]
    for prompt, written in zip(prompts, engine.generate_ids(prompts, SAMPLED), strict=True):
        with torch.no_grad():
            logits = network(torch.tensor([prompt + written])).logits[0, len(prompt) - 1 : -1]
        own = (logits / SAMPLED.temperature).log_softmax(-1)[range(len(written)), written]
        gaps.append((own - torch.tensor(engine.logprobs_of(prompt, written))).abs().max().item())
    return max(gaps)
