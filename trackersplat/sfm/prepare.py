"""What is done once for a capture, into a folder of its own (see `captures.layouts.prepared`)."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trackersplat.captures.archives.unpack import Written, find_archive, unpack
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.captures.fingerprints import hash_of_pixels, hashes_of_cameras
from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.captures.layouts.footage import Footage, is_footage
from trackersplat.captures.layouts.prepared import (
    RECORD,
    Record,
    SourceCamera,
    footage_cameras,
    open_source,
    read_record,
    write_prepared,
)
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.media.views import make_view
from trackersplat.captures.registry import recognised
from trackersplat.captures.settings import CaptureSettings, check_held_out, named_cameras, plain_name
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import (
    atomic_folder,
    make_folder,
    read_json,
    remove_dead,
    remove_dead_work,
    remove_leftovers_of,
    working_folder,
    write_json,
)
from trackersplat.locks import hold
from trackersplat.sfm.align import change
from trackersplat.sfm.colmap import load_pycolmap
from trackersplat.sfm.events import Step
from trackersplat.sfm.features import FeaturesFound, Photo, find_features
from trackersplat.sfm.guessed_points import GuessedPoints, align_guess
from trackersplat.sfm.initialisers import InitialiserInfo, check_available, initialiser_info, package_version
from trackersplat.sfm.instantsplat import guess_scene
from trackersplat.sfm.poses import FoundPoses, PosesFound, estimate_poses, refine_poses
from trackersplat.sfm.settings import Intrinsics, Poses, PrepareSettings
from trackersplat.sfm.triangulate import CameraFit, SparsePoints, triangulate

_WORK = "trackersplat-prepare"  # name of the folder for intermediate files
_LIST_BYTES = 64 << 20  # of the end of an archive, where its list of files is


@dataclass(frozen=True)
class Prepared(Event):
    """The last event of `prepare`."""

    folder: Path
    record: Record
    reused: bool  # the folder was complete already


def prepare(source: str, out: Path, settings: PrepareSettings) -> Iterator[Event]:
    """Finds points, and if wanted poses, of a capture or of footage without calibration, and writes them into the folder ``out``.

    Yields `Step` events, then `Prepared`. Points are triangulated, or guessed by a network, from the images of the training cameras alone.
    Poses are found from the images of all cameras, since held-out cameras need one too. A folder that was prepared in the same way from the
    same data is kept as it is. ``source`` may also be a ZIP archive, or a folder with one, which is unpacked into ``<out>-data``;
    ``<out>-data.json`` says which archive that was.

    Raises InputError if ``source`` is neither, ``out`` holds anything else, is being written by another process or cannot be written, or
    the images do not fit together.
    """
    if settings.points == "features":
        load_pycolmap()
    else:
        check_available(initialiser_info(settings.points), settings.weights)
    started = time.perf_counter()
    source = "demo" if source == "demo" else str(Path(source).expanduser().resolve())
    if source != "demo" and out.resolve().is_relative_to(source):
        raise InputError(f"{out} lies inside of {source}, where nothing is written: choose another folder with --out.")
    remove_dead(out.resolve())
    remove_dead_work(_WORK)
    archive = None if source == "demo" else archive_of(Path(source))
    if archive is not None:
        unpacked = unpacked_folder(out)
        for event in _unpacked_once(archive, unpacked):
            if isinstance(event, Written):
                yield Step(f"unpacking {archive.name}, MB", event.done >> 20, event.total >> 20)
        source = str(_data_in(unpacked))
    yield Step("opening")
    data = open_source(source, "The data")
    try:
        if settings.held_out is not None:
            names = data.cameras if isinstance(data, Footage) else [camera.name for camera in data.cameras]
            settings = replace(settings, held_out=named_cameras(settings.held_out, names))
        there = _existing(out, source, settings)
        if there is not None:
            _check_data(out, there, data)
            yield Prepared(out, there, reused=True)
            return
        yield from _prepared(data, source, out, settings, started)
    finally:
        data.source.close()


def archive_of(path: Path) -> Path | None:
    """The archive that ``path`` is, or that lies in a folder without other data; else None."""
    if path.is_dir() and (recognised(path) is not None or is_footage(path)):
        return None
    return find_archive(path)


def unpacked_folder(out: Path) -> Path:
    """Where an archive is unpacked that is prepared into ``out``."""
    out = out.resolve()
    return out.with_name(f"{out.name}-data")


def hash_of_archive(archive: Path) -> str:
    """A hash of its size and of its list of files, which has the check sum of each."""
    try:
        with archive.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LIST_BYTES))
            return hashlib.blake2b(f"{size} ".encode() + file.read(), digest_size=8).hexdigest()
    except OSError as error:
        raise InputError(f"{archive} cannot be read ({error.strerror}): check it and its permissions.") from error


def made_from(out: Path) -> str | None:
    """What a folder was prepared from: the hash of an archive, or else the place of the data; "" if it holds something else.

    None if nothing is there. Raises InputError if its record is damaged.
    """
    about = _about(unpacked_folder(out))
    if about.is_file():
        return str(read_json(about).get("hash"))
    if unpacked_folder(out).exists():
        return ""
    if not out.exists() or (out.is_dir() and next(out.iterdir(), None) is None):
        return None
    return read_record(out).source if (out / RECORD).is_file() else ""


def _about(unpacked: Path) -> Path:
    return unpacked.with_name(f"{unpacked.name}.json")


def _unpacked_once(archive: Path, unpacked: Path) -> Iterator[Event]:
    """Unpacks an archive unless that was done. Raises InputError if another one was unpacked there."""
    about, known = _about(unpacked), {"archive": str(archive), "hash": hash_of_archive(archive)}
    make_folder(about.parent)
    with hold(about.with_name(f".{about.name}.lock"), str(unpacked)):
        remove_leftovers_of(about)
        remove_dead(unpacked)
        if not unpacked.is_dir():
            write_json(about, known)  # before the folder is there: what it says of a folder is always true
            try:
                yield from unpack(archive, unpacked)
            finally:
                if not unpacked.is_dir():
                    about.unlink(missing_ok=True)
            return
        before = read_json(about) if about.is_file() else {}
        if before.get("hash") != known["hash"]:
            raise InputError(
                f"{unpacked} holds what was unpacked from {before.get('archive', 'an archive that is not known')}, "
                f"whose content is not that of {archive}: choose another folder with --out, or remove that one."
            )


def _data_in(unpacked: Path) -> Path:
    """The folder of the data in an unpacked archive: itself, or one that it holds."""
    places = (unpacked, *sorted(place for place in unpacked.iterdir() if place.is_dir()))
    fitting = [place for place in places if recognised(place) is not None] or [place for place in places if is_footage(place)]
    return fitting[0] if fitting else unpacked


def _existing(out: Path, source: str, settings: PrepareSettings) -> Record | None:
    if not out.exists() or (out.is_dir() and next(out.iterdir(), None) is None):
        return None
    if not (out / RECORD).is_file():
        raise InputError(f"{out} holds something else already: choose an empty or new folder with --out.")
    record = read_record(out)
    if record.source != source:
        raise InputError(f"{out} was prepared from {record.source}: choose another folder with --out.")
    before = {**PrepareSettings().to_json(), **record.settings}  # what an older record does not say had its default
    if before != settings.to_json():
        asked = ", ".join(f"{key} {value}" for key, value in settings.to_json().items() if before.get(key) != value)
        raise InputError(f"{out} was prepared in another way (now asked: {asked}): choose another folder with --out, or remove that one.")
    return record


def _hashes(data: Capture | Footage, images: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What tells these data from others that come to lie in the same place."""
    calibration = hashes_of_cameras(data.cameras) if isinstance(data, Capture) else None
    return {"calibration": calibration, "images": {name: hash_of_pixels(image) for name, image in images.items()}}


def _check_data(out: Path, record: Record, data: Capture | Footage) -> None:
    """Raises InputError if the data are not those that were prepared. Reads frame 1. Older records do not tell."""
    known = record.report.get("data")
    if not isinstance(known, dict) or not isinstance(known.get("images"), dict):
        return
    names = [camera.name for camera in data.cameras] if isinstance(data, Capture) else list(data.cameras)
    images = {name: data.source.read(names.index(name), 0) for name in known["images"] if name in names}
    found = _hashes(data, images)
    if found["images"] != known["images"]:
        other = next(name for name in known["images"] if found["images"].get(name) != known["images"][name])
        what = f"the image of {other} in frame 1 is another one now"
    elif found["calibration"] != known.get("calibration"):
        what = "the calibration has changed"
    else:
        return
    raise InputError(
        f"{out} was prepared from other data in {record.source} ({what}): choose another folder with --out, or remove that one."
    )


def _prepared(data: Capture | Footage, source: str, out: Path, settings: PrepareSettings, started: float) -> Iterator[Event]:
    cameras = tuple(SourceCamera(c.name, c.width, c.height) for c in data.cameras) if isinstance(data, Capture) else footage_cameras(data)
    names = [plain_name(camera.name, f"{data.root}: a camera's name") for camera in cameras]
    poses, intrinsics = _choices(data, settings)
    held_out = data.held_out if settings.held_out is None else check_held_out(settings.held_out, names, Path("--hold-out"))
    given = _given(data)
    lenses = {camera.name: camera.lens for camera in given}
    wanted = [name for name in names if poses != "keep" or name not in held_out]
    if len(set(names) - set(held_out)) < 2:
        raise InputError(f"{data.name} has fewer than 2 training cameras, which points need: add cameras, or hold fewer out.")
    with working_folder(_WORK) as work:
        photos: list[Photo] = []
        for name in wanted:
            yield Step("reading frame 1", len(photos), len(wanted))
            photos.append(Photo(name, data.source.read(names.index(name), 0), lenses.get(name)))
        found: FoundPoses | None = None
        if poses != "keep" or settings.points == "features":
            for event in find_features(work / "features", photos, intrinsics, settings.features):
                if isinstance(event, FeaturesFound):
                    features = event.features
                else:
                    yield event
        if poses != "keep":
            find_poses = refine_poses if poses == "refine" else estimate_poses
            for event in find_poses(features, intrinsics, given, settings):
                if isinstance(event, PosesFound):
                    found = event.poses
                else:
                    yield event
        posed = given if found is None else found.cameras
        training = [camera for camera in posed if camera.name not in held_out]
        if len(training) < 2:
            raise InputError(f"A pose was found of fewer than 2 training cameras of {data.name}, which points need: hold fewer out.")
        by_network: dict[str, Any] = {}
        if settings.points == "features":
            yield Step("triangulating")
            points = triangulate(features, training, settings.triangulation)
        else:
            info = initialiser_info(settings.points)
            views, images = _undistorted(data, photos, training)
            yield Step(f"{info.title} on {len(images)} images")
            scene = guess_scene(info, settings.weights / info.weights, images)
            yield Step("aligning")
            guessed = align_guess(scene, views, info.title, settings.guess)
            points, by_network = guessed.points, _network_report(info, guessed)
    held_out = tuple(name for name in held_out if name in {camera.name for camera in posed})
    record = Record(
        source=source,
        cameras=cameras,
        poses=poses,
        points_from=tuple(camera.name for camera in training),
        settings=settings.to_json(),
        report={
            "frame": 1,
            "intrinsics": intrinsics,
            "seconds": round(time.perf_counter() - started, 2),
            "pycolmap": str(load_pycolmap().__version__) if found or not by_network else None,
            "points": len(points.cloud.xyz),
            "error_px": _rounded(points.error),
            **by_network,
            "unrefined": list(found.unrefined) if found else [],
            "left_out": [name for name in names if name not in {camera.name for camera in posed}],
            "cameras": _camera_reports(names, points, found, given),
            "data": _hashes(data, {photo.camera: photo.image for photo in photos}),
        },
    )
    said = CaptureSettings(held_out=held_out if held_out or settings.held_out is not None else None, scale=settings.scale)
    with atomic_folder(out) as folder:
        write_prepared(folder, record, said, points.cloud, None if found is None else found.cameras)
    yield Prepared(out, record, reused=False)


def _undistorted(data: Capture | Footage, photos: Sequence[Photo], training: Sequence[RigCamera]) -> tuple[list[Camera], list[np.ndarray]]:
    """The training cameras without lens distortion, and their (H, W, 3) images."""
    near = {camera.name: camera.near for camera in data.cameras} if isinstance(data, Capture) else {}
    images = {photo.camera: photo.image for photo in photos}
    cameras: list[Camera] = []
    shown: list[np.ndarray] = []
    for camera in training:
        view, remap = make_view(camera.name, camera.lens, camera.world_to_camera)
        cameras.append(replace(view, near=near.get(camera.name, view.near)))
        shown.append(images[camera.name] if remap is None else remap.apply(images[camera.name]))
    return cameras, shown


def _network_report(info: InitialiserInfo, guessed: GuessedPoints) -> dict[str, Any]:
    alignment = guessed.alignment
    return {
        "error_px": _rounded(alignment.error),
        "initialiser": {
            "name": info.name,
            "title": info.title,
            "licence": info.licence,
            "weights": info.weights,
            "weights_licence": info.weights_licence,
            "instantsplat": package_version(),
            "found": guessed.found,
            "off_deg": round(alignment.degrees, 4),
            "off": round(alignment.distance, 6),
            "disagreeing": list(alignment.disagreeing),
        },
    }


def _choices(data: Capture | Footage, settings: PrepareSettings) -> tuple[Poses, Intrinsics]:
    """How poses and lenses are found. Raises InputError if the data do not allow it."""
    calibrated = isinstance(data, Capture)
    poses: Poses = settings.poses or ("keep" if calibrated else "estimate")
    intrinsics: Intrinsics = settings.intrinsics or ("given" if calibrated else "each")
    if not calibrated and poses != "estimate":
        raise InputError(f"{data.root} has no poses to {poses}: use --poses estimate.")
    if not calibrated and intrinsics == "given":
        raise InputError(f"{data.root} has no intrinsics: use --intrinsics each or shared.")
    if poses == "keep" and intrinsics != "given":
        raise InputError(f"--intrinsics {intrinsics} changes the lenses, which --poses keep does not: use --poses refine or estimate.")
    return poses, intrinsics


def _given(data: Capture | Footage) -> tuple[RigCamera, ...]:
    """The cameras of a capture, whose images have no lens distortion; none of footage."""
    if isinstance(data, Footage):
        return ()
    return tuple(RigCamera(c.name, OpenCVLens(c.width, c.height, c.fx, c.fy, c.cx, c.cy), c.world_to_camera) for c in data.cameras)


def _camera_reports(
    names: Sequence[str], points: SparsePoints, found: FoundPoses | None, given: Sequence[RigCamera]
) -> list[dict[str, Any]]:
    """Per camera: features, points seen and reprojection error, and how far its pose and focal length are from the given ones.

    The error of a held-out camera is that of the bundle adjustment that found its pose.
    """
    fits: dict[str, CameraFit] = {fit.camera: fit for fit in (*(found.fits if found else ()), *points.fits)}
    before = {camera.name: camera for camera in given}
    after = {camera.name: camera for camera in found.cameras} if found else {}
    reports = []
    for name in names:
        fit = fits.get(name)
        report: dict[str, Any] = {"name": name}
        if fit is not None:
            report |= {"features": fit.features, "points": fit.points, "error_px": _rounded(fit.error)}
        if name in before and name in after:
            moved = change(after[name].world_to_camera, before[name].world_to_camera)
            report |= {"turned_deg": round(moved.degrees, 4), "moved": round(moved.distance, 6)}
            report["focal_change"] = round(after[name].lens.fx / before[name].lens.fx - 1, 5)
        reports.append(report)
    return reports


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
