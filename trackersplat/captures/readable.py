"""Checks that the files of a capture can be read, before a long job starts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.files import has_file


def require_readable(capture: Capture, frame: int) -> None:
    """Decodes every image and mask of a frame, in parallel. Raises InputError for the first that cannot be decoded."""
    cameras = range(len(capture.cameras))
    capture.prefetch(cameras, [frame])
    for camera in cameras:
        capture.image(camera, frame)
        capture.mask(camera, frame)


def require_files(paths: Iterable[Path]) -> None:
    """Raises InputError if one is a broken link, a folder or a device, which would otherwise be left out without a word."""
    for path in paths:
        has_file(path)
