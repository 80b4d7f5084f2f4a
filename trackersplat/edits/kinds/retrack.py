"""``retrack``: tracks are followed anew from a frame on, forward or backward, by another tracker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import LAST_FRAME
from trackersplat.edits.words import track_words
from trackersplat.errors import InputError
from trackersplat.motion.followed_tracks import start_frame
from trackersplat.tracking.registry import TRACKERS

if TYPE_CHECKING:
    from trackersplat.edits.frame_tracks import FrameTracks
    from trackersplat.motion.followed_tracks import FollowedTracks

FORWARD, BACKWARD = "forward", "backward"


@dataclass(frozen=True)
class Retrack(Edit):
    """Forward, the frames after ``frame``; backward, those before it.

    All tracks (``tracks`` None, forward only): the tracker gives the dense tracks that move the Gaussians, too. Some tracks: the Gaussians
    stay, and these tracks are followed by the tracker instead of the run's; backward from the pixels ``at``, one per track.
    """

    kind: ClassVar[str] = "retrack"
    tracks: tuple[int, ...] | None
    frame: int
    tracker_name: str
    direction: str = FORWARD
    last: int | None = None  # the frame up to which, or back to which; None: as far as the clip or the track goes
    at: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Raises InputError if the arguments do not fit each other, or there is no tracker of that name."""
        facts = TRACKERS.facts(self.tracker_name)
        if facts.three_d or (facts.stored and facts.settings):
            wants = "depths" if facts.three_d else "a file"
            raise InputError(f"retrack: the tracker {facts.name} wants {wants}, which an edit does not give: choose another.")
        forward = self.direction == FORWARD
        if self.last is not None and (self.last <= self.frame if forward else self.last >= self.frame):
            side = "after" if forward else "before"
            raise InputError(f"retrack: last is frame {self.last + 1}, expected one {side} frame {self.frame + 1}.")
        if forward:
            return
        if self.tracks is None:
            raise InputError("retrack: backward needs the ids of tracks, because all frames before would be made from other tracks.")
        if len(self.at) != len(self.tracks):
            needed = f"one pixel per track in frame {self.frame + 1} (at)"
            raise InputError(f"retrack: backward needs {needed}, got {len(self.at)} for {len(self.tracks)} tracks.")

    @classmethod
    def parse(cls, arguments: Arguments) -> Retrack:
        return cls(
            tracks=None if arguments.is_word("tracks", "all") else arguments.ids("tracks"),
            frame=arguments.frame(),
            tracker_name=arguments.text("tracker"),
            direction=arguments.choice("direction", (FORWARD, BACKWARD), FORWARD),
            last=arguments.frame("last") if arguments.has("last") else None,
            at=arguments.pixels("at") if arguments.has("at") else (),
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "tracks": "all" if self.tracks is None else list(self.tracks),
            "frame": self.frame + 1,
            "tracker": self.tracker_name,
            "direction": self.direction,
        }
        if self.last is not None:
            found["last"] = self.last + 1
        if self.at:
            found["at"] = [list(pixel) for pixel in self.at]
        return found

    @property
    def label(self) -> str:
        what = "all tracks" if self.tracks is None else track_words(self.tracks).removeprefix("track ")
        way = f"from frame {self.frame + 1}" + (" backward" if self.direction == BACKWARD else "")
        return f"Re-track {what} {way}" + ("" if self.last is None else f" to frame {self.last + 1}") + f" by {self.tracker_name}"

    @property
    def named_tracks(self) -> tuple[int | None, tuple[int, ...]]:
        return self.frame, self.tracks or ()

    @property
    def last_frame(self) -> int:
        return self.frame if self.last is None else max(self.frame, self.last)

    def _covers(self, frame: int) -> bool:
        if self.direction == FORWARD:
            return self.frame < frame <= (LAST_FRAME if self.last is None else self.last)
        first = min(map(start_frame, self.tracks or ()), default=0) + 1  # where a track starts is part of its id
        return max(first, self.last or 0) <= frame <= self.frame

    def changes_gaussians(self, frame: int) -> bool:
        return self.tracks is None and self._covers(frame)

    def changes_tracks(self, frame: int) -> bool:
        return self.tracks is not None and self._covers(frame)

    def tracker(self, frame: int) -> str | None:
        return self.tracker_name if self.changes_gaussians(frame) else None

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        assert self.tracks is not None, "all tracks are changed by the tracker of the frame"
        if self.direction == FORWARD:
            return at.followed_by(state, self.tracks, self.tracker_name, self.label)
        return at.led_back(state, dict(zip(self.tracks, self.at, strict=True)), self.frame, self.tracker_name, self.label)
