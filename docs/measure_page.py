"""How long a user of the page waits, and how much memory the page takes.

    python docs/measure_page.py start    from the command `trackersplat-view demo` to photographs and pictures, three times
    python docs/measure_page.py scrub    from the pointer on the timeline to the picture in the camera pane; once where the browser draws
                                         the page with the software GL of the stage, once where it draws it without GL
    python docs/measure_page.py play     memory of the server and of the page while 30 s are played
    python docs/measure_page.py large    10,000 tracks x 300 frames: opening the page, going to another frame, opening another page; with
                                         the processor time of server and browser

Run it from a checkout with the test extra installed. The browser is a headless Chromium with software GL on the same machine. The
start of the browser is part of the first times, as it is for a user; kernels and byte code are compiled before.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenes"), str(ROOT / "tests" / "viewer")]

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)

ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPATH": str(ROOT)}
SIZE = {"width": 1280, "height": 800}
PATIENCE = 180_000  # ms
TRACKS, FRAMES = 10_000, 300
WITHOUT_GL = ("--disable-gpu-rasterization", "--disable-gpu-compositing")  # of ARGUMENTS: the page is drawn without GL

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
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
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

# What the stage draws its picture from is put into a texture of its shape; the photographs of the cameras have others.
WATCH = """(() => {
  const top = window.top, now = () => performance.timeOrigin + performance.now();
  Object.assign(top, {keys: top.keys ?? [], panes: top.panes ?? [], stage: top.stage ?? []});
  if (window === top) addEventListener('keydown', (event) => top.keys.push(performance.timeOrigin + event.timeStamp), true);
  for (const name of ['texImage2D', 'texSubImage2D']) {
    const upload = WebGL2RenderingContext.prototype[name];
    WebGL2RenderingContext.prototype[name] = function (...given) {
      const done = upload.apply(this, given);
      const image = given.find((one) => one instanceof HTMLImageElement || one instanceof ImageBitmap);
      if (image && Math.abs(image.width / image.height / (innerWidth / innerHeight) - 1) < 0.02)
        top.stage.push([now(), image.width / (innerWidth * devicePixelRatio)]);
      return done;
    };
  }
})()"""
WATCH_PANE = f"() => {{ {PANE} element.addEventListener('shown', () => panes.push(performance.timeOrigin + performance.now())); }}"
TABLE = "() => document.querySelectorAll('.ts-tracks [role=row]').length > 5"
ON_STAGE = "() => stage.length > 0"
CHANGES = 20


def large(launch: Launch) -> None:
    """The browser and a window are open before a page is, as a user's are."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, str(Path(__file__).resolve()), "make", folder], cwd=ROOT, check=True, env=ENVIRONMENT)
        run = [f"{folder}/capture", "--out", f"{folder}/run", "--no-browser", "--no-autoplay", "--port", "0"]
        browser = launch()
        window = blank(browser)
        before = processes()
        began = time.monotonic()
        with server([sys.executable, "-m", "viewer.app", *run], Path(folder)) as (url, process):
            print(f"address: {time.monotonic() - began:.2f} s after the command", flush=True)
            print(f"first load, server just started: {loaded(window, url, process, before)}", flush=True)
            print(f"frame change with trails: {changed(window, process)}", flush=True)
            window.close()
            for _ in range(3):
                window = blank(browser)
                print(f"load of another page: {loaded(window, url, process, processes())}", flush=True)
                window.close()
        browser.close()


def blank(browser: Browser) -> Page:
    """A window that knows nothing of one before."""
    page = browser.new_context(viewport=SIZE).new_page()  # type: ignore[arg-type]
    page.set_default_timeout(PATIENCE)
    page.add_init_script(WATCH)
    page.wait_for_timeout(2000)
    return page


def loaded(page: Page, url: str, process: int, before: dict[str, float]) -> str:
    """Seconds until pane, table and stage are there."""
    began, server_before = time.monotonic(), cpu_seconds(process)
    page.goto(f"{url}?frame=150", wait_until="commit")
    found = []
    for what, condition in (("workbench", WORKBENCH), ("pane", RENDERED), ("table", TABLE), ("stage", ON_STAGE)):
        page.wait_for_function(condition, polling=20)
        found.append(f"{what} {time.monotonic() - began:.2f}")
    return f"{', '.join(found)} s; processor {cost(process, server_before, before)}"


def changed(page: Page, process: int) -> str:
    """Milliseconds from the key to the pictures of pane and stage; the full picture of the stage comes when the time has rested."""
    page.keyboard.press("Shift+T")
    page.wait_for_timeout(3000)
    page.evaluate(WATCH_PANE)
    page.evaluate("keys.length = panes.length = stage.length = 0")
    before, server_before = processes(), cpu_seconds(process)
    for turn in range(CHANGES):
        page.keyboard.press("ArrowRight" if turn % 10 < 5 else "ArrowLeft")
        page.wait_for_timeout(1000)
    spent = cost(process, server_before, before, CHANGES)
    keys, panes, stage = page.evaluate("[keys, panes, stage]")
    whole = [when for when, share in stage if share > 0.99]
    parts = (("pane", panes), ("stage", [when for when, _ in stage]), ("full picture of the stage", whole))
    times = [f"{name} {quantiles(keys, pictures)}" for name, pictures in parts]
    return f"{'; '.join(times)} ms; processor for each {spent}"


def quantiles(keys: list[float], pictures: list[float]) -> str:
    waits = [min((picture for picture in pictures if picture > key), default=float("inf")) - key for key in keys]
    half, most = np.percentile(waits, (50, 95))
    return f"p50 {half:.0f}, p95 {most:.0f}"


def cost(process: int, server_before: float, before: dict[str, float], times: int = 1) -> str:
    """Seconds of processor time of the server, and of every kind of process of the browser."""
    now = processes()
    spent = {"server": cpu_seconds(process) - server_before} | {kind: now[kind] - before.get(kind, 0.0) for kind in sorted(now)}
    digits = 2 if times == 1 else 3
    return ", ".join(f"{kind} {seconds / times:.{digits}f}" for kind, seconds in spent.items() if seconds / times >= 0.005) + " s"


def processes() -> dict[str, float]:
    """Seconds of processor time of the browser's processes by kind; those that have ended are missing."""
    parents, kinds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[folder.name] = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            kind = re.search(rb"--type=([\w-]+)", (folder / "cmdline").read_bytes())
            if kind is not None:
                kinds[folder.name] = kind[1].decode()
    found: dict[str, float] = {}
    for process, kind in kinds.items():
        ancestor = process
        while ancestor in parents and ancestor != str(os.getpid()):
            ancestor = parents[ancestor]
        if ancestor in parents:
            with contextlib.suppress(OSError):
                found[kind] = found.get(kind, 0.0) + cpu_seconds(int(process))
    return found


def make(folder: Path) -> None:
    """A capture of 300 frames, a run of it, and a made diagnosis of 10,000 tracks that counts as that of the run."""
    import tiny_capture
    import torch
    from made_diagnosis import made_diagnosis

    from trackersplat.captures.registry import open_capture
    from trackersplat.diagnosis.diagnosis import DIAGNOSIS_FILE
    from trackersplat.diagnosis.settings import DiagnosisSettings
    from trackersplat.events import FrameDone
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.gaussians.lineage import Lineage
    from trackersplat.jobs.diagnose import key_of
    from trackersplat.pipelines.pipeline import ChainState, FrameResult
    from trackersplat.pipelines.settings import ReconstructSettings
    from trackersplat.store.run import Run

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
    made = made_diagnosis(capture.cameras, FRAMES, TRACKS // len(views))
    made.to_npz(run.path / DIAGNOSIS_FILE, key_of(Run.open(run.path), DiagnosisSettings()))


def main() -> None:
    what = sys.argv[1:2]
    if what == ["make"]:
        make(Path(sys.argv[2]))
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
