"""The web server of the page: viser's, closed to other web sites and to the public share tunnel."""

from __future__ import annotations

import contextlib
import functools
import http
import io
import ipaddress
import re
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import viser
import viser._messages as messages
import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,252}[a-z0-9])?")
NAMES_SAID = 20  # refused names that are shown in the terminal, at most, so that a scanner cannot fill it
_patching = threading.Lock()


def is_loopback(host: str) -> bool:
    return host in _LOOPBACK


class OriginGuard:
    """Decides from the headers whether a request comes from a page that this server served.

    A browser tells the page's origin in every websocket handshake. It is ours if it names the very host and port the
    request was sent to (so that SSH port forwarding works), and that host is one we answer to: loopback names, the allowed
    names, and if the server is bound elsewhere also the bound name, this machine's names, and plain IP addresses (a
    rebound foreign domain name is none of those). Behind a proxy that sends its own address as host, an origin of an allowed
    name is ours, too. ``refused`` is called with the name that a refused request was made for, once per name.
    """

    def __init__(self, host: str, allowed: Sequence[str] = (), refused: Callable[[str], None] = lambda name: None) -> None:
        self._public = not is_loopback(host)
        self._allowed = {_plain(name) for name in allowed}
        self._names = _LOOPBACK | self._allowed
        self._refused = refused
        self._said: set[str] = set()
        if self._public:
            self._names = self._names | {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}

    def allows(self, host_header: str | None, origin: str | None, websocket: bool) -> bool:
        name = _name_in(f"//{host_header or ''}")
        if not self._known(name):
            self._say(name)
            return False
        if not websocket or origin is None:
            return True  # without an origin it is no browser: a local program could send any header anyway
        page = _name_in(origin)
        parts = urlsplit(origin) if page is not None else None
        if (
            parts is not None
            and parts.scheme in ("http", "https")
            and "@" not in parts.netloc
            and (parts.netloc.lower() == (host_header or "").lower() or page in self._allowed)
        ):
            return True
        self._say(page)
        return False

    def _say(self, name: str | None) -> None:
        if name is not None and name not in self._said and len(self._said) < NAMES_SAID and is_host_name(name):
            self._said.add(name)
            self._refused(name)

    def _known(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in self._names:
            return True
        return self._public and _is_address(name)


def is_host_name(name: str) -> bool:
    """Whether it can be the name or address of a host, without a port."""
    return _HOST_NAME.fullmatch(_plain(name)) is not None or _is_address(_plain(name))


def _plain(name: str) -> str:
    return name.lower().strip("[]").removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_in(url: str) -> str | None:
    """The host of an address, None where there is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number
        return _plain(parts.hostname) if parts.hostname else None
    except ValueError:
        return None


def _hint(name: str) -> None:
    print(
        f"refused: a browser asked for this page under the name {name}. If that is your own proxy or this machine's name, start again "
        f"with --allow-host {name}.",
        file=sys.stderr,
        flush=True,
    )


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

    def __init__(self, host: str, port: int, label: str, allowed: Sequence[str] = ()) -> None:
        guard = OriginGuard(host, allowed, _hint)
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
