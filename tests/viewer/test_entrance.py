"""What the page's address answers before the workbench is there: photographs, and the page that waits."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.types import Message, Receive, Scope, Send
from tiny_capture import FRAMES, write_tiny_capture

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_run
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from viewer.app import _check_out
from viewer.entrance import BEGUN, Entrance
from viewer.photographs import photo_url


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(str(write_tiny_capture(tmp_path_factory.mktemp("tiny"))))


async def ask(entrance: Entrance, address: str, kind: str = "http") -> tuple[int, bytes, list[Message]]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    path, _, query = address.partition("?")
    scope: dict[str, Any] = {"type": kind, "path": path, "query_string": query.encode(), "headers": []}
    await entrance(scope, receive, send)
    return sent[0].get("status", 0), b"".join(message.get("body", b"") for message in sent), sent


def answer(capture: Capture, address: str, kind: str = "http") -> tuple[int, bytes, list[Message]]:
    async def asking() -> tuple[int, bytes, list[Message]]:
        return await ask(Entrance(capture, 2), address, kind)

    return asyncio.run(asking())


def test_the_first_page_shows_the_photograph_of_the_home_camera_or_the_one_that_the_address_names(capture: Capture) -> None:
    status, page, _ = answer(capture, "/")
    assert status == 200
    assert b'src="photo?camera=2&amp;frame=0" alt="Photograph of cam02, frame 1"' in page
    _, page, _ = answer(capture, "/?frame=4&cameras=1,3")
    assert b'src="photo?camera=1&amp;frame=3" alt="Photograph of cam01, frame 4"' in page


def test_a_photograph_is_the_frame_of_the_capture(capture: Capture) -> None:
    status, data, sent = answer(capture, "/" + photo_url(3, 5))
    assert status == 200
    assert (b"content-type", b"image/jpeg") in sent[0]["headers"]
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].astype(float)
    places = [(camera, frame) for camera in range(4) for frame in range(FRAMES)]
    assert min(places, key=lambda place: float(np.abs(seen - capture.image(*place)).mean())) == (3, 5)


@pytest.mark.parametrize("query", ["", "camera=4&frame=0", f"camera=0&frame={FRAMES}", "camera=-1&frame=0", "camera=a&frame=0", "&" * 100])
def test_a_photograph_that_is_not_there_is_refused(capture: Capture, query: str) -> None:
    assert answer(capture, f"/photo?{query}")[0] == 404


def test_everything_else_waits(capture: Capture) -> None:
    assert answer(capture, "/stage/x/")[0] == 503
    assert answer(capture, "/pictures", "websocket")[2] == [{"type": "websocket.close", "code": 1013}]


def test_a_name_of_a_capture_is_text_and_no_html(capture: Capture) -> None:
    named = replace(capture, name="<img src=x onerror=alert(1)>")
    assert b"<img src=x" not in answer(named, "/")[1]


def test_the_page_is_told_when_the_workbench_is_there_and_then_the_workbench_answers(capture: Capture) -> None:
    async def workbench(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"workbench"})

    async def both() -> tuple[int, int, bytes, int]:
        entrance = Entrance(capture, 0)
        waiting = asyncio.create_task(ask(entrance, BEGUN))
        await asyncio.sleep(0)
        assert not waiting.done()
        entrance.open(workbench)
        told, _, _ = await waiting
        status, body, _ = await ask(entrance, "/")
        return told, status, body, (await ask(entrance, "/" + photo_url(0, 0)))[0]

    assert asyncio.run(both()) == (204, 299, b"workbench", 200)


@pytest.mark.parametrize("out", [None, "run"])
def test_nothing_that_takes_seconds_is_imported_before_the_first_page(tmp_path: Path, out: str | None) -> None:
    heavy = ("torch", "nicegui", "viser", "fastapi", "numba", "scipy")
    run = None
    if out is not None:
        run = tmp_path / out
        shutil.copytree(demo_run(), run)
    code = (
        "import os, sys\nfrom pathlib import Path\nimport viewer.entrance\n"
        "from viewer.app import App\nfrom viewer.arguments import Arguments\n"
        f"out = {str(run) if run else None!r}\n"
        "app = App(Arguments('demo', port=0, browser=False, autoplay=False, out=Path(out) if out else None))\n"
        "app.capture.image(0, 0)\n"
        f"print([name for name in {heavy} if name in sys.modules], flush=True)\nos._exit(0)"
    )
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_folder_that_cannot_be_a_run_is_refused_before_the_page_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name, text in (("damaged", "{"), ("list", "[]"), ("newer", '{"format": 99}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(text)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "holiday.jpg").touch()
    for name in ("file", "damaged", "list", "newer", "other"):
        with pytest.raises(InputError, match=re.escape(str(tmp_path / name))):
            _check_out(tmp_path / name)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "not there"):
        _check_out(tmp_path / name)
