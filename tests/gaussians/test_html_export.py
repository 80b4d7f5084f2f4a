"""The page that plays a scene: what is in it, and what a browser draws of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_capture
import torch
from browser import ARGUMENTS, find_browser

from trackersplat.errors import InputError
from trackersplat.gaussians.exporters.exporter import About
from trackersplat.gaussians.exporters.html import export
from trackersplat.gaussians.exporters.html.export import export_html
from trackersplat.gaussians.exporters.html.read import read_html
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.registry import choose_rasterizer

EVIL = '</script><script>alert(1)</script> & "%FRAMES%" <b>%SCENE%</b>'
FRAMES = (2, 3, 7)


def scene(frame: int, count: int = 60) -> Gaussians:
    """Coloured ellipsoids before the cameras of the tiny capture; a third of them move to the right and turn."""
    generator = torch.Generator().manual_seed(3)
    means = torch.randn(count, 3, generator=generator) * torch.tensor([0.5, 0.3, 0.3])
    means[: count // 3, 0] += 0.1 * frame
    quats = torch.randn(count, 4, generator=generator)
    quats[: count // 3] += 0.05 * frame
    return Gaussians(
        means=means,
        quats=quats,
        log_scales=torch.randn(count, 3, generator=generator) * 0.5 - 2.2,
        opacity_logits=torch.randn(count, generator=generator) + 1,
        sh=torch.randn(count, 4, 3, generator=generator),
    )


def described(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="scene">([^<]*)</script>', path.read_text(encoding="utf-8"))
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "scene.html"
    list(export_html(((frame, scene(frame)) for frame in FRAMES), path, About(EVIL, tuple(tiny_capture.cameras()), 25.0)))
    return path


def test_what_comes_from_files_is_text_and_only_the_player_may_run(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text
    assert described(page_file)["name"] == EVIL
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    assert not re.search(r"(src|href)=|https?:", text.replace("script-src", "").replace("style-src", "").replace("default-src", ""))


def test_names_of_cameras_are_text_too_and_half_a_character_stops_nothing(tmp_path: Path) -> None:
    camera = replace(tiny_capture.cameras()[0], name=EVIL)
    list(export_html([(0, scene(0))], tmp_path / "scene.html", About("half \ud800", (camera,))))
    assert "alert(1)</script>" not in (tmp_path / "scene.html").read_text(encoding="utf-8")
    data = described(tmp_path / "scene.html")
    assert (data["name"], data["cameras"][0]["name"]) == ("half \ud800", EVIL)


def test_the_page_says_frames_cameras_and_time(page_file: Path) -> None:
    data = described(page_file)
    assert [frame["number"] for frame in data["frames"]] == [3, 4, 8]
    assert data["frames_per_second"] == 25.0
    assert not data["made_cameras"]
    camera = tiny_capture.cameras()[2]
    assert data["cameras"][2]["lens"] == [camera.fx, camera.fy, camera.cx, camera.cy]
    np.testing.assert_array_equal(np.reshape(data["cameras"][2]["rotation"], (3, 3)), camera.rotation)
    first = tiny_capture.cameras()[0]
    np.testing.assert_allclose(data["focus"], (0.0, 0.0, 0.2), atol=1e-9)  # what all cameras look at
    assert data["size"] == pytest.approx(np.linalg.norm(first.center - data["focus"]))
    assert np.linalg.norm(data["up"]) == pytest.approx(1)
    assert data["up"][1] < -0.9  # their world's y points down


def test_what_does_not_change_costs_next_to_nothing(tmp_path: Path) -> None:
    list(export_html(((frame, scene(0)) for frame in range(5)), tmp_path / "still.html"))
    sizes = [sum(frame["bytes"]) for frame in described(tmp_path / "still.html")["frames"]]
    assert max(sizes[1:]) < 0.1 * sizes[0]


def test_frames_of_fewer_gaussians_are_filled_up_with_unseen_ones(tmp_path: Path) -> None:
    frames = [(0, scene(0)), (1, scene(1)[:20]), (2, scene(2)[:0])]
    list(export_html(frames, tmp_path / "scene.html"))
    assert described(tmp_path / "scene.html")["made_cameras"]
    for place, visible in enumerate((60, 20, 0)):
        back = read_html(tmp_path / "scene.html", place, place)
        assert len(back) == 60
        assert (back.opacities[visible:] < 1 / 255).all()
        torch.testing.assert_close(back.means[:visible], frames[place][1].means, atol=1e-4, rtol=0)


def test_a_page_too_large_for_a_browser_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "LARGEST", 500)
    with pytest.raises(InputError, match="larger than 1 GB"):
        list(export_html(((frame, scene(frame)) for frame in FRAMES), tmp_path / "scene.html"))
    assert list(tmp_path.iterdir()) == []


# -- in a browser ----------------------------------------------------------------------------------------------------

# Draws a frame as a camera sees it, outside of the clock of the page: software renderers fall behind.
PICTURE = """async ([frame, camera, width, height]) => {
  player.tick = () => {};
  await player.frames.load(frame);
  player.view.take(camera);
  [player.canvas.width, player.canvas.height] = [width, height];
  player.renderer.draw(player.frames.get(frame), player.view.numbers(width, height));
  return player.canvas.toDataURL('image/png');
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = find_browser()
    if found is None:
        pytest.skip("no Chrome or Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.mark.browser
def test_a_browser_draws_every_frame_as_we_do_without_any_request(browser: Any, page_file: Path) -> None:
    page, asked, wrong = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(f"{page_file.as_uri()}#paused")
    rasterizer = choose_rasterizer("cpu")
    for place, camera in ((0, 1), (2, 2)):
        view = tiny_capture.cameras()[camera].resized(160, 120)
        data = base64.b64decode(page.evaluate(PICTURE, [place, camera, 160, 120]).partition(",")[2])
        seen = torch.from_numpy(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] / np.float32(255))
        own = [rasterizer.render(replace(each, sh=each.sh[:, :1]), [view]).color[0].clamp(0, 1) for each in map(scene, FRAMES)]
        assert psnr(seen, own[place]) > 38
        assert all(psnr(seen, own[other]) < 36 for other in range(3) if other != place)
    assert page.evaluate("document.getElementById('name').textContent") == EVIL
    assert page.evaluate("document.title") == EVIL
    assert asked == [page_file.as_uri()]
    assert wrong == []
    page.close()


@pytest.mark.browser
def test_keys_and_the_mouse_change_time_and_view(browser: Any, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 240, "height": 180})
    page.goto(f"{page_file.as_uri()}#frame=4&camera=cam02&paused")
    state = "[player.frame, player.view.camera, player.playing]"
    assert page.evaluate(state) == [1, 2, False]
    page.evaluate("player.speed = 1e-6")  # a busy machine must not reach another frame before it is asked for the state
    for key, expected in ((".", [2, 2, False]), ("Home", [0, 2, False]), ("]", [0, 3, False]), (" ", [0, 3, True]), ("End", [2, 3, False])):
        page.keyboard.press(key)
        assert page.evaluate(state) == expected, key
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("h")
    eye, target = page.evaluate("[player.view.eye, player.view.target]")
    page.keyboard.press("ArrowLeft")
    turned, same = page.evaluate("[player.view.eye, player.view.target]")
    np.testing.assert_allclose(same, target, atol=1e-9)
    assert np.linalg.norm(np.subtract(turned, eye)) > 0.1
    assert np.linalg.norm(np.subtract(turned, target)) == pytest.approx(np.linalg.norm(np.subtract(eye, target)))
    page.mouse.move(100, 60)
    page.mouse.down()
    page.mouse.move(130, 60)
    page.mouse.up()
    page.mouse.wheel(0, -300)
    page.wait_for_timeout(100)
    after = page.evaluate("player.view.eye")
    assert np.linalg.norm(np.subtract(after, target)) < 0.9 * np.linalg.norm(np.subtract(turned, target))
    page.keyboard.press("r")
    np.testing.assert_allclose(page.evaluate("player.view.eye"), tiny_capture.cameras()[3].center, atol=1e-9)
    page.close()
