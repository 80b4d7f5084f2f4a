"""The files of one frame's folder.

gaussians.tsgf                               the Gaussians in the compact form (store/compact_frames.py)
point_cloud/iteration_<I>/point_cloud.ply    the Gaussians as 3DGS PLY: where a next frame may start, and in runs that keep PLY files
log/iteration_<I>/log.csv                    training cameras, the published columns
cameras.json, cfg_args                       as other 3DGS tools expect
frame.json                                   how it was made and how good it is
tracks.npz                                   the sparse 2D tracks, where they are in this frame
evidence.npz                                 what every view says about the motion that led here
carried.safetensors                          of that motion, for the next frame (motion/motion.py), beside the PLY
replaced.safetensors                         indices of the Gaussians that are not those of the base
colours.json                                 3x4 map per training camera, where their colours differ
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.files import read_json, remove_folder, write_json, write_text
from trackersplat.gaussians.ply import write_ply
from trackersplat.geometry.devices import downloaded
from trackersplat.motion.motion import CarriedMotion
from trackersplat.pipelines.pipeline import FrameResult
from trackersplat.store.compact_frames import COMPACT_FILE
from trackersplat.store.evidence_files import write_evidence
from trackersplat.store.record import RECORD, FrameRecord, write_record
from trackersplat.store.tables import camera_entries, log_csv
from trackersplat.store.track_files import write_tracks
from trackersplat.training.photometric import ColourAffines

CARRIED, REPLACED, COLOURS = "carried.safetensors", "replaced.safetensors", "colours.json"
CAMERAS = "cameras.json"
CLOUDS = "point_cloud"  # folder of PLY files
EVIDENCE = "evidence.npz"
_LONG_FILES = 3  # that are written at once, beside the compact form
_AGAIN = "remove the folder to reconstruct the frame anew"


@dataclass(frozen=True)
class Kept:
    """In which form a frame is written. At least one of the two is there."""

    compact: Callable[[], bytes] | None  # makes the content of `COMPACT_FILE`
    exact: bool  # with the PLY, and with what the next frame needs of the motion


def write_files(folder: Path, result: FrameResult, record: FrameRecord, capture: Capture, kept: Kept) -> None:
    """Everything that is kept of a frame, into a folder that is there and empty; what takes long at once, in threads."""
    with ThreadPoolExecutor(_LONG_FILES, "write") as threads:
        long = _begin_long_files(folder, result, kept, threads)
        _write_short_files(folder, result, record, capture)
        if kept.compact is not None:
            (folder / COMPACT_FILE).write_bytes(kept.compact())
        for file in long:
            file.result()


def _begin_long_files(folder: Path, result: FrameResult, kept: Kept, threads: Executor) -> list[Future[None]]:
    """Those that take long to compress or to write, the longest first."""
    files = []
    if result.motion is not None and result.motion.evidence is not None:
        files.append(threads.submit(write_evidence, folder / EVIDENCE, result.motion.evidence))
    if result.state.tracks is not None:
        files.append(threads.submit(write_tracks, folder, result.state.tracks))
    if kept.exact:
        files.append(threads.submit(_write_exact, folder, result))
    return files


def _write_exact(folder: Path, result: FrameResult) -> None:
    cloud = folder / CLOUDS / f"iteration_{result.iterations}"
    cloud.mkdir(parents=True)
    write_ply(cloud / "point_cloud.ply", result.state.gaussians)
    carried = result.state.carried
    if carried is not None:
        tensors = downloaded({part.name: getattr(carried, part.name).clone() for part in fields(carried)})
        (folder / CARRIED).write_bytes(save(tensors))  # an OSError if the disk is full, unlike save_file


def _write_short_files(folder: Path, result: FrameResult, record: FrameRecord, capture: Capture) -> None:
    log = folder / "log" / f"iteration_{result.iterations}"
    log.mkdir(parents=True)
    write_text(log / "log.csv", log_csv(result.scores, [capture.cameras[index].name for index in capture.training_cameras]))
    write_json(folder / CAMERAS, camera_entries(capture))
    write_text(folder / "cfg_args", f"Namespace(sh_degree={result.state.gaussians.sh_degree}, source_path={short_path(capture.root)!r})")
    if len(result.replaced):
        (folder / REPLACED).write_bytes(save({"indices": result.replaced.detach().cpu().contiguous()}))
    if result.state.colours is not None:
        write_json(folder / COLOURS, result.state.colours.to_json())
    write_record(folder / RECORD, record)


def remove_exact(folder: Path, *, carried: bool = True) -> None:
    """Removes the PLY of a frame that is there in the compact form and, with ``carried``, what its motion hands on. May be killed and
    done once more."""
    if carried:
        (folder / CARRIED).unlink(missing_ok=True)
    remove_folder(folder / CLOUDS)


def has_exact(folder: Path) -> bool:
    """Whether `remove_exact` has something to remove."""
    return (folder / CLOUDS).is_dir() or (folder / CARRIED).exists()


def read_carried(folder: Path) -> CarriedMotion | None:
    """What the motion to a frame hands to the next, on the CPU; None where nothing was kept. Raises InputError if the file is damaged."""
    path = folder / CARRIED
    if not path.is_file():
        return None
    tensors = _load(path)
    try:
        carried = CarriedMotion(**{part.name: tensors[part.name] for part in fields(CarriedMotion)})
    except KeyError as error:
        raise InputError(f"{path} is damaged ({error} is missing); {_AGAIN}.") from error
    count = carried.trust.numel()
    shapes = {part.name: (count,) if part.name == "trust" else (count, 3) for part in fields(CarriedMotion)}
    values = {name: getattr(carried, name) for name in shapes}
    if any(t.shape != shapes[name] or t.dtype != torch.float32 or not t.isfinite().all() for name, t in values.items()):
        raise InputError(f"{path} is damaged (no finite motion per Gaussian); {_AGAIN}.")
    return carried


def read_replaced(folder: Path) -> Tensor:
    """(B,) int64, ascending: indices that hold other Gaussians than the frame's base. Raises InputError if the file is damaged."""
    path = folder / REPLACED
    if not path.is_file():
        return torch.zeros(0, dtype=torch.long)
    indices = _load(path).get("indices")
    if indices is None or indices.ndim != 1 or indices.dtype != torch.int64 or (indices < 0).any() or (indices.diff() <= 0).any():
        raise InputError(f"{path} is damaged (no ascending indices); {_AGAIN}.")
    return indices


def read_colours(folder: Path) -> ColourAffines | None:
    """By what the training cameras' colours differ; None where they do not. Raises InputError if the file is damaged."""
    path = folder / COLOURS
    if not path.is_file():
        return None
    try:
        return ColourAffines.from_json(read_json(path))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); {_AGAIN}.") from error


def _load(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is damaged ({error}); {_AGAIN}.") from error
    return tensors


def short_path(path: Path) -> str:
    """The path as a person in the working folder would write it."""
    path = path.resolve()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
