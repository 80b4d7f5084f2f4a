"""The ASGI application that is there at once: photographs, and a first page with them until the workbench is built.

It imports neither NiceGUI nor viser nor PyTorch, so a browser shows a photograph while they are imported.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from viewer import photographs, theme, urls

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

BEGUN = "/begun"  # answered when the workbench is there
PATIENCE = 5.0  # seconds until such a question is answered with "not yet"
KEPT = 20  # seconds that the browser keeps a photograph: the workbench begins with those of the first page
TRY_AGAIN = 1013  # websocket close code

BACKDROP = "ts-first"  # class of the photographs behind the workbench

_STATUS = '<span class="ts-ellipsis ts-muted" role="status">Starting the page …</span>'

_SCRIPT = """
<script>
const words = document.querySelector('[role=status]');
(async () => {
  for (let failed = 0; ; ) {
    try {
      const answer = await fetch('%s', {cache: 'no-store'});
      if (answer.status === 204) {
        if (document.readyState !== 'complete') await new Promise((loaded) => addEventListener('load', loaded));
        return location.reload();
      }
      failed = 0;
    } catch {
      failed += 1;
      if (failed > 3) words.textContent = 'The server does not answer. If it was stopped, start trackersplat-view again.';
      await new Promise((done) => setTimeout(done, 500));
    }
  }
})();
</script>"""

_LAYOUT = """
.ts-first { position: fixed; inset: 0; z-index: -1; display: grid; grid-template: 34px minmax(0, 1fr) 200px / 1fr 1fr 424px; gap: 1px;
  background: var(--line); }
.ts-first > * { background: var(--surface); min-width: 0; min-height: 0; }
.ts-first > header, .ts-first > footer { grid-column: 1 / -1; }
.ts-first > img { width: 100%; height: 100%; background: var(--bg); object-fit: contain; }
.ts-first > img:first-of-type { object-fit: cover; filter: brightness(.4); }
"""


class Entrance:
    """Answers by itself until `open`, and photographs always. Who may ask is decided before."""

    def __init__(self, capture: Capture, home: int) -> None:
        """``home``: the camera whose photograph is shown first."""
        self._capture = capture
        self._home = home
        self._inner: ASGIApp | None = None
        self._opened = asyncio.Event()

    def open(self, inner: ASGIApp) -> None:
        """From now on the workbench answers. Called on the event loop."""
        self._inner = inner
        self._opened.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path == photographs.PATH:
            await self._photo(scope, send)
        elif scope["type"] == "http" and path == BEGUN:
            await self._begun(send)
        elif self._inner is not None:
            await self._inner(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": TRY_AGAIN})
        elif path == "/":
            await _answer(send, 200, "text/html; charset=utf-8", self._page(_query(scope)).encode())
        else:
            await _answer(send, 503, "text/plain; charset=utf-8", b"The page is starting.\n")

    def backdrop(self, query: Mapping[str, str]) -> str:
        """HTML of the photographs behind the workbench, until it has drawn itself over them."""
        return self._photographs(query, "")

    def _photographs(self, query: Mapping[str, str], status: str) -> str:
        asked = urls.read(query, self._capture)
        frame = asked.get("frame", 0)
        camera = asked["panes"][0].camera if "panes" in asked else self._home
        stage, pane = (photographs.photo_url(index, frame) for index in (self._home, camera))
        of = html.escape(f"Photograph of {self._capture.cameras[camera].name}, frame {frame + 1}", quote=True)
        name = html.escape(self._capture.name)
        return (
            f"<style>{_LAYOUT}</style>"
            f'<div class="{BACKDROP}"><header class="ts-bar"><span class="ts-title">TrackerSplat</span>'
            f'<span class="ts-ellipsis">{name}</span>{status}</header>'
            f'<img src="{html.escape(stage)}" alt=""><img src="{html.escape(pane)}" alt="{of}"><aside></aside><footer></footer></div>'
        )

    def _page(self, query: Mapping[str, str]) -> str:
        title = html.escape(f"{self._capture.name} · TrackerSplat")
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{theme.css()}</style></head>'
            f"<body>{self._photographs(query, _STATUS)}{_SCRIPT % BEGUN[1:]}</body></html>"
        )

    async def _begun(self, send: Send) -> None:
        try:
            await asyncio.wait_for(self._opened.wait(), PATIENCE)
        except asyncio.TimeoutError:
            await _answer(send, 202, "text/plain; charset=utf-8", b"not yet\n")
        else:
            await _answer(send, 204, "", b"")

    async def _photo(self, scope: Scope, send: Send) -> None:
        numbers = [urls.whole(_query(scope).get(name, "")) for name in ("camera", "frame")]
        camera, frame = numbers
        if camera is None or frame is None or camera >= len(self._capture.cameras) or frame >= self._capture.frame_count:
            await _answer(send, 404, "text/plain; charset=utf-8", b"There is no such photograph.\n")
            return
        try:
            data = await asyncio.to_thread(photographs.photo_jpeg, self._capture, camera, frame)
        except InputError as error:
            await _answer(send, 404, "text/plain; charset=utf-8", f"{error}\n".encode())
        else:
            await _answer(send, 200, "image/jpeg", data, f"private, max-age={KEPT}")


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50))
    except ValueError:  # more fields than any address of ours has
        return {}


async def _answer(send: Send, status: int, kind: str, body: bytes, keep: str = "no-store") -> None:
    headers = [(b"cache-control", keep.encode()), (b"content-length", str(len(body)).encode())]
    if kind:
        headers.append((b"content-type", kind.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
