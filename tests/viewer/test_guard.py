"""Who may use the page: one decision for pages, files and sockets."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from viewer.guard import COOKIE, MOST_FIELDS, NAMES_SAID, Guard, hint, is_host_name


async def everybody(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
    await send({"type": "http.response.body", "body": b"in"})


def ask(guard: Guard, *headers: tuple[str, str], kind: str = "http", query: str = "") -> list[Message]:
    """What a request with these headers is answered."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: dict[str, Any] = {
        "type": kind, "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers], "query_string": query.encode(),
    }  # fmt: skip
    asyncio.run(guard(scope, receive, send))
    return sent


def lets_in(guard: Guard, host: str | None, origin: str | None, kind: str = "http", query: str = "", cookie: str | None = None) -> bool:
    headers = [("host", host), ("origin", origin), ("cookie", cookie)]
    first = ask(guard, *((name, value) for name, value in headers if value is not None), kind=kind, query=query)[0]
    return first["type"] == "websocket.accept" or first.get("status") == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080", True),
        ("127.0.0.1:8080", None, True),  # a program, or a page opened by its address
        ("localhost:9000", "http://localhost:9000", True),  # a forwarded port
        ("127.0.0.1:8080", "https://evil.example", False),
        ("127.0.0.1:8080", "http://127.0.0.1", False),
        ("127.0.0.1:8080", "http://127.0.0.1:1", False),  # another program's page on this machine
        ("127.0.0.1:8080", "http://127.0.0.1.evil.example:8080", False),
        ("127.0.0.1:8080", "http://evil.example:8080", False),
        ("127.0.0.1:8080", "http://localhost:8080", False),  # the request went to 127.0.0.1
        ("127.0.0.1:8080", "null", False),
        ("127.0.0.1:8080", "file://", False),
        ("127.0.0.1:8080", "http://user@127.0.0.1:8080", False),
        ("127.0.0.1:8080", "http://[::1", False),
        ("evil.example:8080", "http://evil.example:8080", False),  # a rebound domain name
        ("192.168.1.7:8080", "http://192.168.1.7:8080", False),
        ("[::1", None, False),
        (None, None, False),
    ],
)
def test_pages_of_this_server_are_let_in_and_foreign_ones_are_not(host: str | None, origin: str | None, expected: bool, kind: str) -> None:
    assert lets_in(Guard(everybody, "127.0.0.1"), host, origin, kind) is expected


def test_two_hosts_or_origins_are_refused() -> None:
    guard = Guard(everybody, "127.0.0.1")
    assert ask(guard, ("host", "127.0.0.1"), ("host", "127.0.0.1"))[0]["status"] == 403
    twice = [("origin", "http://127.0.0.1")] * 2
    assert ask(guard, ("host", "127.0.0.1"), *twice, kind="websocket")[0]["type"] == "websocket.close"


def test_a_server_for_other_machines_answers_to_addresses_and_its_own_name_only() -> None:
    guard = Guard(everybody, "0.0.0.0")
    assert lets_in(guard, "192.168.1.7:8080", "http://192.168.1.7:8080")
    assert lets_in(guard, "[fe80::1]:8080", "http://[fe80::1]:8080")
    assert not lets_in(guard, "evil.example:8080", "http://evil.example:8080")
    assert not lets_in(guard, "192.168.1.7:8080", "http://evil.example")


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:8080", "https://lab.example.org", True),  # a proxy that sends its own address on
        ("lab.example.org", "https://lab.example.org", True),  # one that sends the browser's
        ("workstation.local:8080", "http://workstation.local:8080", True),
        ("lab.example.org", "https://evil.example", False),
        ("127.0.0.1:8080", "https://lab.example.org.evil.example", False),
        ("127.0.0.1:8080", "https://lab.example.org@evil.example", False),
        ("127.0.0.1:8080", "https://evil.example@lab.example.org", False),
        ("127.0.0.1:8080", "file://lab.example.org", False),
        ("evil.example", "https://lab.example.org", False),
    ],
)
def test_an_allowed_name_is_answered_with_and_without_its_host_header(host: str, origin: str, expected: bool) -> None:
    assert lets_in(Guard(everybody, "127.0.0.1", ("lab.example.org", "Workstation.local")), host, origin, "websocket") is expected


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_with_a_token_only_who_brings_it_in_the_address_or_the_cookie_is_let_in(kind: str) -> None:
    guard = Guard(everybody, "0.0.0.0", token="secret")
    host = "192.168.1.7:8080"
    assert not lets_in(guard, host, None, kind)
    assert not lets_in(guard, host, None, kind, query="token=wrong")
    assert not lets_in(guard, host, None, kind, query="token=")
    assert not lets_in(guard, host, None, kind, cookie=f"{COOKIE}=wrong")
    assert not lets_in(guard, host, None, kind, cookie="\x00;;=;")
    assert not lets_in(guard, host, "http://evil.example", kind, query="token=secret")
    assert lets_in(guard, host, None, kind, query="token=secret")
    assert lets_in(guard, host, None, kind, cookie=f"other=1; {COOKIE}=secret")


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_an_address_with_too_many_fields_brings_no_token_and_breaks_nothing(kind: str) -> None:
    query = "&".join(["a=1"] * MOST_FIELDS) + "&token=secret"
    assert lets_in(Guard(everybody, "127.0.0.1"), "127.0.0.1:8080", None, kind, query=query)
    assert not lets_in(Guard(everybody, "0.0.0.0", token="secret"), "192.168.1.7:8080", None, kind, query=query)


def test_the_token_of_the_address_becomes_a_cookie_that_scripts_and_other_sites_do_not_get() -> None:
    guard = Guard(everybody, "0.0.0.0", token="secret")
    headers = dict(ask(guard, ("host", "192.168.1.7"), query="token=secret")[0]["headers"])
    cookie = headers[b"set-cookie"].decode()
    assert cookie.startswith(f"{COOKIE}=secret;")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_no_other_site_may_frame_a_page() -> None:
    headers = ask(Guard(everybody, "127.0.0.1"), ("host", "127.0.0.1"))[0]["headers"]
    assert (b"content-security-policy", b"frame-ancestors 'self'") in headers
    assert [value for name, value in headers if name == b"x-frame-options"] == [b"SAMEORIGIN"]


def test_a_refused_name_is_told_once_with_the_option_that_allows_it(capsys: pytest.CaptureFixture[str]) -> None:
    guard = Guard(everybody, "127.0.0.1", refused=hint)
    for _ in range(2):
        assert not lets_in(guard, "127.0.0.1:8080", "https://lab.example.org", "websocket")
        assert not lets_in(guard, "box.local", "http://box.local")
    assert not lets_in(guard, "127.0.0.1:8080", "https://a;b.example")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["lab.example.org.", "box.local."]
    assert all("--allow-host" in line for line in lines)


def test_a_scanner_cannot_fill_the_terminal() -> None:
    said: list[str] = []
    guard = Guard(everybody, "127.0.0.1", refused=said.append)
    for number in range(1000):
        assert not guard.allows(f"n{number}.example", None)
    assert len(said) == NAMES_SAID


@pytest.mark.parametrize("name", ["lab.example.org", "box", "192.168.1.7", "::1", "[fe80::1]"])
def test_names_and_addresses_can_be_allowed(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize("name", ["", "http://lab.example.org", "lab.example.org:80", "*", "a b", "a/b", "-x", "ä"])
def test_what_is_no_name_of_a_host_cannot_be_allowed(name: str) -> None:
    assert not is_host_name(name)
