"""The edits in effect, as the method asks them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import torch

from trackersplat.captures.capture import Capture
from trackersplat.edits.backward import BackwardPaths
from trackersplat.edits.edit import Edit, HandPoint
from trackersplat.edits.frame_tracks import FrameTracks
from trackersplat.errors import InputError
from trackersplat.motion.followed_tracks import FollowedTracks
from trackersplat.tracking.tracks import DenseTracks


@dataclass(frozen=True, eq=False)
class AppliedEdits:
    """What a reconstruction does otherwise because of the edits of its run, in the order in which they were made."""

    edits: tuple[Edit, ...] = ()
    paths: BackwardPaths = field(default_factory=BackwardPaths)  # what was tracked backward so far

    def dropped_views(self, cameras: Iterable[str], frame: int) -> frozenset[str]:
        """Those of the cameras whose tracks have no weight in the motion to the frame."""
        return frozenset(name for name in cameras if any(edit.drops_view(name, frame) for edit in self.edits))

    def capture_at(self, capture: Capture, frame: int) -> Capture:
        """The capture without the cameras that are dropped in the frame. Raises InputError if no training camera is left."""
        names = [camera.name for camera in capture.cameras]
        dropped = tuple(name for name in names if any(edit.drops_camera(name, frame) for edit in self.edits))
        if not dropped:
            return capture
        left = replace(capture, unused=(*capture.unused, *dropped))
        if not left.training_cameras:
            raise InputError(f"All training cameras of {capture.name} are dropped in frame {frame + 1}: undo one of these edits.")
        return left

    def tracker(self, frame: int) -> str | None:
        """The tracker of all tracks to this frame, where it is not that of the run."""
        return next((name for edit in reversed(self.edits) if (name := edit.tracker(frame)) is not None), None)

    def hand_points(self, frame: int) -> tuple[HandPoint, ...]:
        """What was put into place by hand in this frame."""
        return tuple(point for edit in self.edits for point in edit.hand_points(frame))

    def ends_stride(self, frame: int) -> bool:
        """Whether later frames are to be reached from this one, because its tracks are changed."""
        return any(edit.changes_tracks(frame) for edit in self.edits)

    def without_dropped(self, camera: str, tracks: DenseTracks) -> DenseTracks:
        """The tracks of a camera, neither seen nor trusted in the targets in which its view is dropped."""
        dropped = [bool(self.dropped_views([camera], target)) for target in tracks.targets]
        if not any(dropped):
            return tracks
        keep = torch.tensor(dropped, device=tracks.positions.device)[:, None, None].logical_not()
        return replace(tracks, visibility=tracks.visibility * keep, confidence=tracks.confidence * keep)

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        """The sparse tracks of a frame after all edits; `FrameTracks.notes` says what could not be done."""
        for edit in self.edits:
            if edit.changes_tracks(state.frame):
                state = edit.change_tracks(state, at)
        return state
