"""Who may talk to the page: real handshakes against a real server."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Iterator

import pytest
import viser
import viser._messages as messages
import websockets
from websockets.typing import Origin, Subprotocol

from viewer.server import NAMES_SAID, OriginGuard, PageServer, is_host_name


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    server = PageServer("127.0.0.1", 0, "test")
    yield server
    server.stop()


def handshake(server: PageServer, origin: str | None, host: str | None = None) -> bytes:
    """The first message after a websocket handshake, as a browser on a page of ``origin`` would make it."""

    async def connect() -> bytes:
        port = server.get_port()
        headers = None
        if host is not None:
            # The library writes its own Host header from the address; another one takes a raw request.
            return await _raw_handshake(port, host, origin)
        protocol = Subprotocol(f"viser-v{viser.__version__}")
        async with websockets.connect(
            f"ws://127.0.0.1:{port}",
            subprotocols=[protocol],
            origin=None if origin is None else Origin(origin),
            additional_headers=headers,
            max_size=None,
        ) as socket:
            message = await asyncio.wait_for(socket.recv(), 10)
            assert isinstance(message, bytes)
            return message

    return asyncio.run(connect())


async def _raw_handshake(port: int, host: str, origin: str | None) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [
        "GET / HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: viser-v{viser.__version__}",
        *([] if origin is None else [f"Origin: {origin}"]),
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = await asyncio.wait_for(reader.readline(), 10)
    writer.close()
    return status


def test_a_page_of_this_server_is_let_in(server: PageServer) -> None:
    assert len(handshake(server, f"http://127.0.0.1:{server.get_port()}")) > 0


def test_a_program_without_an_origin_is_let_in(server: PageServer) -> None:
    assert len(handshake(server, None)) > 0


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",  # another program's page on this machine
        "http://127.0.0.1.evil.example:{port}",
        "http://evil.example:{port}",
        "http://localhost:{port}",  # the request went to 127.0.0.1
        "null",
        "file://",
        "http://user@127.0.0.1:{port}",
    ],
)
def test_a_foreign_page_is_refused_in_the_handshake(server: PageServer, origin: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        handshake(server, origin.format(port=server.get_port()))
    assert refused.value.response.status_code == 403


def test_a_rebound_domain_name_is_refused_though_host_and_origin_agree(server: PageServer) -> None:
    port = server.get_port()
    assert b" 403 " in handshake(server, f"http://evil.example:{port}", host=f"evil.example:{port}")
    assert b" 101 " in handshake(server, f"http://localhost:{port}", host=f"localhost:{port}")


def test_a_forwarded_port_is_let_in(server: PageServer) -> None:
    assert b" 101 " in handshake(server, "http://localhost:9000", host="localhost:9000")


def test_the_page_itself_is_served_only_under_our_names(server: PageServer) -> None:
    for host, status in ((f"127.0.0.1:{server.get_port()}", 200), ("evil.example", 403)):
        connection = http.client.HTTPConnection("127.0.0.1", server.get_port(), timeout=10)
        connection.request("GET", "/", headers={"Host": host})
        assert connection.getresponse().status == status
        connection.close()


def test_the_share_tunnel_cannot_be_asked_for(server: PageServer) -> None:
    handlers = server._websock_server._incoming_handlers
    assert messages.ShareUrlRequest not in handlers
    assert messages.ShareUrlDisconnect not in handlers
    assert server.request_share_url() is None


def test_a_server_for_other_machines_answers_to_addresses_and_its_own_name_only() -> None:
    guard = OriginGuard("0.0.0.0")
    assert guard.allows("192.168.1.7:8080", "http://192.168.1.7:8080", True)
    assert guard.allows("[fe80::1]:8080", "http://[fe80::1]:8080", True)
    assert not guard.allows("evil.example:8080", "http://evil.example:8080", True)
    assert not guard.allows("192.168.1.7:8080", "http://evil.example", True)
    assert not OriginGuard("127.0.0.1").allows("192.168.1.7:8080", "http://192.168.1.7:8080", True)
    assert not guard.allows(None, None, False)
    assert not guard.allows("[::1", None, False)


@pytest.fixture(scope="module")
def proxied() -> Iterator[PageServer]:
    server = PageServer("127.0.0.1", 0, "test", ("lab.example.org", "Workstation.local"))
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:{port}", "https://lab.example.org", b" 101 "),  # a proxy that sends its own address on
        ("lab.example.org", "https://lab.example.org", b" 101 "),  # one that sends the browser's
        ("workstation.local:{port}", "http://workstation.local:{port}", b" 101 "),
        ("lab.example.org", "https://evil.example", b" 403 "),
        ("127.0.0.1:{port}", "https://lab.example.org.evil.example", b" 403 "),
        ("127.0.0.1:{port}", "https://lab.example.org@evil.example", b" 403 "),
        ("127.0.0.1:{port}", "https://evil.example@lab.example.org", b" 403 "),
        ("127.0.0.1:{port}", "file://lab.example.org", b" 403 "),
        ("evil.example", "https://lab.example.org", b" 403 "),
    ],
)
def test_an_allowed_name_is_answered_with_and_without_its_host_header(proxied: PageServer, host: str, origin: str, status: bytes) -> None:
    port = proxied.get_port()
    assert status in handshake(proxied, origin.format(port=port), host=host.format(port=port))


def test_a_refused_name_is_told_once_with_the_option_that_allows_it(capsys: pytest.CaptureFixture[str]) -> None:
    server = PageServer("127.0.0.1", 0, "test")
    try:
        port = server.get_port()
        for _ in range(2):
            assert b" 403 " in handshake(server, "https://lab.example.org", host=f"127.0.0.1:{port}")
            assert b" 403 " in handshake(server, "http://box.local", host="box.local")
        assert b" 403 " in handshake(server, "https://a;b.example", host=f"127.0.0.1:{port}")
    finally:
        server.stop()
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(" ")[2] for line in lines] == ["lab.example.org.", "box.local."]
    assert all("--allow-host" in line for line in lines)


def test_a_scanner_cannot_fill_the_terminal() -> None:
    said: list[str] = []
    guard = OriginGuard("127.0.0.1", refused=said.append)
    for number in range(1000):
        assert not guard.allows(f"n{number}.example", None, False)
    assert len(said) == NAMES_SAID


@pytest.mark.parametrize("name", ["lab.example.org", "box", "192.168.1.7", "::1", "[fe80::1]"])
def test_names_and_addresses_can_be_allowed(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize("name", ["", "http://lab.example.org", "lab.example.org:80", "*", "a b", "a/b", "-x", "ä"])
def test_what_is_no_name_of_a_host_cannot_be_allowed(name: str) -> None:
    assert not is_host_name(name)
