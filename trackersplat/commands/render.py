"""``trackersplat render``: a run as a video or as images."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from trackersplat.camera_paths.moves.registry import MOVES
from trackersplat.commands.shown import printable
from trackersplat.errors import InputError

if TYPE_CHECKING:
    from trackersplat.camera_paths.path import CameraPath
    from trackersplat.captures.camera import Camera
    from trackersplat.jobs.clip import Clip
    from trackersplat.jobs.render_video import Shot, VideoSettings

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_COLOURS = {"black": (0.0, 0.0, 0.0), "white": (1.0, 1.0, 1.0)}
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Render:
    """Render frames of a run as a video: along a camera path, or as cameras of the capture see them.

    Give one of --path, --move and --cameras. The video appears complete or not at all, and replaces nothing.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN [RUN ...]")]
    """Run folders made by `trackersplat reconstruct`. Several of one capture, whose frames follow each other, become one video."""
    out: Path
    """FILE.mp4, or a new folder for numbered PNG images, or FILE.zip of them. Of several cameras, each gets a name of its own."""
    path: Path | None = None
    """A camera path: a JSON file written by the page or by --save-path."""
    move: Annotated[str | None, tyro.conf.arg(help="A ready-made path. " + "; ".join(f"{f.name}: {f.title}" for f in MOVES))] = None
    cameras: str | None = None
    """Cameras of the capture, as cam00,cam03: each one's own view, one picture per frame."""
    frames: str = "all"
    """A:B (frames A to B of the clip, counted from 1, both included), one number, or all."""
    seconds: float | None = None
    """Length of a --move. Default: that of the frames at --fps, at least 4 s. The clip is slowed down to fill it."""
    turn: float | None = None
    """Degrees by which orbit and bullet-time turn, against the clock as seen from above. Default: what the cameras cover."""
    scale: float = 1.0
    """Factor of the size of a --move."""
    freeze: int | None = None
    """Frame at which bullet-time stops the clip. Default: the middle."""
    save_path: Path | None = None
    """Write the camera path to this JSON file, too."""
    size: str | None = None
    """Width and height in pixels, as 1280x720. Default: that of the cameras."""
    fps: float = 30.0
    """Pictures per second."""
    supersample: int = 1
    """So many samples per pixel across and down, 1 to 4: fewer jagged edges, 4 times the work with 2."""
    background: str = "black"
    """Colour where nothing is: black, white, or RRGGBB in hexadecimal."""
    between: Literal["nearest", "blend"] = "nearest"
    """What is shown between two frames of the clip: the nearest frame, or the Gaussians on their straight way from one to the next."""
    edits: bool = True
    """Render the scene as edited. --no-edits: as it was reconstructed."""
    crf: int = 16
    """Quality of an mp4 from 0 (no loss) to 51."""
    device: str | None = None
    """cpu, cuda or cuda:N."""
    backend: str | None = None
    """Rendering back end. Default: the first that works here."""
    events: Literal["text", "json"] = "text"
    """json: one event a line on standard output, for programs."""

    def run(self) -> None:
        try:
            self._render()
        except KeyboardInterrupt:
            print("Stopped. Nothing is kept of a video that is not complete.", file=sys.stderr)
            raise SystemExit(130) from None

    def _render(self) -> None:
        from trackersplat.commands.render_report import TextVideo
        from trackersplat.commands.terminal import JsonWork, print_warnings
        from trackersplat.jobs.clip import Clip
        from trackersplat.jobs.plan import parse_frames
        from trackersplat.jobs.render_video import render_video
        from trackersplat.jobs.video_events import EVENTS
        from trackersplat.jobs.video_files import check_out
        from trackersplat.rendering.registry import choose_rasterizer
        from trackersplat.store.run import Run

        chosen = [name for name in ("path", "move", "cameras") if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise InputError("Say from where to render: give one of --path FILE, --move NAME and --cameras NAMES.")
        with JsonWork(EVENTS.to_json) if self.events == "json" else TextVideo() as reporter:
            clip = Clip([Run.open(run) for run in self.runs], edits=self.edits)
            if self.frames == "all":
                frames: Sequence[int] = clip.played
            else:
                asked = parse_frames(self.frames, clip.frames[-1] + 1)
                frames = [frame for frame in clip.played if frame in asked]
                missing = sorted(set(asked) - set(frames))
                if missing:
                    if any(missing[0] in run.frames() for run in clip.runs):
                        left_out = (
                            "is not in the clip as it is edited (trimmed or retimed): choose others with --frames, or give --no-edits"
                        )
                        raise InputError(f"Frame {missing[0] + 1} {left_out}.")
                    raise InputError(f"The run has no frame {missing[0] + 1}: choose among those that are there with --frames.")
            works = self._works(clip, frames)
            for out, _, settings in works:
                check_out(out, settings.width, settings.height)
            rasterizer = choose_rasterizer(self.device, self.backend)
            for out, shots, settings in works:
                for event in render_video(clip, shots, settings, out, rasterizer):
                    reporter.show(event)
        if self.events == "text":
            if clip.twice:
                print(printable(f"note: {clip.twice} frames are in several runs; those of the run named first are shown."))
            print_warnings(clip.remarks())

    def _works(self, clip: Clip, frames: Sequence[int]) -> list[tuple[Path, list[Shot], VideoSettings]]:
        """Each video: its name, its pictures and its settings."""
        from trackersplat.camera_paths.path_file import read_path, write_path
        from trackersplat.jobs.render_video import shots_of_camera, shots_of_path

        if self.cameras is not None:
            if self.save_path is not None:
                raise InputError("--save-path writes a camera path, and --cameras is none: leave one of them away.")
            cameras = self._named(clip)
            outs = [self.out] if len(cameras) == 1 else _names(self.out, [camera.name for camera in cameras])
            every = [self._settings((camera.width, camera.height)) for camera in cameras]
            views = [shots_of_camera(camera, frames, clip, settings) for camera, settings in zip(cameras, every, strict=True)]
            return list(zip(outs, views, every, strict=True))
        path = read_path(self.path) if self.path is not None else self._made(clip, frames)
        if self.frames != "all" and self.path is not None and any(key.frame is not None for key in path.keys):
            raise InputError(f"The keys of {self.path} name the frames of the clip: leave --frames away.")
        if self.save_path is not None:
            write_path(self.save_path, path)
        first = clip.cameras[0] if clip.cameras else None
        settings = self._settings((1280, 720) if first is None else (first.width + first.width % 2, first.height + first.height % 2))
        return [(self.out, shots_of_path(path, clip, frames, settings), settings)]

    def _made(self, clip: Clip, frames: Sequence[int]) -> CameraPath:
        from trackersplat.camera_paths.moves.registry import MoveSettings, make_move, usual_seconds
        from trackersplat.camera_paths.rig import rig_of

        assert self.move is not None
        rig = rig_of(clip.cameras, clip.gaussians(frames[0]).means.numpy())
        seconds = usual_seconds(len(frames), self.fps) if self.seconds is None else self.seconds
        freeze = None if self.freeze is None else self.freeze - 1
        return make_move(self.move, rig, MoveSettings(seconds, self.turn, self.scale, min(frames), max(frames), freeze))

    def _named(self, clip: Clip) -> list[Camera]:
        assert self.cameras is not None
        known = {camera.name: camera for camera in clip.cameras}
        if not known:
            raise InputError("The run has no cameras.json that says where its cameras are: give a --path instead.")
        names = list(dict.fromkeys(name.strip() for name in self.cameras.split(",") if name.strip()))
        for name in names or [""]:
            if name not in known:
                raise InputError(f"The run has no camera named {name!r}; its cameras are {', '.join(known)}.")
        return [known[name] for name in names]

    def _settings(self, default: tuple[int, int]) -> VideoSettings:
        from trackersplat.jobs.render_video import VideoSettings

        match = _SIZE.fullmatch(self.size) if self.size is not None else None
        if self.size is not None and match is None:
            raise InputError(f"--size {self.size} is not understood: give width and height in pixels, as 1280x720.")
        width, height = (int(match[1]), int(match[2])) if match is not None else default
        background = parse_colour(self.background)
        return VideoSettings(width, height, self.fps, self.supersample, background, self.between == "blend", self.crf)


def parse_colour(text: str) -> tuple[float, float, float]:
    """RGB in 0..1. Raises InputError if it is no colour."""
    match = _HEX.fullmatch(text)
    if text in _COLOURS:
        return _COLOURS[text]
    if match is None:
        raise InputError(f"The colour {text!r} is not understood: give black, white, or RRGGBB in hexadecimal, as 20242c.")
    red, green, blue = (int(match[1][place : place + 2], 16) / 255 for place in (0, 2, 4))
    return red, green, blue


def _names(out: Path, cameras: Sequence[str]) -> list[Path]:
    """A name for each camera: clip-cam00.mp4 beside each other, or folders in the one that was asked for."""
    plain = [re.sub(r"[^A-Za-z0-9_-]", "_", name) for name in cameras]
    if len(set(plain)) < len(plain):
        plain = [f"{index}-{name}" for index, name in enumerate(plain)]
    if out.suffix.lower() in (".mp4", ".zip"):
        return [out.with_name(f"{out.stem}-{name}{out.suffix}") for name in plain]
    return [out / name for name in plain]
