"""A real HTTP server on this machine that acts as an OpenAI-compatible one, well or badly."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Play = Callable[["Handler", dict[str, Any]], None]


class Stage(ThreadingHTTPServer):
    """Answers each request with `play`; records what was asked, when, and how many were in flight at once."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, play: Play) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.play, self.lock = play, threading.Lock()
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.times: list[float] = []
        self.in_flight = self.most_in_flight = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are expected."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Stage

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stage = self.server
        with stage.lock:
            stage.requests.append(body)
            stage.headers.append({name.lower(): value for name, value in self.headers.items()})
            stage.paths.append(self.path)
            stage.times.append(time.monotonic())
            stage.in_flight += 1
            stage.most_in_flight = max(stage.most_in_flight, stage.in_flight)
        try:
            stage.play(self, body)
        finally:
            with stage.lock:
                stage.in_flight -= 1

    def send(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        """Send `body` as JSON, or a `str` as is."""
        self.send_bytes((body if isinstance(body, str) else json.dumps(body)).encode(), headers, status)

    def send_bytes(self, content: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def reset(self) -> None:
        """Break off the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


def completion(text: str | None, finish: str = "stop") -> dict[str, Any]:
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
    }


def echo(handler: Handler, body: dict[str, Any]) -> None:
    handler.send(200, completion(f"you said {body['messages'][-1]['content']}"))


def first(times: int, fault: Play) -> Play:
    """`fault` on the first `times` requests, an echo after them."""
    faults = iter([fault] * times)

    def play(handler: Handler, body: dict[str, Any]) -> None:
        next(faults, echo)(handler, body)

    return play


@contextmanager
def serving(play: Play) -> Iterator[Stage]:
    stage = Stage(play)
    thread = threading.Thread(target=stage.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        stage.shutdown()
        stage.server_close()
        thread.join()
