"""The page behind a proxy that serves it below a path, as notebook servers do: the path is taken off, and told in a header."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page_server import started_page_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

BELOW = "/user/anna/proxy/8080"
OWN = ("connection", "upgrade", "transfer-encoding", "content-length")  # headers of one connection


class Proxy:
    """Passes on what lies below ``BELOW``; ``outside`` has the paths of all other requests."""

    def __init__(self, target: str) -> None:
        self._target = target
        self.outside: list[str] = []
        self.url = ""

    async def answer(self, request):
        from aiohttp import ClientSession, web

        if not request.path.startswith(f"{BELOW}/"):
            self.outside.append(request.path)
            return web.Response(status=404)
        url = self._target + request.path_qs.removeprefix(BELOW)
        headers = {key: value for key, value in request.headers.items() if key.lower() not in OWN and not key.lower().startswith("sec-")}
        headers["X-Forwarded-Prefix"] = BELOW
        async with ClientSession(auto_decompress=False) as session:
            if request.headers.get("Upgrade", "").lower() == "websocket":
                return await self._socket(request, session, url, headers)
            async with session.request(request.method, url, headers=headers, data=await request.read()) as answer:
                kept = {key: value for key, value in answer.headers.items() if key.lower() not in OWN}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())

    @staticmethod
    async def _socket(request, session, url: str, headers: dict[str, str]):
        from aiohttp import WSMsgType, web

        async with session.ws_connect(url, headers=headers, max_msg_size=0) as inner:
            outer = web.WebSocketResponse(max_msg_size=0)
            await outer.prepare(request)

            async def pass_on(source, sink) -> None:
                async for message in source:
                    await (sink.send_str(message.data) if message.type is WSMsgType.TEXT else sink.send_bytes(message.data))
                await sink.close()

            await asyncio.gather(pass_on(outer, inner), pass_on(inner, outer))
            return outer


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    from aiohttp import web

    proxy, loop, started = Proxy(target), asyncio.new_event_loop(), threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", proxy.answer)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}{BELOW}"
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_page_its_pictures_and_its_stage_are_asked_for_below_the_path(chromium: Browser, tmp_path: Path) -> None:
    with started_page_server(tmp_path, "demo") as (address, _), proxied(address) as proxy:
        page = chromium.new_page()
        page.set_default_timeout(120_000)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{proxy.url}/?frame=3&cameras=8")
        page.get_by_text("PSNR").first.wait_for(timeout=400_000)  # of a rendered picture
        page.wait_for_function("() => document.querySelector('iframe')?.contentDocument?.querySelector('canvas')")
        page.close()
    assert any(f"{BELOW}/photo?" in url for url in asked)
    assert any(f"{BELOW}/stage/" in url for url in asked)
    assert [path for path in proxy.outside if path != "/favicon.ico"] == []
