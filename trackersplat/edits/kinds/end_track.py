"""``end_track``: tracks end at a frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit
from trackersplat.edits.words import track_words
from trackersplat.tracking.tracks import TrackEnd

if TYPE_CHECKING:
    from trackersplat.edits.frame_tracks import FrameTracks
    from trackersplat.motion.followed_tracks import FollowedTracks


@dataclass(frozen=True)
class EndTrack(Edit):
    """The tracks are there in the frame, as ended ones, and not in later frames. The Gaussians do not depend on it."""

    kind: ClassVar[str] = "end_track"
    tracks: tuple[int, ...]
    frame: int

    @classmethod
    def parse(cls, arguments: Arguments) -> EndTrack:
        return cls(arguments.ids("tracks"), arguments.frame())

    def to_json(self) -> dict[str, Any]:
        return {"tracks": list(self.tracks), "frame": self.frame + 1}

    @property
    def label(self) -> str:
        return f"End {track_words(self.tracks)} at frame {self.frame + 1}"

    @property
    def named_tracks(self) -> tuple[int | None, tuple[int, ...]]:
        return self.frame, self.tracks

    @property
    def last_frame(self) -> int:
        return self.frame

    def changes_tracks(self, frame: int) -> bool:
        return frame == self.frame

    def change_tracks(self, state: FollowedTracks, at: FrameTracks) -> FollowedTracks:
        chosen = at.rows(state, self.tracks, self.label)
        return replace(state, ends=torch.where(chosen & state.alive, int(TrackEnd.BY_HAND), state.ends))
