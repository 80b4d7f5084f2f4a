"""Everything that must pass: formatting, linting, types, tests. Arguments go to pytest.

The tests run in one process per processor, each with one thread: on two processors that takes two thirds of the time.

The browser tests need Chrome or Chromium. If there is none, this gets one from the system's package manager (as root, on
Debian and its kin) or by Playwright, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from browser import find_browser  # noqa: E402  (tests/browser.py, beside this file)


def ensure_browser() -> None:
    """Installs a browser where none is found."""
    if find_browser() is not None:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("No Chrome or Chromium found: installing Debian's chromium with apt-get.", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=environment)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"], check=True, env=environment)
    else:
        print("No Chrome or Chromium found: downloading Chromium with Playwright.", flush=True)
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    if find_browser() is None:
        sys.exit("A browser was installed but cannot be found; install Chrome or Chromium and run this again.")


def main() -> None:
    os.chdir(ROOT)
    ensure_browser()
    steps = (
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["pytest", "-n", str(os.cpu_count() or 1), "--dist", "loadscope", "--no-loadscope-reorder", *sys.argv[1:]],
    )
    environment = {**dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"), **os.environ}
    for step in steps:
        print("+", *step, flush=True)
        code = subprocess.run([sys.executable, "-m", *step], check=False, env=environment).returncode
        if code:
            sys.exit(code)


if __name__ == "__main__":
    main()
