"""How long a user of the page waits, and how much memory the page takes.

    python docs/measure_page.py start    from the command `trackersplat-view demo` to photographs and pictures, three times
    python docs/measure_page.py scrub    from the pointer on the timeline to the picture in the camera pane; once where the browser draws
                                         the page with the software GL of the stage, once where it draws it without GL
    python docs/measure_page.py play     memory of the server and of the page while 30 s are played
    python docs/measure_page.py large    10,000 tracks x 300 frames: opening the page, going to another frame, opening another page

Run it from a checkout with the test extra installed. The browser is a headless Chromium with software GL on the same machine. The
start of the browser is part of the first times, as it is for a user; kernels and byte code are compiled before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, Playwright, WebSocket, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenes"), str(ROOT / "tests" / "viewer")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)

SIZE = {"width": 1280, "height": 800}
PATIENCE = 180_000  # ms
TRACKS, FRAMES = 10_000, 300
WITHOUT_GL = ("--disable-gpu-rasterization", "--disable-gpu-compositing")  # of ARGUMENTS: the page is drawn without GL
PICTURE = 3_000  # bytes; smaller messages of the stage are no picture

PHOTOGRAPH = "() => [...document.images].some((image) => image.complete && image.naturalWidth > 0)"
WORKBENCH = "() => document.querySelector('.tsp') !== null"
STATUS = "() => /: reconstructed/.test(document.querySelector('header [role=status]')?.innerText ?? '')"
PANE = "const element = document.querySelector('.tsp'); const pane = element && getElement(element.id.slice(1));"
RENDERED = f"() => {{ if (!window.getElement) return false; {PANE} return pane?.picture?.header.label === 'Render'; }}"
AT_REST = f"() => {{ {PANE} return pane?.picture?.header.exact && pane.unacknowledged === null; }}"

# When the pointer moved, which frame was asked for then, and when a picture was drawn.
LISTEN = f"""() => {{ {PANE}
  Object.assign(window, {{moved: 0, asked: [], drawn: []}});
  for (const name of ['pointerrawupdate', 'pointermove']) addEventListener(name, (event) => {{ window.moved = event.timeStamp; }}, true);
  const emit = window.socket.emit.bind(window.socket);
  window.socket.emit = (name, message, ...rest) => {{
    const told = /"frame":(\\d+)/.exec(JSON.stringify(message?.args ?? '').replaceAll('\\\\', ''));
    if (name === 'event' && told && /phase/.test(JSON.stringify(message.args))) window.asked.push([+told[1], window.moved]);
    return emit(name, message, ...rest);
  }};
  element.addEventListener('shown', (event) => window.drawn.push([event.detail.frame, performance.now()]));
}}"""


class Launch(Protocol):
    def __call__(self, without: tuple[str, ...] = ()) -> Browser:
        """A browser started with `ARGUMENTS`, but for some."""
        ...


@contextmanager
def server(command: list[str], folder: Path) -> Iterator[tuple[str, int]]:
    """The address that it prints, and its process id."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.split()[1] for line in process.stdout if line.startswith("Open http")), process.pid
        finally:
            process.terminate()


def demo(*options: str) -> list[str]:
    return [sys.executable, "-m", "viewer.app", "demo", "--no-browser", "--port", "0", *options]


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.goto(url, wait_until="commit")
    return page


# -- start ----------------------------------------------------------------------------------------------------------------


def start(launch: Launch, times: int = 3) -> None:
    print("address  browser  photograph  workbench  status  rendered   server's CPU   (seconds)")
    for turn in range(times + 1):
        with tempfile.TemporaryDirectory() as folder:
            began = time.monotonic()
            with server(demo(), Path(folder)) as (url, process):
                row = [time.monotonic() - began]
                browser = launch()
                row.append(time.monotonic() - began)
                page = opened(browser, url)
                for condition in (PHOTOGRAPH, WORKBENCH, STATUS, RENDERED):
                    page.wait_for_function(condition, polling=20)
                    row.append(time.monotonic() - began)
                row.append(cpu_seconds(process))
                browser.close()
        if turn:  # the first one compiles
            print("{:7.2f}  {:7.2f}  {:10.2f}  {:9.2f}  {:6.2f}  {:8.2f}   {:12.2f}".format(*row), flush=True)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- scrubbing ------------------------------------------------------------------------------------------------------------


def scrub(launch: Launch) -> None:
    for name, without in (("page by software GL", WITHOUT_GL), ("page without GL", ())):
        print(f"{name}: {scrubbed(launch(without))}", flush=True)


def scrubbed(browser: Browser) -> str:
    with tempfile.TemporaryDirectory() as folder, server(demo("--no-autoplay"), Path(folder)) as (url, _):
        page = opened(browser, url)
        page.wait_for_function(RENDERED)
        page.wait_for_function(AT_REST)
        page.get_by_text("Diagnosing the tracks").wait_for(state="hidden")
        page.evaluate(LISTEN)
        box = page.get_by_role("slider", name=re.compile("Timeline")).bounding_box()
        assert box is not None
        left, right, y = box["x"] + 0.25 * box["width"], box["x"] + 0.95 * box["width"], box["y"] + 0.5 * box["height"]
        page.mouse.move(left, y)
        page.mouse.down()
        for turn in range(4):
            for x in np.linspace(left, right, 60)[:: 1 if turn % 2 == 0 else -1]:
                page.mouse.move(float(x), y)
                page.wait_for_timeout(16)
        page.mouse.up()
        page.wait_for_timeout(1500)
        asked, drawn = page.evaluate("[window.asked, window.drawn]")
    browser.close()
    waits = waiting_times(asked, drawn)
    half, most = np.percentile(waits, (50, 95))
    return f"{len(asked)} frames asked for, {len(drawn)} pictures: p50 {half:.0f} ms, p95 {most:.0f} ms"


def waiting_times(asked: list[tuple[int, float]], drawn: list[tuple[int, float]]) -> list[float]:
    """ms until the first picture of a frame after it was asked for; frames that were passed over have none."""
    found = []
    for frame, when in asked:
        at = next((moment for shown, moment in drawn if shown == frame and moment > when), None)
        later = next((moment for other, moment in asked if moment > when and other == frame), None)
        if at is not None and (later is None or at < later):
            found.append(at - when)
    return found


# -- memory ---------------------------------------------------------------------------------------------------------------


def play(launch: Launch, seconds: int = 30) -> None:
    with tempfile.TemporaryDirectory() as folder, server(demo(), Path(folder)) as (url, process):
        page = opened(launch(), url)
        page.wait_for_function(RENDERED)
        page.get_by_text("Diagnosing the tracks").wait_for(state="hidden")
        page.wait_for_timeout(10_000)  # caches fill during the first turns
        devtools = page.context.new_cdp_session(page)
        print("second   server MB   page's heap MB")
        for second in range(0, seconds + 1, 10):
            print(f"{second:6d} {resident_megabytes(process):11.1f} {heap_megabytes(devtools):16.1f}", flush=True)
            page.wait_for_timeout(10_000)


def resident_megabytes(process: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def heap_megabytes(devtools: CDPSession) -> float:
    devtools.send("HeapProfiler.collectGarbage")
    return float(devtools.send("Runtime.getHeapUsage")["usedSize"]) / 2**20


# -- many tracks ----------------------------------------------------------------------------------------------------------


def large(launch: Launch) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        server([sys.executable, str(Path(__file__).resolve()), "serve", folder], ROOT) as (url, process),
    ):
        browser = launch()
        page, pictures, seconds = loaded(browser, url)
        print(f"first load, server just started: {seconds:.2f} s", flush=True)
        page.keyboard.press("Shift+T")
        page.wait_for_timeout(3000)
        waits, before = [], cpu_seconds(process)
        for turn in range(20):
            pictures.clear()
            pressed = time.monotonic()
            page.keyboard.press("ArrowRight" if turn % 10 < 5 else "ArrowLeft")
            while not pictures:
                page.wait_for_timeout(2)
            waits.append(1000 * (pictures[0] - pressed))
            page.wait_for_timeout(700)
        half, most = np.percentile(waits, (50, 95))
        cost = (cpu_seconds(process) - before) / len(waits)
        print(f"frame change, stage with trails: p50 {half:.0f} ms, p95 {most:.0f} ms; {cost:.3f} s of the server's CPU", flush=True)
        page.close()
        before = cpu_seconds(process)
        seconds = loaded(browser, url)[2]
        print(f"load of another page: {seconds:.2f} s; {cpu_seconds(process) - before:.2f} s of the server's CPU")


def loaded(browser: Browser, url: str) -> tuple[Page, list[float], float]:
    """A page that knows nothing of one before; when pictures of its stage come; seconds until pane, table and stage are there."""
    began = time.monotonic()
    page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    pictures: list[float] = []

    def listen(socket: WebSocket) -> None:
        if "/stage/" in socket.url:
            socket.on("framereceived", lambda data: pictures.append(time.monotonic()) if len(data) > PICTURE else None)

    page.on("websocket", listen)
    page.goto(f"{url}?frame=150", wait_until="commit")
    page.wait_for_function(RENDERED, polling=20)
    page.get_by_role("row").nth(5).wait_for()
    while not pictures:
        page.wait_for_timeout(10)
    return page, pictures, time.monotonic() - began


def serve(folder: Path) -> None:
    """A run of 300 frames with a made diagnosis of 10,000 tracks."""
    import tiny_capture
    import torch
    from made_diagnosis import made_diagnosis

    from trackersplat.captures.registry import open_capture
    from trackersplat.events import FrameDone
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.gaussians.lineage import Lineage
    from trackersplat.pipelines.pipeline import ChainState, FrameResult
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.store.run import Run
    from viewer.app import App
    from viewer.arguments import Arguments

    views = tiny_capture.cameras()
    images = [np.stack([tiny_capture.render(view, frame % tiny_capture.FRAMES) for frame in range(FRAMES)]) for view in views]
    path = tiny_capture.write_n3dv(folder / "capture", views, images)
    capture = open_capture(str(path))
    run = Run.create(folder / "run", capture, {"settings": ReconstructSettings.for_device("cpu").to_json()})
    count, random = 2000, np.random.default_rng(0)
    gaussians = Gaussians(
        means=torch.tensor(random.uniform(-0.6, 0.6, (count, 3)), dtype=torch.float32), quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        log_scales=torch.full((count, 3), -3.5), opacity_logits=torch.full((count,), 3.0),
        sh=torch.tensor(random.normal(0, 1, (count, 1, 3)), dtype=torch.float32),
    )  # fmt: skip
    nothing = torch.zeros(0, dtype=torch.long)
    with run.writing():
        for frame in range(FRAMES):
            state = ChainState(frame, gaussians, Lineage.of_first_frame(0, count))
            base = frame - 1 if frame else None
            result = FrameResult(state, base, None, nothing, 1, {}, {}, {"refine": 1.0})
            run.write_frame(result, FrameDone(frame, base, {}, {}, count, 0.0, 0.0, {"refine": 1.0}), capture)
    app = App(Arguments(str(path), port=0, browser=False, autoplay=False, out=run.path))
    made = made_diagnosis(capture.cameras, FRAMES, TRACKS // len(views))
    app.document.diagnosing.put(run.path, made, "made")
    print(f"Open {app.url}", flush=True)
    threading.Thread(target=app.load, daemon=True).start()
    app.serve()


def main() -> None:
    what = sys.argv[1:2]
    if what == ["serve"]:
        serve(Path(sys.argv[2]))
        return
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    measurements = {"start": start, "scrub": scrub, "play": play, "large": large}
    with sync_playwright() as playwright:
        for name in what or measurements:
            if name not in measurements:
                sys.exit(f"{name} is none of {', '.join(measurements)}.")
            print(f"-- {name}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
            measurements[name](lambda without=(): launched(playwright, executable, without))


def launched(playwright: Playwright, executable: str, without: tuple[str, ...]) -> Browser:
    return playwright.chromium.launch(executable_path=executable, args=[argument for argument in ARGUMENTS if argument not in without])


if __name__ == "__main__":
    main()
