"""A run: the directory that holds a reconstruction.

    <run>/run.json                                   settings, versions, hardware, what was captured
    <run>/metrics.csv                                held-out cameras, one row per frame and camera
    <run>/frame1/...                                 a frame fitted from scratch
    <run>/refine/base-propagate-<tracker>/frame<N>/  frames moved from another and refined
        point_cloud/iteration_<I>/point_cloud.ply    3DGS PLY
        log/iteration_<I>/log.csv                    training cameras, the published columns
        cameras.json, cfg_args                       as other 3DGS tools expect
        frame.json                                   how it was made and how good it is
        tracks.npz                                   a grid of the 2D tracks that moved it
        carried.safetensors                          of its motion, for the next frame (motion/motion.py)
        born.safetensors                             places of the Gaussians that are not those of its base (training/exchange.py)
        colours.json                                 3x4 map per training camera, where their colours differ
    <run>/sequence/                                  the compact form (gaussians/sequence.py), beside or instead of the PLYs

The layout is that of the published system, so older results open too. A frame's folder appears by one rename: it is
complete or absent. Folders and files count frames from 1, this module's functions from 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.events import FrameDone, from_json, to_json
from trackersplat.files import atomic_folder, read_json, remove_folder, remove_leftovers, unwritable, write_json, write_text
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import read_ply, write_ply
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence
from trackersplat.motion.motion import Carried
from trackersplat.store.tables import CameraScore, camera_entries, log_csv, metrics_csv
from trackersplat.tracking.point_tracks import PointTracks, read_point_tracks, write_point_tracks
from trackersplat.training.photometric import ColourAffines

FORMAT = 1
_FRAME_FOLDER = re.compile(r"frame([1-9]\d{0,8})")
_ITERATION_FOLDER = re.compile(r"iteration_(\d{1,9})")
_CARRIED, _BORN = "carried.safetensors", "born.safetensors"
_TRACKER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class FrameResult:
    """All that is kept of one reconstructed frame."""

    done: FrameDone
    gaussians: Gaussians
    iterations: int
    held_out: tuple[CameraScore, ...]
    training: tuple[CameraScore, ...]
    tracks: dict[str, PointTracks] = field(default_factory=dict)  # camera name -> sample of the tracks that moved it
    carried: Carried | None = None  # of the motion that led here
    colours: ColourAffines | None = None  # of the first frame, where the cameras' colours differ
    born: Tensor | None = None  # (B,) int64, ascending: places in which the base has other Gaussians


class Run:
    """Reads and writes one run directory. Holds no state but the path and the contents of ``run.json``."""

    def __init__(self, path: Path, info: dict[str, Any]) -> None:
        self.path = path
        self.info = info

    @staticmethod
    def open(path: Path) -> Run:
        """Opens a finished or unfinished run, ours or of the published system.

        Raises InputError if there is none.
        """
        if not path.is_dir():
            raise InputError(f"There is no run at {path}: expected a folder made by `trackersplat reconstruct`.")
        info = path / "run.json"
        run = Run(path, read_json(info) if info.is_file() else {})
        if not info.is_file() and not run.frames():
            raise InputError(f"{path} is not a run: expected run.json or frame<N>/point_cloud folders in it.")
        if run.info.get("format", FORMAT) != FORMAT:
            raise InputError(f"{info} has format {run.info['format']!r}, this version reads {FORMAT}; update trackersplat.")
        return run

    @staticmethod
    def create(path: Path, capture: Capture, info: dict[str, Any]) -> Run:
        """Opens the run at ``path``, or starts one there.

        Raises InputError if the folder cannot be written, holds something else, or a run of other settings, cameras or
        held-out cameras: one that was trained on cannot be measured on.
        """
        identity = {
            "name": capture.name,
            "layout": capture.layout,
            "frames": capture.frame_count,
            "cameras": [c.name for c in capture.cameras],
        }
        held_out = [capture.cameras[i].name for i in capture.held_out_cameras]
        info = {"format": FORMAT, "capture": identity, **info, "held_out": held_out}
        if (path / "run.json").is_file():
            run = Run.open(path)
            _same_or_raise(path, "capture", run.info.get("capture"), identity)
            _same_or_raise(path, "held-out cameras", run.info.get("held_out"), held_out)
            _same_or_raise(path, "settings", run.info.get("settings"), info.get("settings"))
            return run
        try:
            # A process killed while it wrote run.json leaves nothing but a temporary file.
            if path.is_dir() and not all(child.match(".run.json.*.tmp") for child in path.iterdir()):
                raise InputError(f"{path} is not empty and holds no run: choose an empty or new folder with --out.")
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / "run.json", info)
        except OSError as error:
            raise unwritable(path, error) from error
        return Run(path, info)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def pipeline(self) -> str:
        """The folder of the frames that follow another, by the published names: "refine/base-propagate-dis", "train/base"."""
        settings = self.info.get("settings")
        tracker = settings.get("tracker") if isinstance(settings, dict) else None
        is_name = isinstance(tracker, str) and _TRACKER_NAME.fullmatch(tracker)  # run.json may come from anywhere: no way out of the run
        return f"refine/base-propagate-{tracker}" if is_name else "train/base"

    # -- frames ---------------------------------------------------------------------------------------------------

    def frames(self) -> tuple[int, ...]:
        """Indices of the frames on disk, ascending. Scans the folder names anew."""
        found = set(self._frame_folders())
        sequence = self._sequence()
        if sequence is not None:
            found.update(sequence.frames)
        return tuple(sorted(found))

    def read_frame(self, frame: int) -> Gaussians:
        """The Gaussians of a frame, on the CPU: the PLY where there is one, the compact form otherwise.

        Raises InputError if the frame is not there or its file is broken.
        """
        folder = self._frame_folders().get(frame)
        if folder is not None:
            return read_ply(_last_iteration(folder / "point_cloud") / "point_cloud.ply")
        sequence = self._sequence()
        if sequence is None or frame not in sequence.frames:
            raise InputError(f"Frame {frame + 1} of the run {self.path} is not reconstructed yet.")
        return sequence.read(frame)

    def write_frame(self, result: FrameResult, capture: Capture) -> None:
        """Writes the frame's folder (by one rename) and then ``metrics.csv``."""
        number = result.done.frame + 1
        parent = self.path if result.done.base is None else self.path / self.pipeline
        remove_leftovers(parent / f"frame{number}")
        with atomic_folder(parent / f"frame{number}") as folder:
            iteration = f"iteration_{result.iterations}"
            cloud, log = folder / "point_cloud" / iteration, folder / "log" / iteration
            cloud.mkdir(parents=True)
            log.mkdir(parents=True)
            write_ply(cloud / "point_cloud.ply", result.gaussians)
            write_text(log / "log.csv", log_csv(result.training))
            write_json(folder / "cameras.json", camera_entries(capture))
            write_text(folder / "cfg_args", f"Namespace(sh_degree={result.gaussians.sh_degree}, source_path={_short(capture.root)!r})")
            if result.tracks:
                write_point_tracks(folder / "tracks.npz", result.tracks)
            if result.carried is not None:
                carried = save({name: tensor.detach().cpu().contiguous() for name, tensor in vars(result.carried).items()})
                (folder / _CARRIED).write_bytes(carried)  # an OSError if the disk is full, unlike save_file
            if result.born is not None and len(result.born):
                (folder / _BORN).write_bytes(save({"places": result.born.detach().cpu().contiguous()}))
            if result.colours is not None:
                write_json(folder / "colours.json", result.colours.to_json())
            scores = [vars(score) for score in result.held_out]
            write_json(folder / "frame.json", {"done": to_json(result.done), "iterations": result.iterations, "held_out": scores})
        self.write_metrics()

    # -- what is known about frames ---------------------------------------------------------------------------------

    def records(self) -> dict[int, FrameDone]:
        """What was reported when each frame was done; frames of older runs without such a record are left out."""
        return {frame: done for frame, done, _ in self._records()}

    def read_tracks(self, frame: int) -> dict[str, PointTracks]:
        """Camera name -> a grid of the 2D tracks that moved this frame; empty where none were kept."""
        folder = self._record_folders().get(frame)
        path = folder / "tracks.npz" if folder else None
        return read_point_tracks(path) if path and path.is_file() else {}

    def read_carried(self, frame: int) -> Carried | None:
        """What the motion to this frame hands to the next, on the CPU; None where nothing was kept."""
        folder = self._record_folders().get(frame)
        path = folder / _CARRIED if folder else None
        if path is None or not path.is_file():
            return None
        try:
            tensors = load_file(path)
            carried = Carried(**{part.name: tensors[part.name] for part in fields(Carried)})
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{path} is damaged ({error}); remove the folder to reconstruct the frame anew.") from error
        count = carried.trust.numel()
        shapes = {"withheld": (count, 3), "velocity": (count, 3), "spin": (count, 3), "trust": (count,)}
        if any(t.shape != shapes[name] or t.dtype != torch.float32 or not t.isfinite().all() for name, t in vars(carried).items()):
            raise InputError(f"{path} is damaged (no finite motion per Gaussian); remove the folder to reconstruct the frame anew.")
        return carried

    def read_born(self, frame: int) -> Tensor:
        """(B,) int64, ascending: places in which this frame has other Gaussians than its base; none where it has the same."""
        folder = self._record_folders().get(frame)
        path = folder / _BORN if folder else None
        if path is None or not path.is_file():
            return torch.zeros(0, dtype=torch.long)
        try:
            places = load_file(path)["places"]
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(f"{path} is damaged ({error}); remove the folder to reconstruct the frame anew.") from error
        if places.ndim != 1 or places.dtype != torch.int64 or (places < 0).any() or (places.diff() <= 0).any():
            raise InputError(f"{path} is damaged (no ascending places); remove the folder to reconstruct the frame anew.")
        return places

    def read_colours(self, frame: int) -> ColourAffines | None:
        """By what the training cameras' colours differ, as found with the first frame; None where they do not, or nobody looked."""
        folder = self._record_folders().get(frame)
        path = folder / "colours.json" if folder else None
        if path is None or not path.is_file():
            return None
        try:
            return ColourAffines.from_json(read_json(path))
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}); remove the folder to reconstruct the frame anew.") from error

    def write_metrics(self) -> None:
        """Writes ``metrics.csv`` anew from the frames' records."""
        write_text(self.path / "metrics.csv", metrics_csv(self._records()))

    def compact(self) -> int:
        """Turns the PLYs into the compact sequence (lossy: quantised); returns its size in bytes.

        The PLYs are removed only after the sequence is complete and verified, and with them what only a next frame needs.
        """
        frames = self.frames()
        if not frames:
            raise InputError(f"The run {self.path} has no frames to compact.")
        size = write_sequence(self.path / "sequence", frames, self.read_frame)
        about = self.info.get("capture")
        capture_ends = isinstance(about, dict) and about.get("frames") == frames[-1] + 1
        inside = self.path.resolve()  # a linked frame belongs to another run, which keeps its files
        ours = {frame: folder for frame, folder in self._record_folders().items() if folder.resolve().is_relative_to(inside)}
        for frame, folder in ours.items():
            remove_folder(folder / "point_cloud")
            if frame != frames[-1] or capture_ends:
                (folder / _CARRIED).unlink(missing_ok=True)
        return size

    # -- folders ------------------------------------------------------------------------------------------------------

    def _record_folders(self) -> dict[int, Path]:
        """Frame -> folder, from every pipeline; a frame moved by our pipeline wins over others."""
        folders: dict[int, Path] = {}
        parents = [p for p in (self.path, *sorted(self.path.glob("*/*"))) if p.is_dir() and p != self.path / self.pipeline]
        for parent in (*parents, self.path / self.pipeline):
            if parent.is_dir():
                for child in parent.iterdir():
                    match = _FRAME_FOLDER.fullmatch(child.name)
                    if match and child.is_dir():
                        folders[int(match[1]) - 1] = child
        return folders

    def _frame_folders(self) -> dict[int, Path]:
        return {frame: folder for frame, folder in self._record_folders().items() if (folder / "point_cloud").is_dir()}

    def _sequence(self) -> GaussianSequence | None:
        path = self.path / "sequence"
        return GaussianSequence.open(path) if path.is_dir() else None

    def _records(self) -> Iterator[tuple[int, FrameDone, list[CameraScore]]]:
        for frame, folder in sorted(self._record_folders().items()):
            path = folder / "frame.json"
            if not path.is_file():
                continue
            data = read_json(path)
            try:
                done = from_json(data["done"])
                scores = [CameraScore(**score) for score in data["held_out"]]
                if isinstance(done, FrameDone):
                    _check_numbers(done, scores)
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path} is not a frame record of ours ({error}); remove its folder to reconstruct the frame anew."
                ) from error
            if isinstance(done, FrameDone):
                yield frame, done, scores


def default_out(capture: Capture) -> Path:
    """Where a reconstruction of this capture goes if nobody says otherwise: ``output/<name>`` below the working folder.

    A name may be any text, so what could lead elsewhere is replaced by "_".
    """
    plain = re.sub(r"[^\w.\- ]", "_", capture.name).lstrip(".").strip()
    return Path("output") / (plain or "capture")


def find_runs(capture: Capture, out: Path | None = None) -> list[Path]:
    """Run folders of this capture: ``out`` if given, else the default one and, for the bundled demo, the finished run."""
    from trackersplat.captures.demo import demo_capture, demo_run

    candidates = [out] if out is not None else [default_out(capture)]
    if out is None and capture.root.resolve() == demo_capture().resolve():
        candidates.append(demo_run())
    found = []
    for path in candidates:
        if path.is_dir() and ((path / "run.json").is_file() or any(_FRAME_FOLDER.fullmatch(child.name) for child in path.iterdir())):
            found.append(path)
    return found


def _short(path: Path) -> str:
    """The path as a person in the working folder would write it."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _check_numbers(done: FrameDone, scores: list[CameraScore]) -> None:
    """Raises ValueError if a record holds something else where a number belongs."""
    needed = [done.gaussians, done.measured, done.static, done.seconds, *(value for s in scores for value in (s.psnr, s.ssim))]
    optional = [done.base, *vars(done.scores).values(), *(value for s in scores for value in (s.still_psnr, s.moved_psnr))]
    for value in (*needed, *(value for value in optional if value is not None)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or (isinstance(value, int) and abs(value) > 2**53):
            raise ValueError(f"{str(value)[:20]!r} where a number belongs")


def _last_iteration(folder: Path) -> Path:
    numbered = [(int(match[1]), child) for child in folder.iterdir() if (match := _ITERATION_FOLDER.fullmatch(child.name))]
    if not numbered:
        raise InputError(f"{folder} holds no iteration_<I> folder; remove it to reconstruct the frame anew.")
    return max(numbered)[1]


def _same_or_raise(path: Path, what: str, there: Any, asked: Any) -> None:
    if there == asked:
        return
    difference = next(_differences(there, asked, what), what)
    raise InputError(f"{path} holds a run of other {what} ({difference}): choose another folder with --out, or ask for the same.")


def _differences(there: Any, asked: Any, label: str) -> Iterator[str]:
    if isinstance(there, dict) and isinstance(asked, dict):
        for key in sorted(set(there) | set(asked)):
            if there.get(key) != asked.get(key):
                yield from _differences(there.get(key), asked.get(key), f"{label}.{key}")
    else:
        yield f"{label} {there!r} there, {asked!r} asked"
