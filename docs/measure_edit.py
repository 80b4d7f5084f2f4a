"""How long a user of the page waits for a selection and for an edit, in a scene of 400,000 Gaussians.

    python docs/measure_edit.py [TIMES]

The scene is the first frames of the demo's run, each Gaussian divided into smaller ones. A lasso is drawn in a camera pane; waiting ends
when the count is on the page, and when the pane has drawn the picture with the highlight. Then what is selected is hidden with H, until
the pane has drawn the picture without it. All with a headless Chromium with software GL on the same machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure_page import AT_REST, RENDERED, ROOT, demo, launched, opened, server
from playwright.sync_api import Page, sync_playwright

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from browser import find_browser  # noqa: E402

from trackersplat.captures.demo import demo_run  # noqa: E402
from trackersplat.gaussians.gaussians import Gaussians  # noqa: E402
from trackersplat.gaussians.ply import write_ply  # noqa: E402
from trackersplat.store.run import Run  # noqa: E402

COUNT, FRAMES = 400_000, 3

# When the pointer was lifted or a key pressed, when the count was there, and when pictures of which content were drawn.
LISTEN = """() => {
  const element = document.querySelector('.tsp'), pane = getElement(element.id.slice(1));
  Object.assign(window, {done: 0, counted: 0, drawn: []});
  addEventListener('pointerup', (event) => { window.done = performance.now(); window.counted = 0; }, true);
  addEventListener('keydown', (event) => { window.done = performance.now(); }, true);
  new MutationObserver(() => { if (!window.counted && /[1-9][\\d,]* selected/.test(document.querySelector('header').innerText))
    window.counted = performance.now(); }).observe(document.querySelector('header'), {subtree: true, childList: true, characterData: true});
  element.addEventListener('shown', () => window.drawn.push([performance.now(), pane.picture.content]));
}"""


def write_run(folder: Path) -> None:
    source = Run.open(demo_run())
    generator = torch.Generator().manual_seed(0)
    for frame in range(FRAMES):
        small = source.read_frame(frame)
        times = -(-COUNT // len(small))
        index = torch.arange(len(small)).repeat(times)[:COUNT]
        axes = small.scales[index] * torch.randn(COUNT, 3, generator=generator.manual_seed(1)) * 0.5
        big = Gaussians(
            small.means[index] + axes, small.quats[index], small.log_scales[index] - 0.5 * float(np.log(times)),
            small.opacity_logits[index], small.sh[index],
        )  # fmt: skip
        parent = folder if frame == 0 else folder / "refine" / "base-propagate-made"
        path = parent / f"frame{frame + 1}" / "point_cloud" / "iteration_1" / "point_cloud.ply"
        path.parent.mkdir(parents=True)
        write_ply(path, big)


def waited(page: Page, before: str) -> float:
    """Milliseconds until a picture of another content than ``before`` was drawn."""
    page.wait_for_function("(before) => window.drawn.some(([, content]) => content !== before)", arg=before, polling=20)
    return float(page.evaluate("(before) => window.drawn.find(([, content]) => content !== before)[0] - window.done", before))


def content(page: Page) -> str:
    page.wait_for_function(AT_REST)
    page.wait_for_timeout(1500)
    found: str = page.evaluate(
        "() => { window.drawn = []; const e = document.querySelector('.tsp'); return getElement(e.id.slice(1)).picture.content; }"
    )
    return found


def measure(page: Page, times: int) -> None:
    page.wait_for_function(RENDERED)
    page.wait_for_function(AT_REST)
    page.evaluate(LISTEN)
    box = page.locator(".tsp-stage").first.bounding_box()
    assert box is not None
    x, y = box["x"] + 0.35 * box["width"], box["y"] + 0.55 * box["height"]
    for through in (False, True):
        if through:
            page.keyboard.press("Shift+d")
        rows = []
        for _ in range(times):
            page.keyboard.press("z")
            page.wait_for_timeout(500)
            before = content(page)
            page.mouse.move(x + 40, y)
            page.mouse.down()
            for angle in np.linspace(0, 6.2, 40):
                page.mouse.move(float(x + 40 * np.cos(angle)), float(y + 35 * np.sin(angle)))
            page.mouse.up()
            highlight = waited(page, before)
            page.wait_for_function("() => window.counted > 0")
            counted = float(page.evaluate("window.counted - window.done"))
            before = content(page)
            page.keyboard.press("h")
            rows.append((counted, highlight, waited(page, before)))
            content(page)
            page.keyboard.press("Control+z")
            content(page)
            page.keyboard.press("z")
        words = "through" if through else "visible"
        for name, values in zip(("count", "highlight", "hide"), np.array(rows).T, strict=True):
            print(f"{words:8} {name:10} p50 {np.percentile(values, 50):5.0f} ms, most {values.max():5.0f} ms", flush=True)


def main() -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write_run(run)
        print(f"{COUNT:,} Gaussians; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        with server(demo("--no-autoplay", "--out", str(run)), Path(folder)) as (url, _), sync_playwright() as playwright:
            measure(opened(launched(playwright, executable), url), int(sys.argv[1]) if sys.argv[1:] else 5)


if __name__ == "__main__":
    main()
