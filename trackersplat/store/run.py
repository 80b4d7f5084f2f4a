"""A run: the directory that holds a reconstruction.

    <run>/run.json                                   settings, versions, hardware, what was captured
    <run>/metrics.csv                                held-out cameras, one row per frame and camera
    <run>/frame1/...                                 a frame fitted from scratch (its files: store/frame_files.py)
    <run>/refine/base-propagate-<tracker>/frame<N>/  frames moved from another and refined
    <run>/sequence/                                  the compact form of older versions (gaussians/sequence.py), in place of the PLYs
    <run>/.lock                                      who is writing it now (locks.py)

The layout is that of the published system, so older results open too. A frame's folder appears by one rename: it is
complete or absent. Folders and files count frames from 1, this module's functions from 0.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trackersplat.captures import fingerprints
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.files import (
    atomic_folder,
    remove_folder,
    remove_leftovers,
    unwritable,
    write_json,
    write_text,
)
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.locks import Lock, hold
from trackersplat.motion.evidence import Evidence
from trackersplat.motion.followed_tracks import FollowedTracks
from trackersplat.pipelines.pipeline import ChainState, FrameResult, Origin
from trackersplat.pipelines.registry import PIPELINES
from trackersplat.store import frame_files
from trackersplat.store.begin import FORMAT, INFO, LOCK, METRICS, discard, make_folder, read_info
from trackersplat.store.evidence_files import read_evidence
from trackersplat.store.exact_frames import compact_frames, needed_frames, remove_unneeded
from trackersplat.store.frame_files import Kept
from trackersplat.store.frame_gaussians import FrameGaussians
from trackersplat.store.identity import not_of, require_same
from trackersplat.store.index import RunIndex
from trackersplat.store.lineage import RunLineage
from trackersplat.store.lost import lost_frames
from trackersplat.store.record import RECORD, FrameRecord
from trackersplat.store.tables import metrics_header, metrics_rows, read_camera_entries
from trackersplat.store.track_files import TRACKS_FILE, read_state, read_tracks
from trackersplat.store.watched import Watched
from trackersplat.tracking.tracks import Tracks
from trackersplat.training.photometric import ColourAffines

KEEP, PLY, COMPACT = "keep", "ply", "compact"  # of run.json: in which form frames are kept
_TRACKER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Run:
    """Reads and writes one run directory. What is on disk is listed when the run is opened, and again by `refresh`."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info
        self._index = RunIndex(path, path / self.pipeline_folder)
        self._gaussians = FrameGaussians(path, self._index)
        self._lock: Lock | None = None
        self._begun: list[Path] | None = None  # folders that `create` has made for a run of which no frame is finished yet
        self.refresh()

    @staticmethod
    def open(path: Path) -> Run:
        """Opens a finished or unfinished run, ours or of the published system.

        Raises InputError if there is none.
        """
        if not path.is_dir():
            raise InputError(f"There is no run at {path}: expected a folder made by `trackersplat reconstruct`.")
        run = Run(path, read_info(path))
        if not (path / INFO).is_file() and not run.frames():
            raise InputError(f"{path} is not a run: expected run.json or frame<N>/point_cloud folders in it.")
        return run

    @staticmethod
    def create(path: Path, capture: Capture, info: dict[str, Any]) -> Run:
        """Opens the run at ``path``, or starts one there.

        Raises InputError if the folder cannot be written, holds something else, or a run of another capture (as far as ``run.json`` tells;
        `watched` compares the images), of other settings or other held-out cameras: one that was trained on cannot be measured on. Also if
        another process is writing it.
        """
        held_out = [capture.cameras[i].name for i in capture.held_out_cameras]
        described = fingerprints.describe(capture, frame_files.short_path(capture.root))
        info = {"format": FORMAT, "capture": described, **info, "held_out": held_out}
        made = make_folder(path)
        with hold(path / LOCK, f"The run {path}"):
            if (path / INFO).is_file():
                run = Run.open(path)
                require_same(path, run.info, info, capture)
                return run
            remove_leftovers(path)
            try:
                write_json(path / INFO, info)
            except InputError:
                discard(path, made)
                raise
            run = Run(path, info)
            run._begun = made
            return run

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def settings(self) -> Mapping[str, Any]:
        """As ``run.json`` has them; empty for runs of the published system."""
        settings = self.info.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def pipeline_folder(self) -> str:
        """The folder of the frames that follow another, by the published names: "refine/base-propagate-dis", "train/base"."""
        pipeline, tracker = self.settings.get("pipeline"), self.settings.get("tracker")
        known = pipeline if isinstance(pipeline, str) and pipeline in PIPELINES else "base-propagate"
        if not isinstance(tracker, str) or not _TRACKER_NAME.fullmatch(tracker):  # it must lead to a folder below this run's
            tracker = "unknown"
        return PIPELINES.facts(known).folder_for(tracker)

    # -- whose run it is --------------------------------------------------------------------------------------------

    @property
    def is_verifiable(self) -> bool:
        """Whether it has hashes of the cameras that it was made from. Older runs have none."""
        return fingerprints.is_verifiable(self.info.get("capture"))

    def difference(self, capture: Capture) -> str | None:
        """How the capture that this run was made from differs from the given one, in words; None if no difference is known.

        Reads the images of the first frame of the run.
        """
        found = fingerprints.difference(self.info.get("capture"), capture)
        record = None if found else self._index.first_record()
        if record is None:
            return found
        other = fingerprints.different_images(record.images, capture, record.done.frame)
        return f"frame {record.done.frame + 1} of {other[0]} differs" if other else None

    def watched(self, capture: Capture) -> Watched:
        """The capture; when an image is read, it is compared with the one that the run's frames were made from."""
        expected = {frame: record.images for frame, record in self._index.records().items()}
        return Watched(capture, expected, not_of(self.path, self.info.get("capture"), capture))

    # -- frames -------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the run's lock. First completes what a killed process began, and removes what it left.

        Bad input before the first frame leaves nothing of a run that `create` has begun.

        Raises InputError if another process is writing it, or its folder is moved, removed or replaced meanwhile.
        """
        if self._lock is not None:
            yield
            return
        with hold(self.path / LOCK, f"The run {self.path}") as self._lock:
            try:
                self._gaussians.restore()
                self._index.restore()
                self.refresh()
                for folder in (*self._index.parents(), *(folder for _, folder in self._index.own_folders())):
                    remove_leftovers(folder)
                yield
            except (InputError, OSError) as error:
                if not self._lock.is_there():
                    raise _gone(self.path) from error  # else whatever could not be written is blamed
                if self._begun is not None:
                    discard(self.path, self._begun)
                raise
            finally:
                self._lock = None

    def require_there(self) -> None:
        """Raises InputError if the folder of this run was moved, removed or replaced since the run was opened for writing."""
        if not (self.path / INFO).is_file() or (self._lock is not None and not self._lock.is_there()):
            raise _gone(self.path)

    def require_frames(self, frames: Iterable[int]) -> None:
        """Raises InputError if one of these frames, or the folder of the run, is not on disk any more."""
        self.require_there()
        self.refresh()
        lost = sorted(set(frames) - set(self.frames()))
        if lost:
            raise InputError(
                f"Frame {lost[0] + 1} was removed from {self.path} while the run was being written: start it again to make it anew."
            )

    def require_places(self, frames: Iterable[int]) -> None:
        """Raises InputError if a file is where the folder of one of these frames belongs."""
        files = self._index.files()
        for frame in frames:
            if frame in files:
                raise InputError(f"{files[frame]} is a file, where the folder of frame {frame + 1} belongs: remove or rename it.")

    def refresh(self) -> None:
        """Finds frames that another process wrote since the run was opened. Raises InputError if the compact sequence is damaged."""
        self._index.refresh()
        self._gaussians.refresh()

    def frames(self) -> tuple[int, ...]:
        """Indices of the frames on disk, ascending. Those whose Gaussians are gone are not among them."""
        return self._gaussians.frames()

    def read_frame(self, frame: int) -> Gaussians:
        """The Gaussians of a frame, on the CPU: as they were computed where there is a PLY, else as the compact form has them.

        Raises InputError if the frame is not there or its file is broken.
        """
        return self._gaussians.read(frame)

    def lost(self) -> tuple[str, ...]:
        """Sentences that name the frames that the run once had, of which the Gaussians are gone."""
        return tuple(lost_frames(self._index, self.path / METRICS, self.frames(), self._gaussians.compact.broken))

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences: what was changed in the frames that were read so far, such as infinite opacities of other programs."""
        return self._gaussians.remarks

    def read_state(self, frame: int, device: torch.device) -> ChainState:
        """All that a pipeline continues from, as if its process had never ended. Raises InputError if a file is broken."""
        gaussians = self.read_frame(frame).to(device)
        folder = self._folder(frame)
        lineages = self.lineage()
        lineage, origin = lineages.of(frame), None
        if lineage is not None and len(lineage.born) != len(gaussians):
            lineage = None
        if lineage is not None and lineage.origin in self.frames():
            fitted = gaussians if lineage.origin == frame else self.read_frame(lineage.origin).to(device)
            origin = Origin(lineage.origin, fitted) if len(fitted) == len(gaussians) else None
        carried = frame_files.read_carried(folder) if folder else None
        tracks = self.read_followed(frame)
        return ChainState(
            frame=frame,
            gaussians=gaussians,
            lineage=None if lineage is None else lineage.to(device),
            origin=origin,
            carried=carried.to(device) if carried is not None and len(carried) == len(gaussians) else None,
            colours=self.read_colours(frame),
            tracks=None if tracks is None else tracks.to(device),
        )

    def write_frame(
        self,
        result: FrameResult,
        done: FrameDone,
        capture: Capture,
        images: fingerprints.Hashes | None = None,
        to_redo: Collection[int] = (),
    ) -> None:
        """Writes the frame's folder (by one rename) and then its rows of ``metrics.csv``. ``images``: hashes of what it was made from.

        A frame that is there is replaced; until the new one is complete, the old one is read. In a run that keeps the compact form, it is
        kept exactly, too, while it is one that a missing frame, or one of ``to_redo``, starts from.
        """
        self.require_there()
        parent = self.path if result.base is None else self.path / self.pipeline_folder
        folder = parent / f"frame{result.frame + 1}"
        scores = {name: dict(values) for name, values in result.scores.items()}
        record = FrameRecord(done, result.iterations, scores, dict(images or {}))
        before = self._folder(result.frame)
        kept = Kept(None, exact=True)
        if not self.keeps_ply:
            content = partial(self._gaussians.compact.make, result.frame, result.state.gaussians, moved=result.base is not None)
            needed = self._needed({*self.frames(), result.frame} - (set(to_redo) - {result.frame}), result)
            kept = Kept(content, exact=result.frame in needed)
        if before is not None:
            self._gaussians.compact.detach(result.frame)
        with atomic_folder(folder) as temporary:
            frame_files.write_files(temporary, result, record, capture, kept)
        self.require_there()
        self._index.add(result.frame, folder, record)
        self._gaussians.compact.add(result.frame, self._index.entries[result.frame].compact)
        self._begun = None
        if before is not None and before != folder and before.resolve().is_relative_to(self.path.resolve()):
            remove_folder(before)  # of another pipeline, or fitted from scratch: it would be found in place of this one
        self.remove_exact(to_redo)
        table = self.path / METRICS
        if before is not None or not table.is_file():
            self.write_metrics()
            return
        try:
            with table.open("a", encoding="utf-8") as file:
                file.write(metrics_rows(record, self._metrics(), self.held_out))
        except OSError as error:
            raise unwritable(self.path, error) from error

    # -- what is known about frames ---------------------------------------------------------------------------------

    def records(self) -> dict[int, FrameDone]:
        """What was reported when each frame was done; frames of runs without such a record are left out."""
        return {frame: record.done for frame, record in self._index.records().items()}

    def record(self, frame: int) -> FrameRecord | None:
        """All numbers of a frame, or None if the run has no record of it. Raises InputError if it is damaged."""
        return self._index.record(frame)

    def record_path(self, frame: int) -> Path | None:
        """The file of that record; None if there is none."""
        folder = self._folder(frame)
        path = folder / RECORD if folder else None
        return path if path is not None and path.is_file() else None

    def inode(self, frame: int) -> int:
        """A number that changes when the frame's folder is exchanged for another one; 0 for a frame of the compact form alone."""
        entry = self._index.entries.get(frame)
        return 0 if entry is None else entry.inode

    def lineage(self) -> RunLineage:
        """Which frames hold the same Gaussians, and since when each is there."""
        records = self.records()
        return RunLineage(
            self.frames(),
            {frame: done.base for frame, done in records.items()},
            {frame: done.gaussians for frame, done in records.items()},
            self.read_replaced,
        )

    def read_tracks(self, frame: int) -> dict[str, Tracks]:
        """Camera name -> the sparse 2D tracks, where they are in this frame; empty where none were kept."""
        folder = self._folder(frame)
        path = folder / TRACKS_FILE if folder else None
        return read_tracks(path) if path is not None and path.is_file() else {}

    def read_followed(self, frame: int) -> FollowedTracks | None:
        """The sparse tracks of all cameras in this frame, with what carries them; None where none were kept."""
        folder = self._folder(frame)
        path = folder / TRACKS_FILE if folder else None
        return read_state(path) if path is not None and path.is_file() else None

    def read_evidence(self, frame: int) -> Evidence | None:
        """What every view says about the motion to this frame; None where nothing was kept."""
        folder = self._folder(frame)
        path = folder / frame_files.EVIDENCE if folder else None
        return read_evidence(path) if path is not None and path.is_file() else None

    def read_cameras(self) -> tuple[Camera, ...]:
        """All cameras of the capture, from the first frame that names them; none if no frame does.

        Runs of older versions and of other programs do not say their near planes, which are then `DEFAULT_NEAR`.

        Raises InputError if the file is damaged.
        """
        folders = (self._folder(frame) for frame in self.frames())
        paths = (folder / frame_files.CAMERAS for folder in folders if folder is not None)
        path = next((path for path in paths if path.is_file()), None)
        return () if path is None else read_camera_entries(path)

    def read_replaced(self, frame: int) -> Tensor:
        """(B,) int64, ascending: indices that hold other Gaussians than the frame's base; none where it has the same."""
        folder = self._folder(frame)
        return frame_files.read_replaced(folder) if folder else torch.zeros(0, dtype=torch.long)

    def read_colours(self, frame: int) -> ColourAffines | None:
        """By what the training cameras' colours differ, as found with the first frame; None where they do not."""
        folder = self._folder(frame)
        return frame_files.read_colours(folder) if folder else None

    def write_metrics(self) -> None:
        """Writes ``metrics.csv`` anew from the frames' records: a process that was killed may have left half a row."""
        metrics, held_out = self._metrics(), self.held_out
        rows = (metrics_rows(record, metrics, held_out) for record in self._index.records().values())
        write_text(self.path / METRICS, metrics_header(metrics) + "".join(rows))

    @property
    def keeps_ply(self) -> bool:
        """Whether its frames are PLY files, as in runs of older versions and imported ones, and not the compact form."""
        return self.info.get(KEEP, PLY) == PLY

    def require_keep(self, form: str) -> None:
        """Raises InputError if frames of this run are kept in another form."""
        if (form == PLY) != self.keeps_ply:
            there = "as PLY files" if self.keeps_ply else "in the compact form"
            raise InputError(f"{self.path} keeps its frames {there}: leave --keep out, or choose another folder with --out.")

    def remove_exact(self, to_redo: Collection[int] = (), *, thorough: bool = False) -> None:
        """Removes what no missing frame and none of ``to_redo`` starts from, beside the compact form. ``thorough``: also what a killed
        process began to remove."""
        if not self.keeps_ply:
            remove_unneeded(self._index, self._needed(set(self.frames()) - set(to_redo)), thorough=thorough)

    def compact(self) -> int:
        """Turns the PLYs into the compact form (lossy: quantised); returns the bytes of all that are in it.

        A frame is read from its PLY until the compact form is complete and on the disk. What the last frame hands on to a next one stays.
        """
        with self.writing():
            frames, lost = self.frames(), self.lost()
            if not frames:
                raise InputError(lost[0] if lost else f"The run {self.path} has no frames to compact: reconstruct some first.")
            self._gaussians.remark(lost)
            compact_frames(self._index, self._gaussians.compact, self._needed(frames), self.read_frame)
        return self._gaussians.compact_bytes()

    # -- private ------------------------------------------------------------------------------------------------------

    def _needed(self, present: Collection[int], new: FrameResult | None = None) -> frozenset[int]:
        return needed_frames(self.info, self.lineage(), present, new)

    def _folder(self, frame: int) -> Path | None:
        entry = self._index.entries.get(frame)
        return None if entry is None else entry.folder

    def _metrics(self) -> tuple[str, ...]:
        metrics = self.settings.get("metrics")
        return tuple(str(name) for name in metrics) if isinstance(metrics, list) else ()

    @property
    def held_out(self) -> tuple[str, ...]:
        """Names of the cameras that were used to measure alone."""
        names = self.info.get("held_out")
        return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _gone(path: Path) -> InputError:
    return InputError(
        f"{path} was moved, removed or replaced while the run was being written: bring the folder back to continue it, or start it again."
    )
