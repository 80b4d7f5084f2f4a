"""What one tab's stage has drawn over its picture: trails, heads, the selected tracks, the picked Gaussian."""

from __future__ import annotations

import numpy as np

from viewer.stage.gaussian_paths import Paths
from viewer.stage.path_marks import frame_strokes, path_strokes
from viewer.stage.strokes import Dots, Lines, Stroke
from viewer.stage.trails import NOTHING, Trails, gaussian_trails, track_scale, track_trails
from viewer.state import ColourBy, Placing, Zone
from viewer.tab import Tab
from viewer.views.colours import ColourScale

ZONE = (255, 210, 74)
ACCENT, SHADOW = (90, 169, 240), (10, 12, 15)
ELLIPSOID = 2.0  # standard deviations
RING = 64  # segments
PATH_SIZE = 0.6  # of the frusta of cameras: that of the keys of the camera path


class Marks:
    """Used by the thread of the stage's worker and, for picking, by that of viser's events."""

    def __init__(self, tab: Tab) -> None:
        self._tab = tab
        self._scale: tuple[object, ColourBy, ColourScale] | None = None
        self._last: tuple[object, Trails] = (None, NOTHING)

    def state(self) -> object:
        """What the marks are drawn from, beside the frame: when this changes, the stage draws them anew."""
        view, shared = self._tab.view, self._tab.shared
        return (
            view.show_trails, view.trails_of, view.trail_length, view.trail_fade, view.colour_by, view.tracks, view.gaussian,
            view.zone, view.placing, view.video_aspect,
            shared.diagnosed, shared.paths, shared.run, shared.camera_path, view.show_path, view.path_key, view.path_moment,
        )  # fmt: skip

    def strokes(self, frame: int) -> list[Stroke]:
        """What is drawn in a frame. Raises InputError if a frame cannot be read."""
        zone = self._tab.view.zone
        of_zone = [] if zone is None else zone_strokes(zone)
        return [*self.trails(frame).strokes, *self._path(), *self._gaussian(frame), *of_zone, *self._placing()]

    def _placing(self) -> list[Stroke]:
        placing = self._tab.view.placing
        return [] if placing is None else placing_strokes(placing)

    def _path(self) -> list[Stroke]:
        """The camera path; where the stage looks along it, the edges of the video's picture."""
        view, document = self._tab.view, self._tab.document
        trajectory = document.camera_paths.trajectory() if view.show_path else None
        if trajectory is None:
            return []
        size = PATH_SIZE * document.framing.frustum
        if view.path_moment is not None:
            return frame_strokes(trajectory, view.path_moment, size, view.video_aspect)
        return path_strokes(trajectory, view.path_key, size, view.video_aspect)

    def trails(self, frame: int) -> Trails:
        """The trails and heads of a frame. A frame that is shown for another one has none."""
        key = (frame, self.state(), self._tab.shared.reconstructed)
        if self._last[0] != key:
            self._last = (key, self._trails(frame))
        return self._last[1]

    def paths(self) -> Paths | None:
        return self._tab.document.paths.get()

    def _trails(self, frame: int) -> Trails:
        view, shared = self._tab.view, self._tab.shared
        if frame not in shared.reconstructed:
            return NOTHING
        if view.show_trails and view.trails_of == "gaussians":
            paths = self.paths()
            return NOTHING if paths is None else gaussian_trails(paths, frame, view.trail_length, view.colour_by, fade=view.trail_fade)
        diagnosis = self._tab.document.diagnosis()
        if diagnosis is None or not (view.show_trails or view.tracks):
            return NOTHING
        if self._scale is None or self._scale[0] is not diagnosis or self._scale[1] != view.colour_by:
            self._scale = (diagnosis, view.colour_by, track_scale(view.colour_by, diagnosis))
        return track_trails(
            diagnosis, frame, view.trail_length, view.colour_by, fade=view.trail_fade, selected=view.tracks,
            all_tracks=view.show_trails, scale=self._scale[2],
        )  # fmt: skip

    def _gaussian(self, frame: int) -> list[Stroke]:
        index = self._tab.view.gaussian
        gaussians = self._tab.document.shown(frame) if index is not None else None
        if index is None or gaussians is None or index >= len(gaussians):
            return []
        one = gaussians[slice(index, index + 1)].to("cpu")
        return ellipsoid(one.means.numpy()[0], one.quats.numpy()[0], one.scales.numpy()[0])


def _unit_box() -> np.ndarray:
    """(12, 2, 3) the edges of the box from -1 to 1."""
    corners = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
    return np.array([(corners[i], corners[j]) for i in range(8) for j in range(i + 1, 8) if (corners[i] != corners[j]).sum() == 1])


UNIT_BOX = _unit_box()


def placing_strokes(placing: Placing) -> list[Stroke]:
    """The edges of the box around what is moved, where it is by now."""
    import viser.transforms as tf

    half = 0.5 * (np.array(placing.high) - np.array(placing.low))
    lines = np.array(placing.place) + (half * UNIT_BOX) @ tf.SO3(np.array(placing.rotation)).as_matrix().T
    colours = np.tile(np.array(ACCENT, np.uint8), (len(lines), 1))
    return [Lines(lines.astype(np.float32), colours, np.ones((len(lines), 2), np.float32), 2.0, on_top=True)]


def zone_strokes(zone: Zone) -> list[Stroke]:
    """The edges of a box, or three great circles of a sphere."""
    center, half = np.array(zone.center), 0.5 * np.array(zone.size)
    if zone.shape == "box":
        lines = center + half * UNIT_BOX
    else:
        angle = np.linspace(0, 2 * np.pi, RING + 1)[:, None]
        circles = [center + half[0] * (np.cos(angle) * np.eye(3)[a] + np.sin(angle) * np.eye(3)[b]) for a, b in ((0, 1), (1, 2), (2, 0))]
        lines = np.concatenate([np.stack((circle[:-1], circle[1:]), axis=1) for circle in circles])
    colours = np.tile(np.array(ZONE, np.uint8), (len(lines), 1))
    return [Lines(lines.astype(np.float32), colours, np.ones((len(lines), 2), np.float32), 2.0)]


def ellipsoid(mean: np.ndarray, quat: np.ndarray, scales: np.ndarray) -> list[Stroke]:
    """The three principal ellipses at two standard deviations, and a ring that shows even the smallest."""
    import viser.transforms as tf

    axes = tf.SO3(quat / np.linalg.norm(quat)).as_matrix() * (ELLIPSOID * scales)  # columns
    angle = np.linspace(0, 2 * np.pi, RING + 1)[:, None]
    rings = []
    for a, b in ((0, 1), (1, 2), (2, 0)):
        points = mean + np.cos(angle) * axes[:, a] + np.sin(angle) * axes[:, b]
        rings.append(np.stack((points[:-1], points[1:]), axis=1))
    lines = np.concatenate(rings).astype(np.float32)
    strokes: list[Stroke] = []
    for colour, width in ((SHADOW, 4.0), (ACCENT, 1.8)):
        colours = np.tile(np.array(colour, np.uint8), (len(lines), 1))
        strokes.append(Lines(lines, colours, np.ones((len(lines), 2), np.float32), width, on_top=True))
    middle, one = mean[None].astype(np.float32), np.ones(1, np.float32)
    for colour, radius in ((SHADOW, 10.0), (ACCENT, 9.0)):
        strokes.append(Dots(middle, np.array([colour], np.uint8), np.ones(1, bool), one, radius, on_top=True))
    return strokes
