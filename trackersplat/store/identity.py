"""Whether a run belongs to a capture, and continues with the same settings and held-out cameras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trackersplat.captures import fingerprints
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.store.frame_files import short_path
from trackersplat.store.watched import OTHER_FOLDER


def not_of(path: Path, described: Any, capture: Capture) -> str:
    """The begin of a sentence: the run at ``path`` is of the capture ``described`` in its ``run.json``, not of this one."""
    known = isinstance(described, dict)
    there = f"{described.get('name')} ({described.get('folder', 'folder unknown')})" if known else "another capture"
    return f"{path} holds a run of {there}, not of {capture.name} ({short_path(capture.root)})"


def require_same(path: Path, there: Mapping[str, Any], asked: Mapping[str, Any], capture: Capture) -> None:
    """Compares the ``run.json`` of the run at ``path`` with what is asked for.

    Raises InputError if the run is of another capture, other settings or other held-out cameras.
    """
    described = there.get("capture")
    if not fingerprints.is_verifiable(described):
        raise InputError(f"{path} holds a run of an older version, which does not say from which images it was made: {OTHER_FOLDER}.")
    difference = fingerprints.difference(described, capture)
    if difference is not None:
        raise InputError(f"{not_of(path, described, capture)}: {difference}; {OTHER_FOLDER}.")
    for key, what in (("held_out", "held-out cameras"), ("settings", "settings")):
        if there.get(key) != asked.get(key):
            found = next(_differences(there.get(key), asked.get(key), what), what)
            raise InputError(f"{path} holds a run of other {what} ({found}): choose another folder with --out, or ask for the same.")


def _differences(there: Any, asked: Any, label: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted(set(there) | set(asked)):
            if there.get(key) != asked.get(key):
                yield from _differences(there.get(key), asked.get(key), f"{label}.{key}")
    else:
        yield f"{label} is {there!r} in the run, but {asked!r} was asked for"
