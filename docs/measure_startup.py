"""How long a user waits: from the command `trackersplat-view demo` to its address, and to the scene in motion.

Run ``python docs/measure_startup.py [TIMES]`` from a checkout with the test extra installed. The browser is a headless Chromium
with software GL, started when the address is printed; its own start is part of the time, as it is for a user.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import WebSocket, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import ARGUMENTS, find_browser  # noqa: E402  (tests/browser.py)

PICTURE = 15_000  # bytes; smaller messages are no rendered frame
READY = """() => {
  const status = document.querySelector('header [role=status]');
  return status && /: reconstructed/.test(status.innerText);
}"""


def main() -> None:
    executable = find_browser()
    if executable is None:
        sys.exit("No Chrome or Chromium found; `python tests/run.py` gets one.")
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print("address  browser  status  picture   (seconds from the command)")
    for _ in range(times):
        print("  ".join(f"{seconds:7.2f}" for seconds in measure(executable)), flush=True)


def measure(executable: str) -> tuple[float, float, float, float]:
    """Seconds from the command to: address printed, browser up, page says "reconstructed", first rendered picture."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "viewer.app", "demo", "--no-browser", "--port", "0"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        start = time.monotonic()
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            url = next(line.split()[1] for line in server.stdout if line.startswith("Open http"))
            address = time.monotonic() - start
            browser = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
            up = time.monotonic() - start
            page = browser.new_page(viewport={"width": 1000, "height": 640})
            pictures: list[float] = []

            def listen(socket: WebSocket) -> None:
                socket.on("framereceived", lambda frame: pictures.append(time.monotonic() - start) if len(frame) > PICTURE else None)

            page.on("websocket", listen)
            page.goto(url, wait_until="commit")
            page.wait_for_function(READY, polling=50, timeout=60_000)
            status = time.monotonic() - start
            before = len(pictures)
            while len(pictures) == before and time.monotonic() - start < 60:
                page.wait_for_timeout(20)
            browser.close()
            server.terminate()
            return address, up, status, pictures[-1]


if __name__ == "__main__":
    main()
