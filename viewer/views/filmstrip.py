"""Patches around a track over time: one strip of pictures per camera."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from viewer.views.best_views import others_by_worth
from viewer.views.evidence import curve
from viewer.views.table import TrackList

MOST_FRAMES = 48  # of a strip
MOST_CAMERAS = 5  # beside that of the track
LEAST_SIDE, SIDE_SHARE = 33, 1 / 28  # of a patch: pixels, and share of the longest image side
CELL = 88  # pixels of a cell in the strip, twice those on the page, for sharp screens
QUALITY = 88  # of the JPEG
OUTSIDE = (50, 58, 70)  # colour of what is outside the image


@dataclass(frozen=True)
class Row:
    """What a strip shows: where to cut. ``centres`` (F, 2) px, nan where there is none."""

    camera: int  # index in the capture
    label: str
    hint: str
    centres: np.ndarray
    states: str  # one letter per frame: those of `evidence.Curve`, p for a projected position


@dataclass(frozen=True)
class Strip:
    """A row with its pictures."""

    camera: int
    label: str
    hint: str
    states: str
    titles: tuple[str, ...]
    source: str  # data URL of one JPEG, the cells side by side; "" until it is made


def strip_frames(tracks: TrackList, row: int, frame: int, most: int = MOST_FRAMES) -> tuple[int, ...]:
    """The frames of a strip: all of the track's life, or a page of them that holds ``frame``."""
    first, last = int(tracks.summary.first[row]), int(tracks.summary.last[row])
    life = [known for known in tracks.diagnosis.frames if first <= known <= last]
    if len(life) <= most:
        return tuple(life)
    at = min(max(int(np.searchsorted(life, frame)), 0), len(life) - 1)
    page = min(at // (most // 2) * (most // 2), len(life) - most)
    return tuple(life[max(page, 0) : max(page, 0) + most])


def strip_rows(tracks: TrackList, cameras: Sequence[Camera], row: int, frames: Sequence[int], frame: int) -> tuple[Row, ...]:
    """The camera of the track first, with the measured positions; then those that show its point best, with projected ones."""
    diagnosis = tracks.diagnosis
    at = [index for index in (tracks.frame_row(known) for known in frames) if index is not None]
    own = diagnosis.cameras[int(diagnosis.camera[row])]
    names = [camera.name for camera in cameras]
    states = curve(tracks, row).states
    rows = [Row(names.index(own), own, f"{own}: around the measured position", diagnosis.position[at, row], "".join(states[i] for i in at))]
    worst = frame if tracks.frame_row(frame) is not None else int(tracks.summary.worst[row])
    world = diagnosis.world[at, row].astype(np.float64)
    for index in others_by_worth(tracks, cameras, row, worst)[:MOST_CAMERAS]:
        camera = cameras[index]
        pixels, depths = camera.project(np.nan_to_num(world))
        inside = np.isfinite(world).all(1) & (depths > 0) & (pixels >= 0).all(1) & (pixels < (camera.width, camera.height)).all(1)
        if inside.any():
            centres = np.where(inside[:, None], pixels, np.nan)
            hint = f"{camera.name}: around the point that all views agree on"
            rows.append(Row(index, camera.name, hint, centres, "".join("p" if there else "a" for there in inside)))
    return tuple(rows)


def empty_strip(row: Row, frames: Sequence[int]) -> Strip:
    """Without pictures yet."""
    words = {
        "v": "visible", "f": "visible, failing", "o": "occluded, as the tracker says", "e": "the track ends", "p": "projected",
        "a": "no position in this frame",
    }  # fmt: skip
    titles = tuple(f"{row.label}, frame {frame + 1}: {words[state]}" for frame, state in zip(frames, row.states, strict=True))
    return Strip(row.camera, row.label, row.hint, row.states, titles, "")


def cut_strip(
    row: Row, frames: Sequence[int], camera: Camera, image: Callable[[int, int], np.ndarray], stop: Callable[[], bool]
) -> str | None:
    """The data URL of a row's pictures; None if ``stop`` says so in between. ``image``: (camera, frame) -> (H, W, 3) uint8."""
    side = max(float(LEAST_SIDE), SIDE_SHARE * max(camera.width, camera.height))
    strip = np.empty((CELL, CELL * len(frames), 3), np.uint8)
    strip[:] = OUTSIDE
    for place, frame in enumerate(frames):
        if stop():
            return None
        if np.isfinite(row.centres[place]).all():
            strip[:, place * CELL : (place + 1) * CELL] = cut_patch(image(row.camera, frame), row.centres[place], side, CELL)
    ok, data = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert ok, "JPEG of any size up to 65500 can be made"
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def cut_patch(image: np.ndarray, centre: np.ndarray, side: float, size: int) -> np.ndarray:
    """(size, size, 3) uint8: the square of ``side`` px around ``centre`` (px, pixel centres at +0.5); single pixels stay sharp."""
    step = side / size
    # Pixel i of the patch is centred on i + 0.5; OpenCV counts from the centre of the first pixel.
    left, top = (float(value) - side / 2 + step / 2 - 0.5 for value in centre)
    matrix = np.array([[step, 0.0, left], [0.0, step, top]])
    flags = cv2.WARP_INVERSE_MAP | (cv2.INTER_NEAREST if step <= 1 else cv2.INTER_LINEAR)
    return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE)
