"""The camera path of the run on the screen: kept as JSON with the run, changed by commands, undone step by step. It knows no toolkit."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from trackersplat.camera_paths.path import CameraPath
from trackersplat.camera_paths.path_file import read_path, write_path
from trackersplat.captures.demo import is_demo_run
from trackersplat.errors import InputError
from trackersplat.files import unwritable
from trackersplat.store.begin import DOCUMENT
from viewer.state import Store

if TYPE_CHECKING:
    from trackersplat.camera_paths.trajectory import Trajectory

FILE = "camera_path.json"  # in the document of the run, beside the edits of the scene
STEPS_KEPT = 100  # that can be undone


def folder_beside(run: Path, out: Path | None, name: str) -> Path:
    """Where the page writes what belongs to a run: in its folder. What belongs to the bundled run is kept where results go."""
    return out.parent / f"{run.name}-{name}" if out is not None and is_demo_run(run) else run / name


class CameraPaths:
    """Thread-safe. Every change grows ``Shared.camera_path``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: Path | None = None  # of which ``_path`` was read
        self._path: CameraPath | None = None
        self._damaged: str | None = None  # why the file cannot be read; it is not written over
        self._undo: list[CameraPath | None] = []
        self._trajectory: tuple[object, Trajectory] | None = None
        self._lock = threading.RLock()

    def file(self) -> Path | None:
        """None if there is no run."""
        shared = self._store.shared
        return None if shared.run is None else folder_beside(shared.run, shared.out, DOCUMENT) / FILE

    def get(self) -> CameraPath | None:
        with self._lock:
            self._load()
            return self._path

    def trajectory(self) -> Trajectory | None:
        """Of the path over the frames that are reconstructed; None without a path."""
        with self._lock:
            path, known = self.get(), self._store.shared.reconstructed
            if path is None:
                return None
            from trackersplat.camera_paths.trajectory import Trajectory  # takes a while to import

            key = (path, known[:1], known[-1:])
            if self._trajectory is None or self._trajectory[0] != key:
                first, last = (known[0], known[-1]) if known else (0, 0)
                self._trajectory = (key, Trajectory(path, first, last))
            return self._trajectory[1]

    def set(self, path: CameraPath | None) -> None:
        """Raises InputError if there is no run, or the file cannot be written."""
        with self._lock:
            before = self.get()
            if path == before:
                return
            self._write(path)
            self._undo = [*self._undo, before][-STEPS_KEPT:]
        self._store.grow("camera_path")

    @property
    def can_undo(self) -> bool:
        with self._lock:
            self._load()
            return bool(self._undo)

    def undo(self) -> None:
        """Raises InputError if there is nothing to undo, or the file cannot be written."""
        with self._lock:
            self._load()
            if not self._undo:
                raise InputError("Nothing was changed on the camera path since it was opened.")
            self._write(self._undo[-1])
            self._undo.pop()
        self._store.grow("camera_path")

    def _write(self, path: CameraPath | None) -> None:
        if self._file is None:
            raise InputError("There is no run yet that a camera path could be kept with: reconstruct a frame first.")
        if self._damaged is not None:
            raise InputError(self._damaged)
        try:
            if path is None:
                self._file.unlink(missing_ok=True)
            else:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_path(self._file, path)
        except OSError as error:
            raise unwritable(self._file.parent, error) from error
        self._path = path

    def _load(self) -> None:
        file = self.file()
        if file == self._file:
            return
        self._file, self._path, self._damaged, self._undo = file, None, None, []
        if file is None or not file.exists():
            return
        try:
            self._path = read_path(file)
        except InputError as error:
            self._damaged = str(error)
            self._store.problem("camera path", self._damaged)
