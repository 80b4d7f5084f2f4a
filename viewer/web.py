"""The web application: routes, sockets, and one `Workbench` per tab of the browser."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import viser
from fastapi import FastAPI
from nicegui import Client, ui
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.websockets import WebSocket

from trackersplat.camera_paths.path_file import to_json
from viewer import urls
from viewer.document import Document
from viewer.entrance import BACKDROP
from viewer.pane_source import TabPanes
from viewer.panels.registry import PANELS
from viewer.pictures import Pictures
from viewer.relay import Relay
from viewer.stage.stage import Stage
from viewer.state import View
from viewer.tab import Tab
from viewer.workbench import Workbench

COMPRESSION = 1  # of 9: files are sent over a loopback or a tunnel, and higher levels cost more time than they save


class Web:
    """The ASGI application and the tabs that are open."""

    def __init__(self, document: Document, stage: Stage, backdrop: Callable[[Mapping[str, str]], str]) -> None:
        """``backdrop``: HTML for the query of an address, behind the workbench until it has drawn itself."""
        self._backdrop = backdrop
        self._document = document
        self._stage = stage
        self._tabs: dict[str, Tab] = {}
        self._autoplay = False
        self.opened = threading.Event()  # a page has been built
        self._relay: Relay | None = None
        self.app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        self.app.add_api_route("/stage/{tab}/{path:path}", self._stage_file, methods=["GET"], include_in_schema=False)
        self.app.add_api_websocket_route("/stage/{tab}", self._stage_socket)
        self.app.add_api_websocket_route("/pictures", self._pictures_socket)
        self.pictures = Pictures()
        self.app.add_api_route("/exports/{number}", self._export, methods=["GET"], include_in_schema=False)
        self.app.add_api_route("/videos/{number}", self._video, methods=["GET"], include_in_schema=False)
        self.app.add_api_route("/camera_path.json", self._camera_path, methods=["GET"], include_in_schema=False)
        self.app.add_api_route("/notes.csv", self._notes, methods=["GET"], include_in_schema=False)
        ui.page("/", title=f"{document.capture.name} · TrackerSplat", dark=True)(self._page)
        ui.run_with(
            self.app, dark=True, tailwind=False, show_welcome_message=False, reconnect_timeout=60.0, title="TrackerSplat",
            gzip_middleware_factory=partial(GZipMiddleware, compresslevel=COMPRESSION),
        )  # fmt: skip
        for facts in PANELS:
            if facts.place != "inspector":
                PANELS.load(facts.name)  # imported now, not when a page waits for it

    def play_when_shown(self) -> None:
        """New tabs, and those that are open, start to play."""
        self._autoplay = True
        for tab in list(self._tabs.values()):
            tab.set(playing=True)

    def close(self) -> None:
        self.pictures.close()
        for tab in list(self._tabs.values()):
            self._document.store.close_tab(tab.id)

    async def disconnect(self) -> None:
        """On the event loop of the server, when it serves nobody any more."""
        if self._relay is not None:
            await self._relay.close()

    # -- pages --------------------------------------------------------------------------------------------------------

    async def _page(self, request: Request, client: Client) -> None:
        identity = secrets.token_urlsafe(12)
        asked = urls.read(dict(request.query_params), self._document.capture)
        store = self._document.store
        start = View(playing=self._autoplay and not asked, panes=(urls.first_pane(self._document),), present=False)
        store.open_tab(identity, start)
        tab = Tab(identity, store, self._document)
        if asked:
            tab.set(**asked)
        self._tabs[identity] = tab
        ui.add_body_html(self._backdrop(dict(request.query_params)))
        bench = Workbench(tab, self._stage)
        bench.build()
        client.on_connect(lambda: store.attend(identity, True))
        client.on_disconnect(lambda: store.attend(identity, False))
        client.on_connect(lambda: client.run_javascript(f"document.querySelector('.{BACKDROP}')?.remove()"))

        def gone() -> None:
            bench.close()
            store.close_tab(identity)
            self._tabs.pop(identity, None)

        client.on_delete(gone)
        self.opened.set()

    def _notes(self) -> Response:
        """The flags and notes of the run on the screen, as a file to keep."""
        headers = {"content-disposition": 'attachment; filename="notes.csv"', "cache-control": "no-store"}
        return Response(self._document.notes.csv(), media_type="text/csv; charset=utf-8", headers=headers)

    def _video(self, number: int) -> Response:
        """A video that this program has rendered, by its number: no name of a file comes from the page."""
        return _download(self._document.video.file(number))

    def _export(self, number: int) -> Response:
        """An export that this program has written, likewise."""
        return _download(self._document.export.file(number))

    def _camera_path(self) -> Response:
        """The camera path of the run on the screen, for `trackersplat render --path`."""
        path = self._document.camera_paths.get()
        if path is None:
            return Response("There is no camera path yet.\n", 404, media_type="text/plain; charset=utf-8")
        headers = {"content-disposition": 'attachment; filename="camera_path.json"', "cache-control": "no-store"}
        return Response(json.dumps(to_json(path), indent=1) + "\n", media_type="application/json", headers=headers)

    # -- the stage ----------------------------------------------------------------------------------------------------

    def _relayed(self) -> Relay:
        """Made on the event loop that it works on."""
        if self._relay is None:
            self._relay = Relay(self._stage.server, lambda tab: tab in self._tabs, self._connected, self._disconnected)
        return self._relay

    def _connected(self, tab: str, client: viser.ClientHandle) -> None:
        found = self._tabs.get(tab)
        if found is not None:
            asyncio.get_running_loop().run_in_executor(None, self._stage.connect, found, client)

    def _disconnected(self, tab: str, client: viser.ClientHandle) -> None:
        self._stage.disconnect(client)

    async def _stage_file(self, request: Request) -> object:
        return await self._relayed().file(request)

    async def _stage_socket(self, websocket: WebSocket) -> None:
        await self._relayed().socket(websocket)

    # -- pictures of the panes ----------------------------------------------------------------------------------------

    async def _pictures_socket(self, websocket: WebSocket) -> None:
        tab = self._tabs.get(websocket.query_params.get("tab", ""))
        if tab is None:
            await websocket.close(1008)
            return
        await self.pictures.handle(websocket, TabPanes(tab))


def _download(file: Path | None) -> Response:
    """A file to keep. Nothing of it is shown: it may be a page."""
    if file is None:
        return Response("There is no such file.\n", 404, media_type="text/plain; charset=utf-8")
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return FileResponse(file, filename=file.name, media_type="application/octet-stream", headers=headers)
