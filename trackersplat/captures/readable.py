"""Checks that the files of a capture can be read, before a long job starts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError


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
        if path.is_file():
            continue
        if path.is_symlink() and not path.exists():
            raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist: copy the file itself, or remove the link.")
        kind = "a folder" if path.is_dir() else "a device or a pipe"
        raise InputError(f"{path} is {kind}, expected a file: copy the file again, or remove what has its name.")
