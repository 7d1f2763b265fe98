"""A person judges on a page in the browser, which this process serves to this machine only.

What keeps others out: the server listens on 127.0.0.1 only; the address holds a random token, without which every
request is refused; a request must name the address it was sent to (`Host`), so no other site's name can be bound to
ours; and a verdict must come from the page itself (`Origin`) as JSON. The page loads nothing but its own script and
style, and a content-security policy lets nothing else run.
"""

from __future__ import annotations

import secrets
import sys
import threading
import webbrowser
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any

from rrr_core.errors import RrrError
from rrr_core.overlays import page_parts
from rrr_person_judge.board import Board, Refused, Then, nothing, read_request
from rrr_person_judge.options import NAME
from rrr_person_judge.sitting import Sitting

HOST = "127.0.0.1"
MOST_BYTES = 1 << 16
"""Bytes that a page may send at once."""
SECONDS = 30
"""Seconds for a request to arrive in full, and for a response to be sent."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def assets() -> dict[str, tuple[str, bytes]]:
    """Path on the server → content type and content. The script starts with the core's, which escapes hostile text."""
    ours, (script, style) = files("rrr_person_judge") / "assets", page_parts()
    script += "\n" + (ours / "person.js").read_text("utf-8")
    style += (ours / "person.css").read_text("utf-8")
    return {
        "": ("text/html", (ours / "person.html").read_bytes()),
        "person.js": ("text/javascript", f'"use strict";\n(() => {{\n{script}\n}})();\n'.encode()),
        "person.css": ("text/css", style.encode()),
    }


class PageFace:
    """Asks on a page that stays up, at one address, until the process ends or `close`."""

    def __init__(self, task: str, port: int = 0, *, opens: bool = False) -> None:
        """Serve at a port (0: a free one) and print the address on standard error. Raises RrrError if it is taken."""
        self.board = Board(task)
        try:
            self._server = PageServer(port, self.board)
        except OSError as error:
            raise RrrError(
                f"The overlay {NAME!r}, option page: the port {port} is not available ({error.strerror}): "
                "name another, or auto."
            ) from None
        self.address = self._server.address
        self._thread = threading.Thread(target=partial(self._server.serve_forever, 0.1), name=NAME, daemon=True)
        self._thread.start()
        _say(f"judge at {self.address}")
        if opens and not webbrowser.open(self.address):
            _say("no browser could be opened: open the address yourself.")

    def ask(self, sitting: Sitting) -> None:
        """Show a sitting on the page, and wait for the person to hand it over."""
        self.board.put(sitting)
        try:
            sitting.wait()
        except KeyboardInterrupt:
            _say(str(sitting.stopped()), before="\n")
            raise
        finally:
            self.board.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _say(line: str, before: str = "") -> None:
    """Write a line to the person, on standard error."""
    sys.stderr.write(f"{before}{NAME}: {line}\n")
    sys.stderr.flush()


class PageServer(ThreadingHTTPServer):
    """The page, its script and style, and the board's requests, below the token's path."""

    daemon_threads = True

    def __init__(self, port: int, board: Board) -> None:
        self.board, self.assets = board, assets()
        self.token = secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def server_bind(self) -> None:
        """Bind without looking up this machine's name, which may take a name server's time-out."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that disconnects midway is not an error; everything else keeps its traceback."""
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = SECONDS
    server_version, sys_version = "rrr", ""
    _body = b""

    def do_GET(self) -> None:
        """The page and its parts, and what is on the board."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """The person's decisions."""
        self._answer(self._post)

    def _answer(self, give: Callable[[str], tuple[str, bytes, Then]]) -> None:
        """Send the response that `give` makes for the path below the token's, then run its follow-up."""
        try:
            # Read first: if a body is left unread, closing the connection may lose the response.
            self._body = self._received()
            self._check_host()
            status, (kind, content, then) = HTTPStatus.OK, give(self._place())
        except Refused as refusal:
            status, kind, content, then = refusal.status, "text/plain", f"{refusal}\n".encode(), refusal.then
        try:
            self._send(status, kind, content)
        finally:
            then()

    def _get(self, place: str) -> tuple[str, bytes, Then]:
        path, _, query = place.partition("?")
        if path in self.server.assets:
            return *self.server.assets[path], nothing
        return "application/json", self.server.board.read(path, query), nothing

    def _post(self, place: str) -> tuple[str, bytes, Then]:
        origin = self.headers.get("Origin")
        if origin is not None and origin.removeprefix("http://") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, "Verdicts come from the page itself.")
        if self.headers.get_content_type() != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "JSON is expected.")
        return "application/json", *self.server.board.take(place, read_request(self._body))

    def _received(self) -> bytes:
        """The body of the request."""
        length = self.headers.get("Content-Length", "0" if self.command == "GET" else "")
        if not (length.isascii() and length.isdecimal() and len(length) < 10):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "A length is expected.")
        if int(length) > MOST_BYTES:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "That is too much.")
        return self.rfile.read(int(length))

    def _check_host(self) -> None:
        if self.headers.get("Host", "") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, f"Open this page as {HOST}:{self.server.server_port}.")

    def _place(self) -> str:
        """The path below the token's."""
        token, slash, place = self.path.removeprefix("/").partition("/")
        if not slash or not secrets.compare_digest(token.encode("utf-8", "replace"), self.server.token.encode()):
            raise Refused(HTTPStatus.NOT_FOUND, "Nothing is here. The whole address was printed where the job runs.")
        return place

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing: the terminal belongs to the job."""
