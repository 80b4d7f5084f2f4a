"""The web server of the page: viser's, closed to other web sites and to the public share tunnel."""

from __future__ import annotations

import contextlib
import functools
import http
import io
import ipaddress
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import viser
import viser._messages as messages
import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_patching = threading.Lock()


def is_loopback(host: str) -> bool:
    return host in _LOOPBACK


class OriginGuard:
    """Decides from the headers whether a request comes from a page that this server served.

    A browser tells the page's origin in every websocket handshake. It is ours if it names the very host and port the
    request was sent to (so that SSH port forwarding works), and that host is one we answer to: loopback names, and
    if the server is bound elsewhere also the bound name, this machine's names, and plain IP addresses (a
    rebound foreign domain name is none of those).
    """

    def __init__(self, host: str) -> None:
        self._public = not is_loopback(host)
        self._names = set(_LOOPBACK)
        if self._public:
            self._names |= {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}

    def allows(self, host_header: str | None, origin: str | None, websocket: bool) -> bool:
        if not self._known(host_header):
            return False
        if not websocket:
            return True
        if origin is None:
            return True  # no browser: a local program could send any header anyway
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc.lower() == (host_header or "").lower()

    def _known(self, host_header: str | None) -> bool:
        try:
            name = urlsplit(f"//{host_header or ''}").hostname
        except ValueError:
            return False
        if name is None:
            return False
        if name in self._names:
            return True
        if not self._public:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


@contextlib.contextmanager
def _guarded_handshakes(guard: OriginGuard) -> Iterator[None]:
    """While this lasts, servers that viser starts ask ``guard`` first.

    viser 1.1.1 has no hook for this: it calls ``websockets.asyncio.server.serve`` by that name with its own
    ``process_request``. So the name is wrapped for the moment of the start.
    """
    original = websockets.asyncio.server.serve

    @functools.wraps(original)
    def serve(*args: Any, process_request: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        def guarded(connection: ServerConnection, request: Request) -> Response | None:
            is_websocket = request.headers.get("Upgrade", "").lower() == "websocket"
            hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
            if len(hosts) != 1 or len(origins) > 1 or not guard.allows(hosts[0], origins[0] if origins else None, is_websocket):
                return connection.respond(http.HTTPStatus.FORBIDDEN, "This page answers only to itself.\n")
            return process_request(connection, request) if process_request is not None else None

        return original(*args, process_request=guarded, **kwargs)

    with _patching:
        websockets.asyncio.server.serve = serve  # type: ignore[misc, assignment]
        try:
            yield
        finally:
            websockets.asyncio.server.serve = original  # type: ignore[misc]


class PageServer(viser.ViserServer):
    """viser's server that refuses foreign origins and every request for a public share link."""

    def __init__(self, host: str, port: int, label: str) -> None:
        guard = OriginGuard(host)
        # viser prints its own banner; ours says more.
        with _guarded_handshakes(guard), contextlib.redirect_stdout(io.StringIO()):
            super().__init__(host=host, port=port, label=label, verbose=False)
        for message in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
            self._websock_server.unregister_handler(message)
        # A tab may close between any two messages to it; that is no news.
        warnings.filterwarnings("ignore", message="Queued a .* on a closed connection", category=UserWarning)

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Never: the page shows local files and starts local processes."""
        return None

    @property
    def url(self) -> str:
        host = self.get_host()
        name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
        return f"http://[{name}]:{self.get_port()}" if ":" in name else f"http://{name}:{self.get_port()}"
