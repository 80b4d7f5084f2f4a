"""Everything that is done once for a capture, into a folder beside the data (see ``captures/prepared``)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from trackersplat.captures.archives.unpack import find_archive, unpack
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
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
from trackersplat.captures.settings import CaptureSettings, check_held_out, plain_name
from trackersplat.errors import InputError
from trackersplat.files import atomic_folder
from trackersplat.sfm.align import change
from trackersplat.sfm.colmap import load_pycolmap
from trackersplat.sfm.features import Intrinsics, Photo, Step, find_features
from trackersplat.sfm.guessed_points import GuessedPoints, bring_home
from trackersplat.sfm.initialisers import WEIGHTS_FOLDER, InitialiserInfo, check_available, initialiser_info, package_version
from trackersplat.sfm.instantsplat import guess_scene
from trackersplat.sfm.poses import FoundPoses, estimate_poses, refine_poses
from trackersplat.sfm.triangulate import CameraFit, SparsePoints, triangulate

Poses = Literal["keep", "refine", "estimate"]
Points = Literal["features", "dust3r", "mast3r", "vggt"]  # triangulated, or by the initialiser of this name


@dataclass(frozen=True)
class PrepareSettings:
    """None: as the data suggest. Poses that are there are kept, else they are estimated; lenses that are known are kept, else each
    camera gets its own; cameras are held out as the capture says."""

    poses: Poses | None = None
    intrinsics: Intrinsics | None = None
    held_out: tuple[str, ...] | None = None
    scale: float | None = None
    points: Points = "features"
    weights: Path = WEIGHTS_FOLDER  # folder with those of an initialiser

    def to_json(self) -> dict[str, Any]:
        """What tells one way of preparing from another."""
        said = {**vars(self), "held_out": None if self.held_out is None else list(self.held_out)}
        del said["weights"]  # the same wherever they lie
        return said


@dataclass(frozen=True)
class Prepared:
    """The last thing that ``prepare`` yields."""

    folder: Path
    record: Record
    reused: bool  # it was all there already


def prepare(source: str, out: Path, settings: PrepareSettings) -> Generator[Step | Prepared, None, None]:
    """Points, and if wanted poses, of a capture or of footage without calibration, into the folder ``out``.

    Points are triangulated, or guessed by a network, from the images of the training cameras alone. Poses are found from the images of
    all cameras, as those that are held out need one too. A folder that was prepared in the same way from the same data is kept as it is.
    ``source`` may also be a ZIP archive, or a folder with one, which is unpacked into ``<out>-data``.

    Raises InputError if ``source`` is neither, ``out`` holds anything else or cannot be written, or the images do not fit together.
    """
    if settings.points == "features":
        load_pycolmap()
    else:
        check_available(initialiser_info(settings.points), settings.weights)
    started = time.perf_counter()
    source = "demo" if source == "demo" else str(Path(source).expanduser().resolve())
    if source != "demo" and out.resolve().is_relative_to(source):
        raise InputError(f"{out} lies inside of {source}, where nothing is written: choose another folder with --out.")
    if source != "demo":
        source = yield from _unpacked(Path(source), out)
    there = _existing(out, source, settings)
    if there is not None:
        yield Prepared(out, there, reused=True)
        return
    yield Step("opening")
    data = open_source(source, "The data")
    try:
        yield from _prepared(data, source, out, settings, started)
    finally:
        data.source.close()


def _unpacked(path: Path, out: Path) -> Generator[Step, None, str]:
    """The folder of the data; where ``path`` is an archive, or holds nothing but one, it is unpacked once, beside ``out``."""
    if path.is_dir() and (recognised(path) is not None or is_footage(path)):
        return str(path)
    archive = find_archive(path)
    if archive is None:
        return str(path)
    unpacked = out.resolve().with_name(f"{out.name}-data")
    if not unpacked.is_dir():
        for done, total in unpack(archive, unpacked):
            yield Step(f"unpacking {archive.name}, MB", done >> 20, total >> 20)
    places = (unpacked, *sorted(place for place in unpacked.iterdir() if place.is_dir()))
    fitting = [place for place in places if recognised(place) is not None] or [place for place in places if is_footage(place)]
    return str(fitting[0] if fitting else unpacked)


def _existing(out: Path, source: str, settings: PrepareSettings) -> Record | None:
    if not out.exists() or (out.is_dir() and next(out.iterdir(), None) is None):
        return None
    if not (out / RECORD).is_file():
        raise InputError(f"{out} holds something else already: choose an empty or new folder with --out.")
    record = read_record(out)
    if record.source != source:
        raise InputError(f"{out} was prepared from {record.source}: choose another folder with --out.")
    before = {"points": "features", **record.settings}  # older records do not say it, as there was nothing else
    if before != settings.to_json():
        asked = ", ".join(f"{key} {value}" for key, value in settings.to_json().items() if before.get(key) != value)
        raise InputError(f"{out} was prepared in another way (now asked: {asked}): choose another folder with --out, or remove that one.")
    return record


def _prepared(
    data: Capture | Footage, source: str, out: Path, settings: PrepareSettings, started: float
) -> Generator[Step | Prepared, None, None]:
    cameras = tuple(SourceCamera(c.name, c.width, c.height) for c in data.cameras) if isinstance(data, Capture) else footage_cameras(data)
    names = [plain_name(camera.name, f"{data.root}: a camera's name") for camera in cameras]
    poses, intrinsics = _choices(data, settings)
    held_out = data.held_out if settings.held_out is None else check_held_out(settings.held_out, names, Path("--hold-out"))
    given = _given(data)
    lenses = {camera.name: camera.lens for camera in given}
    wanted = [name for name in names if poses != "keep" or name not in held_out]
    if len(set(names) - set(held_out)) < 2:
        raise InputError(f"{data.name} has fewer than 2 training cameras, which points need: add cameras, or hold fewer out.")
    with tempfile.TemporaryDirectory(prefix="trackersplat-") as work:
        photos: list[Photo] = []
        for name in wanted:
            yield Step("reading frame 1", len(photos), len(wanted))
            photos.append(Photo(name, data.source.read(names.index(name), 0), lenses.get(name)))
        found: FoundPoses | None = None
        if poses != "keep" or settings.points == "features":
            features = yield from find_features(Path(work) / "features", photos, intrinsics)
        if poses == "refine":
            found = yield from refine_poses(features, given, intrinsics)
        elif poses == "estimate":
            found = yield from estimate_poses(features, intrinsics, given)
        posed = given if found is None else found.cameras
        training = [camera for camera in posed if camera.name not in held_out]
        if len(training) < 2:
            raise InputError(f"A pose was found of fewer than 2 training cameras of {data.name}, which points need: hold fewer out.")
        by_network: dict[str, Any] = {}
        if settings.points == "features":
            yield Step("triangulating")
            points = triangulate(features, training)
        else:
            info = initialiser_info(settings.points)
            guessed = yield from _guessed(info, settings.weights / info.weights, data, photos, training)
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
        },
    )
    said = CaptureSettings(held_out=held_out if held_out or settings.held_out is not None else None, scale=settings.scale)
    with atomic_folder(out) as folder:
        write_prepared(folder, record, said, points.cloud, None if found is None else found.cameras)
    yield Prepared(out, record, reused=False)


def _guessed(
    info: InitialiserInfo, weights: Path, data: Capture | Footage, photos: Sequence[Photo], training: Sequence[RigCamera]
) -> Generator[Step, None, GuessedPoints]:
    """Points by a network, from the images of the training cameras as they are once lens distortion is undone."""
    near = {camera.name: camera.near for camera in data.cameras} if isinstance(data, Capture) else {}
    images = {photo.camera: photo.image for photo in photos}
    cameras: list[Camera] = []
    shown = []
    for camera in training:
        view, remap = make_view(camera.name, camera.lens, camera.world_to_camera)
        cameras.append(replace(view, near=near.get(camera.name, view.near)))
        shown.append(images[camera.name] if remap is None else remap.apply(images[camera.name]))
    yield Step(f"{info.title} on {len(shown)} images")
    scene = guess_scene(info, weights, shown)
    yield Step("aligning")
    return bring_home(scene, cameras, info.title)


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
    """What is to be done. Raises InputError if it cannot."""
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
    """The cameras of a capture as they are: its images are free of distortion."""
    if isinstance(data, Footage):
        return ()
    return tuple(RigCamera(c.name, OpenCVLens(c.width, c.height, c.fx, c.fy, c.cx, c.cy), c.world_to_camera) for c in data.cameras)


def _camera_reports(
    names: Sequence[str], points: SparsePoints, found: FoundPoses | None, given: Sequence[RigCamera]
) -> list[dict[str, Any]]:
    """Per camera: features, points seen and reprojection error, and how far its pose and focal length are from the given ones.

    Held-out cameras have the error of the adjustment that found their poses.
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
