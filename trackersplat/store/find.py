"""The default folders of a capture's runs."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_capture, demo_run
from trackersplat.captures.fingerprints import short_hash
from trackersplat.store.begin import INFO, holds_nothing
from trackersplat.store.index import FRAME_FOLDER
from trackersplat.store.run import Run


def default_out(capture: Capture, ending: str = "") -> Path:
    """The run folder of this capture if no other is given: ``output/<name>`` below the working folder.

    If that holds anything but a run of this capture: ``output/<name>-<hash of the capture>``. A name may be any text, so characters that
    could lead to another folder are replaced by "_". ``ending`` follows the name.
    """
    if not capture.filmed:
        return capture.root  # it is a run itself
    plain = plain_out(capture, ending)
    if not _is_taken(plain, capture):
        return plain
    return plain.with_name(f"{plain.name}-{short_hash(capture)}")


def plain_out(capture: Capture, ending: str = "") -> Path:
    """``output/<name>``: `default_out` unless that is taken."""
    plain = re.sub(r"[^\w.\- ]", "_", capture.name).lstrip(".").strip()
    return Path("output") / ((plain or "capture") + ending)


def find_runs(capture: Capture, out: Path | None = None) -> list[Path]:
    """Run folders of this capture: ``out`` if given, else those with a default name and, for the bundled demo, the finished run."""
    if out is not None:
        return [out] if _looks_like_a_run(out) else []
    if not capture.filmed:
        return [capture.root]
    plain = plain_out(capture)
    others = plain.parent.glob(f"{glob.escape(plain.name)}-{'[0-9a-f]' * 8}")
    found = [path for path in (plain, *sorted(others)) if _looks_like_a_run(path) and Run.open(path).difference(capture) is None]
    if capture.root.resolve() == demo_capture().resolve():
        found.append(demo_run())
    return found


def _looks_like_a_run(path: Path) -> bool:
    return path.is_dir() and ((path / INFO).is_file() or any(FRAME_FOLDER.fullmatch(child.name) for child in path.iterdir()))


def _is_taken(path: Path, capture: Capture) -> bool:
    """Whether a folder holds anything but a run of this capture."""
    if not path.exists() or (path.is_dir() and holds_nothing(path)):
        return False
    if not _looks_like_a_run(path):
        return True
    run = Run.open(path)
    return not run.is_verifiable or run.difference(capture) is not None
