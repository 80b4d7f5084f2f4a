"""Who may use the page: one ASGI middleware that decides for every page, file and socket.

A browser names the page that sends a request (Origin) and the host that it was sent to (Host). Only pages that this server served may use
it; on an address that other machines can reach, only those who know the token of the printed URL.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
import sys
from collections.abc import Callable, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,252}[a-z0-9])?")
NAMES_SAID = 20  # refused names that are shown in the terminal, at most, so that a scanner cannot fill it
COOKIE = "trackersplat-token"
MOST_FIELDS = 50  # of the query of an address


def is_loopback(host: str) -> bool:
    return host in _LOOPBACK


def new_token() -> str:
    return secrets.token_urlsafe(24)


class Guard:
    """Refuses foreign origins, foreign hosts and, with a token, whoever does not bring it in the URL (``?token=``) or the cookie.

    An origin is ours if it names the very host and port the request was sent to (so that SSH port forwarding works), and that host is one
    we answer to: loopback names, the allowed names, and if the server is bound elsewhere also the bound name, this machine's names and
    plain IP addresses (a rebound foreign domain name is none of those). Behind a proxy that sends its own address as host, an origin of an
    allowed name is ours, too. ``refused`` is called with the name that a refused request was made for, once per name.
    """

    def __init__(
        self,
        inner: ASGIApp,
        host: str,
        allowed: Sequence[str] = (),
        token: str | None = None,
        refused: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._inner = inner
        self._public = not is_loopback(host)
        self._allowed = {_plain(name) for name in allowed}
        self._names = _LOOPBACK | self._allowed
        self._token = token
        self._refused = refused
        self._said: set[str] = set()
        if self._public:
            self._names = self._names | {host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._inner(scope, receive, send)
            return
        websocket = scope["type"] == "websocket"
        hosts, origins = _values(scope, b"host"), _values(scope, b"origin")
        if len(hosts) != 1 or len(origins) > 1 or not self.allows(hosts[0], origins[0] if origins else None):
            await _refuse(scope, send, "This page answers only to itself.\n")
            return
        in_url = _token_in(scope.get("query_string", b""))
        if self._token is not None and not (secrets.compare_digest(in_url.encode(), self._token.encode()) or self._in_cookie(scope)):
            await _refuse(scope, send, "Open this page by the address that trackersplat-view printed: it has a token.\n")
            return
        await self._inner(scope, receive, send if websocket else self._with_headers(send, in_url))

    def allows(self, host_header: str | None, origin: str | None) -> bool:
        name = _name_in(f"//{host_header or ''}")
        if not self._known(name):
            self._say(name)
            return False
        if origin is None:
            return True  # a program that is no browser could send any header anyway; a browser names the origin of every foreign request
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

    def _with_headers(self, send: Send, in_url: str) -> Send:
        """Adds the headers that keep other sites from framing the page, and the cookie that carries the token on."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message.get("headers", []) if pair[0].lower() != b"x-frame-options"]
                headers += [
                    (b"content-security-policy", b"frame-ancestors 'self'"),
                    (b"x-frame-options", b"SAMEORIGIN"),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cross-origin-resource-policy", b"same-origin"),
                ]
                if self._token is not None and in_url:
                    headers.append((b"set-cookie", f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict".encode()))
                message = {**message, "headers": headers}
            await send(message)

        return sending

    def _in_cookie(self, scope: Scope) -> bool:
        assert self._token is not None
        for value in _values(scope, b"cookie"):
            try:
                found = SimpleCookie(value).get(COOKIE)
            except CookieError:
                continue
            if found is not None and secrets.compare_digest(found.value.encode(), self._token.encode()):
                return True
        return False

    def _say(self, name: str | None) -> None:
        if name is not None and name not in self._said and len(self._said) < NAMES_SAID and is_host_name(name):
            self._said.add(name)
            self._refused(name)

    def _known(self, name: str | None) -> bool:
        if name is None:
            return False
        return name in self._names or (self._public and _is_address(name))


def hint(name: str) -> None:
    """Says in the terminal what to do about a refused name."""
    print(
        f"refused: a browser asked for this page under the name {name}. If that is your own proxy or this machine's name, start again "
        f"with --allow-host {name}.",
        file=sys.stderr,
        flush=True,
    )


def is_host_name(name: str) -> bool:
    """Whether it can be the name or address of a host, without a port."""
    return _HOST_NAME.fullmatch(_plain(name)) is not None or _is_address(_plain(name))


async def _refuse(scope: Scope, send: Send, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})


def _token_in(query: bytes) -> str:
    """What an address has after ``token=``; nothing if it has more fields than any address of ours."""
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=MOST_FIELDS).get("token", [""])[0]
    except ValueError:
        return ""


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]


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
