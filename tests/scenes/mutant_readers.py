"""Every reader that meets files of others: a whole folder as the seed of its mutants, and how one is opened and judged."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from filmed_point import HEIGHT, WIDTH, rig
from making_captures import WHOLE, write_image_folder
from writing_ply import write_other_ply

from trackersplat.captures.archives.unpack import unpack
from trackersplat.captures.capture import Capture, PointCloud
from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layouts.prepared import Record, SourceCamera, write_prepared
from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.captures.registry import open_capture
from trackersplat.captures.settings import CaptureSettings
from trackersplat.errors import InputError
from trackersplat.events import FrameDone
from trackersplat.gaussians.codes import decode
from trackersplat.gaussians.compact_file import read_header, read_unchecked
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.ply import property_names, write_ply
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.followed_tracks import FollowedTracks, track_ids
from trackersplat.motion.motion import CarriedMotion
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.compact_frames import CompactFrames
from trackersplat.store.evidence_files import EVIDENCE_FILE, write_evidence
from trackersplat.store.run import Run
from trackersplat.store.track_files import write_tracks
from trackersplat.tracking.tracks import Provenance
from trackersplat.training.photometric import ColourAffines

SPLATS = Path(__file__).resolve().parents[1] / "gaussians" / "readers" / "data"
COUNT = 5  # Gaussians of a seed


class NonsenseError(AssertionError):
    """A reader accepted what means nothing."""


@dataclass(frozen=True)
class Reader:
    """``make`` fills a new folder and gives the one to damage; ``open`` reads it. InputError is an answer, all else but a value is none."""

    name: str
    make: Callable[[Path], Path]
    open: Callable[[Path], None]
    wanted: Callable[[Path], bool] = lambda path: True  # the files that are damaged


def readers() -> tuple[Reader, ...]:
    layouts = tuple(
        Reader(name, lambda folder, make=make: _with_extras(make(folder / "scene")), _open_capture) for name, make in WHOLE.items()
    )
    return (
        *layouts,
        Reader("prepared", _make_prepared, _open_prepared, lambda path: path.parent.name == "kept"),
        Reader("gaussian files", _make_gaussians, _open_gaussians),
        Reader("points", _make_points, lambda folder: _check_points(read_points(folder / "points.ply"))),
        Reader("archive", _make_archive, _open_archive),
        Reader("sequence", _make_sequence, _open_sequence),
        Reader("compact frames", _make_compact_frames, _open_compact_frames),
        Reader("run", _make_run, _open_run),
    )


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise NonsenseError(what)


# -- captures ------------------------------------------------------------------------------------------------------------


def _with_extras(folder: Path) -> Path:
    (folder / "capture.json").write_text('{"name": "scene", "fps": 25.0, "scale": 0.5}')
    return folder


def _open_capture(folder: Path) -> None:
    capture = open_capture(folder)
    try:
        check_capture(capture)
        for camera in range(len(capture.cameras)):
            try:
                image = capture.image(camera, 0)
            except InputError:
                continue
            _require(image.shape == (capture.cameras[camera].height, capture.cameras[camera].width, 3), "an image of another size")
            capture.mask(camera, 0)
    finally:
        capture.close()


def check_capture(capture: Capture) -> None:
    """Raises NonsenseError unless the capture can be worked with."""
    _require(len(capture.cameras) > 0, "no cameras")
    _require(capture.frame_count > 0, "no frames")
    _require(math.isfinite(capture.fps) and capture.fps > 0, f"{capture.fps} fps")
    _require(len({camera.name for camera in capture.cameras}) == len(capture.cameras), "two cameras of one name")
    for camera in capture.cameras:
        _require(camera.width > 0 and camera.height > 0, f"an image of {camera.width}x{camera.height}")
        _require(bool(np.isfinite(camera.K).all() and np.isfinite(camera.world_to_camera).all()), "a calibration that is not finite")
        _require(camera.K[0, 0] > 0 and camera.K[1, 1] > 0, "a focal length that is not positive")
        rotation = camera.world_to_camera[:3, :3]
        _require(bool(np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-2), "a pose that is no rotation")
        _require(np.linalg.det(rotation) > 0, "a mirrored pose")
    if capture.points is not None:
        _check_points(capture.points)
    if capture.depth_bounds is not None:
        _require(bool(np.isfinite(capture.depth_bounds).all()), "depths that are not finite")


def _check_points(points: PointCloud) -> None:
    _require(bool(np.isfinite(points.xyz).all()), "points that are not finite")


def _make_prepared(folder: Path) -> Path:
    filmed = rig(2, ((-0.1, 0.02, 0.0, 0.0), (0.1, 0.0, 0.0, 0.0)))
    write_image_folder(folder / "source", filmed)
    (folder / "kept").mkdir()
    lenses = [OpenCVLens(WIDTH, HEIGHT, f.camera.fx, f.camera.fy, f.camera.cx, f.camera.cy, f.distortion) for f in filmed]
    cameras = [RigCamera(f.camera.name, lens, f.camera.world_to_camera) for f, lens in zip(filmed, lenses, strict=True)]
    names = tuple(SourceCamera(f.camera.name, WIDTH, HEIGHT) for f in filmed)
    record = Record("/SOURCE", names, "estimate", (), {}, {"seconds": 1.0})
    points = PointCloud(np.ones((3, 3), np.float32), np.ones((3, 3), np.uint8))
    write_prepared(folder / "kept", record, CaptureSettings(name="a", fps=30.0), points, cameras)
    return folder


def _open_prepared(folder: Path) -> None:
    path = folder / "kept" / "prepared.json"
    if path.is_file() and not path.is_symlink():  # the folder of a mutant is a new one each time
        data = path.read_bytes().replace(b'"/SOURCE"', f'"{folder / "source"}"'.encode())
        path.unlink()
        path.write_bytes(data)
    _open_capture(folder / "kept")


# -- files of Gaussians and points -----------------------------------------------------------------------------------------


def _gaussians(seed: int = 0) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    shapes = [(COUNT, 3), (COUNT, 4), (COUNT, 3), (COUNT,), (COUNT, 4, 3)]
    return Gaussians(*(torch.randn(shape, generator=random) for shape in shapes))


def _make_gaussians(folder: Path) -> Path:
    write_ply(folder / "binary.ply", _gaussians())
    table = np.ones(COUNT, [(name, "f4") for name in property_names(4)])
    write_other_ply(folder / "text.ply", {"vertex": table}, "ascii", faces=[[0, 1, 2]])
    write_other_ply(folder / "big.ply", {"vertex": table}, "binary_big_endian", faces=[[0, 1, 2]])
    for name in ("five.compressed.ply", "five.spz", "five.sog", "minimal-v2.spz", "minimal-v3.spz", "minimal.splat"):
        (folder / name).write_bytes((SPLATS / name).read_bytes())
    return folder


def _open_gaussians(folder: Path) -> None:
    refused = None
    for path in sorted(folder.iterdir()):
        try:
            _check_gaussians(read_gaussians(path).gaussians)
        except InputError as error:
            refused = error
    if refused is not None:
        raise refused


def _check_gaussians(gaussians: Gaussians) -> None:
    for name, tensor in gaussians.tensors().items():
        _require(bool(torch.isfinite(tensor).all()), f"{name} that are not finite")
    _require(bool((gaussians.quats != 0).any(dim=1).all()), "a quaternion of length 0")


def _make_points(folder: Path) -> Path:
    table = np.ones(COUNT, [(name, "f4") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")])
    write_other_ply(folder / "points.ply", {"vertex": table}, "ascii", faces=[[0, 1, 2]])
    return folder


def _make_archive(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("scene/a.txt", "scene/b/c.bin", "scene/d.json"):
            archive.writestr(name, bytes(range(256)) * 8)
    return folder


def _open_archive(folder: Path) -> None:
    for _ in unpack(folder / "a.zip", folder / "out" / "scene"):
        pass
    outside = [path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / "out") and path.name != "a.zip"]
    _require(not outside, f"files outside of the folder: {outside}")


# -- sequences and runs ----------------------------------------------------------------------------------------------------


def _make_sequence(folder: Path) -> Path:
    write_sequence(folder / "sequence", (0, 1, 2), _gaussians)
    return folder / "sequence"


def _open_sequence(folder: Path) -> None:
    _write_sums_anew(folder)
    sequence = GaussianSequence.open(folder)
    _require(len(sequence.frames) > 0, "no frames")
    for frame in sequence.frames[:20]:
        _check_gaussians(sequence.read(frame))


def _make_compact_frames(folder: Path) -> Path:
    (folder / "frames").mkdir()
    frames = CompactFrames()
    for frame in range(2):
        path = folder / "frames" / f"{frame}.tsgf"
        path.write_bytes(frames.make(frame, _gaussians(frame), moved=frame > 0))
        frames.update({number: folder / "frames" / f"{number}.tsgf" for number in range(frame + 1)})
    return folder / "frames"


def _open_compact_frames(folder: Path) -> None:
    """Also what the hashes would refuse."""
    frames, key, change = CompactFrames(), folder / "0.tsgf", folder / "1.tsgf"
    frames.update({0: key, 1: change})
    for frame in range(2):
        with suppress(InputError):
            _check_gaussians(frames.read(frame))
    try:
        header = read_header(key)
        first = read_unchecked(key, header, None)
        _check_gaussians(decode(first))
        later = read_header(change)
        if (later.gaussians, later.sh_coefficients) == (header.gaussians, header.sh_coefficients):
            _check_gaussians(decode(read_unchecked(change, later, first)))
    except ValueError as error:
        raise InputError(str(error)) from error  # as `CompactFrames.read` says it


def _write_sums_anew(folder: Path) -> None:
    """As who damages a frame on purpose would: else the sums of the manifest refuse every frame before it is read."""
    manifest = folder / "manifest.json"
    try:
        data = json.loads(manifest.read_bytes()) if manifest.is_file() else {}
        for name, facts in data["files"].items():
            content = (folder / name).read_bytes() if (folder / name).is_file() else b""
            facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
        return  # the manifest itself is damaged
    manifest.unlink()
    manifest.write_text(json.dumps(data))


def _results() -> Iterator[FrameResult]:
    scores = {"psnr": {"cam00": 30.0, "cam01": 27.5}}
    none = torch.zeros(0, dtype=torch.long)
    lineage = Lineage.of_first_frame(0, COUNT)
    colours = ColourAffines(("cam01",), torch.eye(3, 4)[None])
    yield FrameResult(ChainState(0, _gaussians(), lineage, colours=colours), None, None, none, 60, scores, {}, {"optimise": 3.25})
    carried = CarriedMotion(*(torch.zeros(shape) for shape in ((COUNT, 3), (COUNT, 3), (COUNT, 3), (COUNT,))))
    state = ChainState(1, _gaussians(1), lineage, carried=carried, colours=colours)
    yield FrameResult(state, 0, None, torch.tensor([1, 3]), 60, scores | {"unmoved_psnr": {"cam00": 24.0}}, {}, {"track": 1.0})


def _make_run(folder: Path) -> Path:
    capture = open_capture(WHOLE["image_folder"](folder / "scene"))
    info = {"settings": {"pipeline": "base-propagate", "tracker": "dis", "metrics": ["psnr"]}}
    with closing(capture):
        run = Run.create(folder / "run", capture, info)
        for result in _results():
            run.write_frame(
                result, FrameDone(result.frame, result.base, {"psnr": 30.0}, {}, COUNT, 0.25, 0.5, dict(result.seconds)), capture
            )
    (frame,) = (folder / "run").rglob("frame2")
    write_tracks(frame, _tracks())
    states = torch.full((2, COUNT), int(ViewState.INLIER)).byte()
    ones = torch.ones(2, COUNT)
    write_evidence(
        frame / EVIDENCE_FILE, Evidence(cameras=("cam00", "cam01"), residual_px=ones, variance_px2=ones, weight=ones, state=states)
    )
    return folder / "run"


def _tracks() -> FollowedTracks:
    ids = track_ids(0, 0, torch.arange(COUNT))
    place = torch.full((COUNT, 2), 8.0)
    return FollowedTracks(
        frame=1,
        cameras=("cam00",),
        provenance=Provenance("dis", "1.2", "", "Apache-2.0", (WIDTH, HEIGHT)),
        ids=ids,
        query=torch.cat((torch.zeros(COUNT, 1), place), dim=1),
        positions=place,
        visibility=torch.ones(COUNT),
        confidence=torch.ones(COUNT),
        ends=torch.zeros(COUNT).byte(),
        hidden=torch.zeros(COUNT).int(),
        points=torch.zeros(COUNT, 3),
        carriers=torch.zeros(COUNT, 4).int(),
    )


def _open_run(folder: Path) -> None:
    """All that the page and the commands read of a run. Each of them may be refused; the rest is read all the same."""
    run = Run.open(folder)
    refused: list[InputError] = []

    def attempt(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except InputError as error:
            refused.append(error)

    attempt(run.records)
    attempt(run.lineage)
    attempt(run.write_metrics)
    for frame in run.frames()[:20]:
        found = attempt(lambda frame=frame: run.read_frame(frame))
        if found is not None:
            _check_gaussians(found)
        for read in (run.read_tracks, run.read_evidence, run.read_replaced, run.read_colours):
            attempt(lambda read=read, frame=frame: read(frame))
        attempt(lambda frame=frame: run.read_state(frame, torch.device("cpu")))
    if refused:
        raise refused[0]


def quiet() -> None:
    """One thread everywhere, so that the process can be forked."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
