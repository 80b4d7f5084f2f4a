"""Runs a part of the tests with the lowest versions that pyproject.toml allows, in a second environment, ``.venv-lowest``.

Arguments go to pytest. torch stays the installed one: older CPU builds of it are not on PyPI, and a CUDA build takes gigabytes. So does
all that pyproject.toml does not name. The rest is installed anew, pinned to the lower bounds, which pip finds to be consistent or refuses.
``--install`` does that alone, which needs nothing of this environment but its place; what is there already is not installed again.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib  # there before anything is installed

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv-lowest"
PYTHON = ENVIRONMENT / "bin" / "python"
KEPT = {"torch"}
# Readers, formats, decoding, metrics and the command line: what the libraries that have lower bounds are used for, without the minutes that
# compiling the portable back end takes.
TESTS = (
    "tests/test_packaging.py", "tests/gaussians/readers", "tests/metrics/test_image_metrics.py", "tests/captures/formats",
    "tests/captures/media/test_lens.py", "tests/captures/layouts/test_n3dv.py", "tests/captures/layouts/test_colmap.py",
    "tests/test_cli.py::test_info_says_what_a_capture_is",
)  # fmt: skip


def lowest() -> list[str]:
    """The core dependencies, pinned to their lower bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = []
    for requirement in project["dependencies"]:
        found = re.match(r"([A-Za-z0-9_.-]+)\s*[>=]=\s*([0-9.]+)[^;]*(;.*)?", requirement)
        if found is None:
            sys.exit(f"pyproject.toml gives {requirement!r} no lower bound.")
        name, version, marker = found.groups()
        if name not in KEPT:
            pins.append(f"{name}=={version}{marker or ''}")
    return pins


def install(pins: list[str]) -> None:
    """Makes the environment, unless it has these ``pins``. Its file ``pins.txt`` is written last."""
    done = ENVIRONMENT / "pins.txt"
    if done.is_file() and done.read_text().splitlines() == [sys.executable, *pins]:
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    inside, outside = (Path(subprocess.check_output([each, "-c", where], text=True).strip()) for each in (PYTHON, sys.executable))
    (inside / "newest.pth").write_text(f"{outside}\n")  # after its own packages: what is not installed there is taken from here
    print("+ lowest versions:", *pins, flush=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", "--no-compile", "--no-warn-conflicts", *pins], check=True)
    done.write_text("\n".join((sys.executable, *pins)))


def main() -> None:
    os.chdir(ROOT)
    began = time.monotonic()
    install(lowest())
    if sys.argv[1:] == ["--install"]:
        return
    settings = {**dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"), **os.environ}
    settings |= {"NUMBA_CACHE_DIR": str(ENVIRONMENT / "numba"), "PYTHONPATH": str(ROOT)}
    tests = sys.argv[1:] or TESTS
    parallel = ["-n", str(os.cpu_count() or 1), "--dist", "loadscope"]
    code = subprocess.run(
        [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5", *parallel, *tests], env=settings, check=False
    ).returncode
    print(f"lowest versions: {time.monotonic() - began:.0f} s", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
