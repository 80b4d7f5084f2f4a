"""One video per camera, ``videos/<camera>.mp4`` or ``<camera>.mp4``, and ``cameras.json`` (see `formats.cameras_json`)."""

from __future__ import annotations

from pathlib import Path

from trackersplat.captures.capture import Capture
from trackersplat.captures.formats.cameras_json import read_rig
from trackersplat.captures.formats.ply_points import read_points
from trackersplat.captures.layout import Layout
from trackersplat.captures.media.decode import VideoSource, open_videos
from trackersplat.captures.media.video import VIDEO_SUFFIXES, frame_rate
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.captures.readable import require_files
from trackersplat.captures.settings import held_out_cameras, read_settings
from trackersplat.captures.still_cameras import as_written, some
from trackersplat.errors import InputError
from trackersplat.files import has_file

NAME = "video_folder"
OTHERS = (".mkv", ".avi", ".webm", ".mts", ".m2ts", ".ts", ".mpg", ".wmv")  # named where an MP4 is missing


def detects(folder: Path) -> bool:
    return (folder / "cameras.json").is_file() and bool(_videos(folder))


def read(folder: Path) -> Capture:
    """``capture.json``, where there is one, overrides name, rate and held-out cameras. Videos that no camera is named after are left out.

    Raises InputError if ``cameras.json`` is not as expected, or a video is missing, damaged or of another aspect ratio than its camera.
    """
    rig = read_rig(folder / "cameras.json")
    settings = read_settings(folder)
    names = [camera.name for camera in rig.cameras]
    held_out, warnings = held_out_cameras(settings, folder, names, rig.held_out or ())
    videos = _videos(folder)
    require_files(path for path in videos if as_written(path.stem) in map(as_written, names))
    found = {as_written(path.stem): path for path in videos if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()}
    others = {as_written(path.stem): path for path in videos if path.suffix.lower() in OTHERS}
    for name in names:
        if as_written(name) in found:
            continue
        if as_written(name) in others:
            other = others[as_written(name)]
            raise InputError(
                f"{other} is a video in the format {other.suffix[1:].upper()}, which has no index of its frames as MP4 has: "
                f"`ffmpeg -i {other.name} -c copy {other.stem}.mp4` copies it into an MP4 file without encoding it again."
            )
        raise InputError(f"{_folder(folder) / name}.mp4 is missing: cameras.json has a camera {name}, which needs its video.")
    unnamed = sorted(path.name for stem, path in found.items() if stem not in set(map(as_written, names)))
    if unnamed:
        warnings.append(f"Videos without a camera in cameras.json are left out: {some(unnamed)}.")
    opened = open_videos([found[as_written(name)] for name in names])
    views = []
    for camera, video in zip(rig.cameras, opened, strict=True):
        lens = for_size(camera.lens, video.info.width, video.info.height)
        if lens is None:
            raise InputError(
                f"{video.path} has {video.info.width}x{video.info.height} pixels, but its camera was calibrated at "
                f"{camera.lens.width}x{camera.lens.height}: another aspect ratio, so give it the calibration of these pixels."
            )
        views.append(make_view(camera.name, lens, camera.world_to_camera, settings.scale or 1.0))
    source = VideoSource(opened, remaps=[remap for _, remap in views], counted=settings.keeps(names))
    stated = settings.fps or rig.fps
    fps, doubts = (stated, []) if stated else frame_rate(source.counted_infos)
    promised = source.frame_count if rig.frames is None else rig.frames
    frame_count = min(promised, source.frame_count)
    if promised != source.frame_count:
        used = "the first is" if frame_count == 1 else f"the first {frame_count} are"
        doubts.append(f"cameras.json promises {promised} frames, but the videos have {source.frame_count}: {used} used.")
    return Capture(
        name=settings.name or folder.resolve().name,
        root=folder,
        layout=NAME,
        cameras=tuple(camera for camera, _ in views),
        frame_count=frame_count,
        fps=fps,
        source=source,
        held_out=held_out,
        points=read_points(folder / "points3D.ply") if has_file(folder / "points3D.ply") else None,
        warnings=(*warnings, *doubts),
    )


def _videos(folder: Path) -> list[Path]:
    return sorted(path for path in _folder(folder).iterdir() if path.suffix.lower() in (*VIDEO_SUFFIXES, *OTHERS))


def _folder(folder: Path) -> Path:
    return folder / "videos" if (folder / "videos").is_dir() else folder


LAYOUT = Layout(detects, read)
