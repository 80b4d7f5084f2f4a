"""One HTML file that plays the moving scene in any browser with WebGL 2: it needs no network and no other file.

Frames are those of `gaussians.quantised`, with finer positions and without higher harmonics, as base64: of what does not change between
two frames, nothing is kept. Cameras of the scene are views to choose from. What comes from files is put in as text, never as HTML, and
the policy of the page lets no other script run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.files import atomic_file
from trackersplat.gaussians.around import cameras_around
from trackersplat.gaussians.exporters.exporter import UNKNOWN, About, Exporter, FrameExported, check_target, exported
from trackersplat.gaussians.exporters.html.read import LARGEST, LEVELS, read_html
from trackersplat.gaussians.exporters.kept import KeptFrames, kept_frames
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.gaussians.quantised import KEY_FRAME_EVERY, Range, SequenceSettings, ranges_of, streams
from trackersplat.geometry.projection import common_focus

UNSEEN = -7.0  # logit of an opacity that no back end draws: fills up frames of fewer Gaussians
_SCRIPTS = ("frames.js", "renderer.js", "view.js", "controls.js", "player.js")
_FORMAT = 1


def export_html(frames: Iterable[tuple[int, Gaussians]], path: Path, about: About = UNKNOWN) -> Iterator[Event]:
    """See `exporters.exporter.Export`. Frames are played in the order given. Raises InputError if the page would be too large."""
    check_target(path)
    with kept_frames(frames, path) as kept:
        ranges = ranges_of(kept.order, lambda frame: _filled(kept, frame), LEVELS)
        sizes: list[list[int]] = []
        total = 0
        with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", errors="xmlcharrefreplace") as file:
            texts = kept.folder / "texts"
            with texts.open("w", encoding="ascii") as out:
                written = streams(kept.order, lambda frame: _filled(kept, frame), ranges, SequenceSettings(deflate=6))
                for place, packed in enumerate(written):
                    parts = [packed[name].tobytes() for name in LEVELS]
                    sizes.append([len(part) for part in parts])
                    out.write(f'<script type="text/plain" id="frame{place}">{base64.b64encode(b"".join(parts)).decode()}</script>\n')
                    if (total := total + sum(sizes[-1]) * 4 // 3) > LARGEST:
                        raise InputError("The page would be larger than 1 GB: export fewer frames with --frames, or --prune Gaussians.")
                    yield FrameExported(kept.order[place], place + 1)
            scene = _scene(about, kept, ranges, sizes)
            head, tail = _page(about.name, scene)
            file.write(head)
            with texts.open(encoding="ascii") as parts_file:
                while part := parts_file.read(1 << 20):
                    file.write(part)
            file.write(tail)
    yield exported(path, kept.order)


def _filled(kept: KeptFrames, frame: int) -> Gaussians:
    """With as many Gaussians as the frame that has most, and no higher harmonics."""
    gaussians = kept.read(frame)
    gaussians = Gaussians(**{**gaussians.tensors(), "sh": gaussians.sh[:, :1].contiguous()})
    missing = kept.largest - len(gaussians)
    if not missing:
        return gaussians
    middle = gaussians.means.mean(dim=0) if len(gaussians) else torch.zeros(3)
    more = Gaussians(
        means=middle.expand(missing, 3).contiguous(),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(missing, 4).contiguous(),
        log_scales=gaussians.log_scales.mean(dim=0).expand(missing, 3).contiguous() if len(gaussians) else torch.zeros(missing, 3),
        opacity_logits=torch.full((missing,), UNSEEN),
        sh=torch.zeros(missing, 1, 3),
    )
    return concatenate([gaussians, more])


def _scene(about: About, kept: KeptFrames, ranges: dict[str, Range], sizes: list[list[int]]) -> dict[str, Any]:
    """What the player is told, as JSON."""
    first = kept.read(kept.order[0])
    cameras = about.cameras or cameras_around(first)
    focus, size = _what_they_see(cameras, first)
    return {
        "format": _FORMAT,
        "name": about.name,
        "frames_per_second": about.frames_per_second,
        "gaussians": kept.largest,
        "key_frame_every": KEY_FRAME_EVERY,
        "ranges": {
            name: {"levels": kind.levels, "low": kind.low.tolist(), "high": kind.high.tolist(), "step": kind.step.tolist()}
            for name, kind in ranges.items()
        },
        "frames": [{"number": frame + 1, "bytes": parts} for frame, parts in zip(kept.order, sizes, strict=True)],
        "cameras": [_described(camera) for camera in cameras],
        "made_cameras": about.made_cameras or not about.cameras,
        "up": _up(cameras),
        "focus": focus.tolist(),
        "size": size,
    }


def _described(camera: Camera) -> dict[str, Any]:
    return {
        "name": camera.name,
        "width": camera.width,
        "height": camera.height,
        "lens": [camera.fx, camera.fy, camera.cx, camera.cy],
        "rotation": camera.rotation.ravel().tolist(),
        "translation": camera.translation.tolist(),
        "near": camera.near,
    }


def _up(cameras: Sequence[Camera]) -> list[float]:
    up = -np.sum([camera.rotation[1] for camera in cameras], axis=0)
    length = float(np.linalg.norm(up))
    return [float(value) for value in (up / length if length > 1e-6 else -cameras[0].rotation[1])]


def _what_they_see(cameras: Sequence[Camera], gaussians: Gaussians) -> tuple[np.ndarray, float]:
    """(3,) the point that the view turns around, and its distance from the first camera."""
    first = cameras[0]
    means = gaussians.means.detach().cpu().double().numpy()
    depths = (means - first.center) @ first.rotation[2]
    ahead = depths[depths > first.near]
    distance = float(np.median(ahead)) if len(ahead) else 1.0
    focus = common_focus(cameras) if len(cameras) > 1 else None
    if focus is not None and (focus - first.center) @ first.rotation[2] > first.near:
        return focus, float((focus - first.center) @ first.rotation[2])
    return first.center + distance * first.rotation[2], distance


def _page(title: str, scene: dict[str, Any]) -> tuple[str, str]:
    """What comes before and after the frames."""
    folder = resources.files(__package__)
    script = '\n"use strict";\n' + "".join(folder.joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = json.dumps(scene).replace("<", "\\u003c").replace("&", "\\u0026")
    head, _, tail = folder.joinpath("page.html").read_text(encoding="utf-8").partition("%FRAMES%")
    style = folder.joinpath("player.css").read_text(encoding="utf-8")
    # What comes from files goes in last: a mark in it is not replaced.
    head = head.replace("%HASH%", f"sha256-{digest}").replace("%STYLE%", style)
    before, _, after = head.partition("%SCENE%")
    return before.replace("%TITLE%", html.escape(title)) + data + after, tail.replace("%SCRIPT%", script)


HTML = Exporter(export_html, read_html)
