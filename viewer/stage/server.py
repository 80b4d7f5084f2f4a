"""viser's server behind the page: on a free port of the loopback, for nobody but the relay."""

from __future__ import annotations

import contextlib
import functools
import http
import io
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import viser
import viser._messages as messages
import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

SECRET_HEADER = "X-Stage-Secret"
_patching = threading.Lock()


@contextlib.contextmanager
def _guarded_handshakes(secret: str) -> Iterator[None]:
    """While this lasts, servers that viser starts answer only to requests that carry the secret.

    viser 1.1.1 has no hook for this: it calls ``websockets.asyncio.server.serve`` by that name with its own ``process_request``. So the
    name is wrapped for the moment of the start.
    """
    original = websockets.asyncio.server.serve

    @functools.wraps(original)
    def serve(*args: Any, process_request: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
        def guarded(connection: ServerConnection, request: Request) -> Response | None:
            brought = request.headers.get_all(SECRET_HEADER)
            if len(brought) != 1 or not secrets.compare_digest(brought[0].encode(), secret.encode()):
                return connection.respond(http.HTTPStatus.FORBIDDEN, "This server answers only to the page of trackersplat-view.\n")
            return process_request(connection, request) if process_request is not None else None

        return original(*args, process_request=guarded, **kwargs)

    with _patching:
        websockets.asyncio.server.serve = serve  # type: ignore[misc, assignment]
        try:
            yield
        finally:
            websockets.asyncio.server.serve = original  # type: ignore[misc]


class StageServer(viser.ViserServer):
    """Draws the 3D stage. Whatever viser would accept from a page but the stage does not need is refused by the relay as well."""

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(24)
        # viser prints a banner with an address that is of no use to anybody.
        with _guarded_handshakes(self.secret), contextlib.redirect_stdout(io.StringIO()):
            super().__init__(host="127.0.0.1", port=0, label="TrackerSplat", verbose=False)
        for message in (messages.ShareUrlRequest, messages.ShareUrlDisconnect):
            self._websock_server.unregister_handler(message)
        # Lines and handles have plain colours: no light falls on them.
        self.scene.configure_environment_map(None)
        self.scene.configure_default_lights(enabled=False, cast_shadow=False)
        self.gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        # A tab may close between any two messages to it; that is no news.
        warnings.filterwarnings("ignore", message="Queued a .* on a closed connection", category=UserWarning)

    def client_at(self, port: int) -> viser.ClientHandle | None:
        """viser's handle of the connection that comes from this port of the loopback; None before its page has told its viewpoint."""
        clients = self.get_clients()
        for number, connection in list(self._websock_server._live_connections.items()):
            if number in clients and connection.remote_address[1] == port:
                return clients[number]
        return None

    def stop(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # viser says that it stopped
            super().stop()

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Never: the page shows local files and starts local processes."""
        return None
