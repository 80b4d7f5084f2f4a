"""Everything that must pass: formatting, linting, types, tests. Arguments go to pytest.

The tests run in as many processes as there are processors, each with one thread: tests of pages start processes of their own, which keep
the processors busy. While the code is checked, what numba compiles is compiled for all of them (see ``compiled.py``).

The browser tests need Chrome or Chromium. If there is none, this gets one from the system's package manager (as root, on
Debian and its kin) or by Playwright, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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


def passed(began: float, *step: str, environment: dict[str, str]) -> bool:
    """Runs a step of this Python, and says what it is and how long after ``began`` it ended."""
    print("+", *step, flush=True)
    done = subprocess.run([sys.executable, *step], check=False, env=environment).returncode == 0
    print(f"{' '.join(step[:3])}: {'passed' if done else 'FAILED'} after {time.monotonic() - began:.0f} s", flush=True)
    return done


def main() -> None:
    os.chdir(ROOT)
    ensure_browser()
    began = time.monotonic()
    environment = {**dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"), **os.environ}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start hundreds of processes, which would compile our sources each time
    step = partial(passed, began, environment=environment)
    with ThreadPoolExecutor() as pool:
        compiled = pool.submit(step, "tests/compiled.py", "fits")
        checked = step("-m", "ruff", "format", "--check", ".") and step("-m", "ruff", "check", ".") and step("-m", "mypy")
        checked = checked and step("tests/compiled.py", "tracks", "motion", "formats")  # the shorter half: types take less time than fits
        if checked:  # bytecode of the test modules, which pytest rewrites: else every process of the tests would make it
            collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq"]
            subprocess.run(collect, check=False, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not (compiled.result() and checked):
            sys.exit(1)
    processes = os.cpu_count() or 1
    parallel = ("-n", str(processes), "--dist", "loadscope", "--no-loadscope-reorder")
    if not step("-m", "pytest", *parallel, *sys.argv[1:]):
        sys.exit(1)


if __name__ == "__main__":
    main()
