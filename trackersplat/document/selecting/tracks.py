"""The Gaussians that carry tracks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.document.scene_edit import SceneArguments
from trackersplat.document.seen_scene import SeenScene
from trackersplat.document.selecting.way import Way
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError


@dataclass(frozen=True)
class CarriersOfTracks(Way):
    """Those that carried the tracks where they began, at most four each, as far as they are shown in this frame."""

    kind = "tracks"
    tracks: tuple[int, ...]  # ids of tracks
    frame: int

    @classmethod
    def parse(cls, arguments: SceneArguments) -> CarriersOfTracks:
        return cls(arguments.ids("tracks"), arguments.frame())

    def to_json(self) -> dict[str, Any]:
        return {"tracks": list(self.tracks), "frame": self.frame + 1}

    def select(self, scene: SeenScene) -> Selection:
        frames = scene.edited.run_frames
        state = frames.run.read_followed(self.frame)
        known = {} if state is None else {int(track): row for row, track in enumerate(state.ids)}
        missing = [track for track in self.tracks if track not in known]
        if state is None or missing:
            name = missing[0] if missing else self.tracks[0]
            raise InputError(f"{frames.run.path} has no track {name} in frame {self.frame + 1}: choose one of the tracks that are there.")
        rows = np.unique(state.carriers[[known[track] for track in self.tracks]].numpy())
        ids = frames.ids(self.frame)
        carriers = Selection.of(ids[rows[(rows >= 0) & (rows < len(ids))]])
        return carriers.intersect(scene.edited.all(self.frame))
