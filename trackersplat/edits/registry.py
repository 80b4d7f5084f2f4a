"""The kinds of edits by name. Listing them imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit, EditFacts
from trackersplat.registry import Registry

EDITS: Registry[EditFacts] = Registry(
    "edit",
    (
        EditFacts(
            "drop_view",
            "the tracks of a camera have no weight in the motion to some frames",
            "trackersplat.edits.kinds.drop_view:DropView",
            arguments="camera=NAME [frames=A:B]",
            training=True,
        ),
        EditFacts(
            "drop_camera",
            "a camera is used neither for the motion nor for the refinement from a frame on",
            "trackersplat.edits.kinds.drop_camera:DropCamera",
            arguments="camera=NAME [frame=A]",
            needs_tracks=False,
            training=True,
        ),
        EditFacts(
            "correct_point",
            "a point of a track is put where it is in one camera; the other cameras follow",
            "trackersplat.edits.kinds.correct_point:CorrectPoint",
            arguments="track=ID camera=NAME frame=A x=PX y=PX [deviation=PX]",
        ),
        EditFacts(
            "retrack",
            "tracks are followed anew from a frame on, forward or backward, by another tracker",
            "trackersplat.edits.kinds.retrack:Retrack",
            arguments="tracks=ID,ID|all frame=A tracker=NAME [direction=forward|backward] [last=B] [at=X,Y;X,Y]",
        ),
        EditFacts(
            "reseed",
            "new tracks start in a camera at a frame, on a finer grid or at given pixels",
            "trackersplat.edits.kinds.reseed:Reseed",
            arguments="camera=NAME frame=A [pixels=X,Y;X,Y] [spacing=PX]",
            training=True,
        ),
        EditFacts(
            "end_track",
            "tracks end at a frame",
            "trackersplat.edits.kinds.end_track:EndTrack",
            arguments="tracks=ID,ID frame=A",
        ),
        EditFacts(
            "rerun",
            "frames are made again, with all that is edited before",
            "trackersplat.edits.kinds.rerun:Rerun",
            arguments="frames=A:B",
            needs_tracks=False,
        ),
    ),
)


def make_edit(kind: str, values: Mapping[str, Any]) -> Edit:
    """Raises InputError if the kind is unknown, or an argument is missing, wrong or unknown."""
    edit_type: type[Edit] = EDITS.load(kind)
    return Arguments(kind, values).parsed(edit_type.parse)
