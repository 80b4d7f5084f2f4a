"""``correct_point``: a point of a track is put by hand where it is in one camera; the other cameras follow by triangulation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from trackersplat.edits.arguments import FARTHEST_PX, LARGEST_ID, Arguments
from trackersplat.edits.edit import Edit, HandPoint
from trackersplat.motion.followed_tracks import round_positions
from trackersplat.motion.rendered_depth import PointViews
from trackersplat.tracking.tracks import TrackEnd

if TYPE_CHECKING:
    from trackersplat.edits.frame_tracks import FrameTracks
    from trackersplat.motion.followed_tracks import FollowedTracks

LEAST_DEVIATION, LARGEST_DEVIATION = 0.01, 100.0  # px


@dataclass(frozen=True)
class CorrectPoint(Edit):
    """Corrections of one track in one frame count together: one moves along its ray, two or more are triangulated.

    In `hand_points.corrected_points` is how. The Gaussians that carry the point take what the corrected point does in all views as their
    observation; the track is seen there, with confidence 1, and goes on from there.
    """

    kind: ClassVar[str] = "correct_point"
    track: int
    camera: str  # any camera of the capture, not only that of the track
    frame: int
    x: float  # px, centres at +0.5
    y: float
    deviation: float = 0.25  # px per axis, how exactly a person puts a point

    @classmethod
    def parse(cls, arguments: Arguments) -> CorrectPoint:
        return cls(
            track=arguments.whole("track", 0, LARGEST_ID),
            camera=arguments.text("camera"),
            frame=arguments.frame(),
            x=arguments.number("x", -FARTHEST_PX, FARTHEST_PX),
            y=arguments.number("y", -FARTHEST_PX, FARTHEST_PX),
            deviation=arguments.number("deviation", LEAST_DEVIATION, LARGEST_DEVIATION) if arguments.has("deviation") else cls.deviation,
        )

    def to_json(self) -> dict[str, Any]:
        numbers = {"x": self.x, "y": self.y, "deviation": self.deviation}
        return {"track": self.track, "camera": self.camera, "frame": self.frame + 1, **numbers}

    @property
    def label(self) -> str:
        return f"Correct track {self.track} in {self.camera}, frame {self.frame + 1}, to ({self.x:.1f}, {self.y:.1f})"

    @property
    def cameras(self) -> tuple[str, ...]:
        return (self.camera,)

    @property
    def named_tracks(self) -> tuple[int | None, tuple[int, ...]]:
        return self.frame, (self.track,)

    @property
    def last_frame(self) -> int:
        return self.frame

    reads_tracks: ClassVar[bool] = True

    def changes_gaussians(self, frame: int) -> bool:
        return frame == self.frame

    def changes_tracks(self, frame: int) -> bool:
        return frame == self.frame

    def hand_points(self, frame: int) -> tuple[HandPoint, ...]:
        return (HandPoint(self.track, self.camera, (self.x, self.y), self.deviation),) if frame == self.frame else ()

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        chosen = at.rows(state, (self.track,), self.label)
        point = at.points.get(self.track)
        if point is None or not chosen.any():
            return state
        views = PointViews.of(at.cameras, state.camera[chosen])
        pixel = views.project(point.to(state.points.device)[None])[0]
        inside = bool(views.inside(pixel))
        values = {
            "positions": round_positions(pixel) if bool(pixel.isfinite().all()) else state.positions[chosen],
            "visibility": torch.ones_like(state.visibility[chosen]),
            "confidence": torch.ones_like(state.confidence[chosen]),
            "ends": torch.full_like(state.ends[chosen], int(TrackEnd.ALIVE if inside else TrackEnd.LEFT_IMAGE)),
            "hidden": torch.zeros_like(state.hidden[chosen]),
            "points": point.to(state.points)[None],
        }
        index = chosen.nonzero()[:, 0]
        return replace(state, **{name: getattr(state, name).index_copy(0, index, value) for name, value in values.items()})
