"""Edits of a run: checked against it, added to its log, and the frames that are made again because of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from trackersplat.edits.arguments import Arguments
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.edits.kinds.rerun import Rerun
from trackersplat.edits.kinds.retrack import BACKWARD, Retrack
from trackersplat.edits.log import EditLog, change_log, read_log
from trackersplat.edits.registry import EDITS, make_edit
from trackersplat.edits.stale import stale_frames
from trackersplat.errors import InputError
from trackersplat.jobs.plan import parse_frames
from trackersplat.pipelines.registry import PIPELINES
from trackersplat.store.run import Run

STALE = "stale"  # in place of frames: those that are
_FEWEST_VIEWS = 2  # that a motion can be triangulated from


def add_edit(run: Run, edit: Edit) -> EditLog:
    """Adds an edit to the log of the run. Raises InputError if it does not fit the run, or the log cannot be changed."""

    def change(log: EditLog) -> EditLog:
        check_edit(run, edit, log)
        return log.added(edit, datetime.now(timezone.utc))

    return change_log(run.path, change)


def edit_of(run: Run, kind: str, values: Mapping[str, Any]) -> Edit:
    """An edit from its arguments. Tracks that are to be followed backward start where the run has them, if no pixels are given.

    Raises InputError if the kind is unknown, or an argument is missing, wrong or unknown.
    """
    if kind == Retrack.kind and values.get("direction") == BACKWARD and not values.get("at"):
        arguments = Arguments(kind, values)
        ids, frame = arguments.ids("tracks"), arguments.frame()
        places = _pixels(run, frame)
        _require_tracks(run, frame, ids, places)
        return make_edit(kind, {**values, "tracks": list(ids), "at": [places[track] for track in ids]})
    return make_edit(kind, values)


def check_edit(run: Run, edit: Edit, log: EditLog) -> None:
    """Raises InputError if the edit, after those of the log, names what the run does not have, or would do nothing in it."""
    facts, about = EDITS.facts(edit.kind), run.info.get("capture")
    pipeline = run.settings.get("pipeline")
    if facts.needs_tracks and isinstance(pipeline, str) and pipeline in PIPELINES and not PIPELINES.facts(pipeline).tracks:
        raise InputError(f"{run.path} was made by {pipeline}, which uses no tracks: {edit.kind} would change nothing.")
    described = about if isinstance(about, dict) else {}
    names, count, held_out = described.get("cameras"), described.get("frames"), run.info.get("held_out") or []
    if isinstance(names, list):
        for name in edit.cameras:
            if name not in names:
                raise InputError(f"{run.path} has no camera named {name!r}; its cameras are {', '.join(map(str, names))}.")
            if facts.training and name in held_out:
                raise InputError(f"{name} is held out of {run.path}, to measure alone: {edit.kind} would change nothing.")
        _require_views(run, edit, log, [name for name in names if name not in held_out])
    if isinstance(count, int) and edit.last_frame >= count:
        raise InputError(f"Frame {edit.last_frame + 1} is not in {run.path}: its capture has frames 1 to {count}.")
    frame, ids = edit.named_tracks
    if frame is not None and ids and frame in run.frames():
        _require_tracks(run, frame, ids, _pixels(run, frame))


def frames_to_redo(run: Run, text: str, within: Sequence[int]) -> frozenset[int]:
    """The frames of the run that ``text`` names, "A:B" (counted from 1), "A", "all" or "stale", among those of ``within``.

    Frames that are named though they are not stale become so by an entry in the log: what comes from them is then known to be old.

    Raises InputError if the text is not understood, or the run has none of the frames.
    """
    stale = stale_frames(read_log(run.path), run.records()) & set(within)
    if text == STALE:
        return stale
    wanted = frozenset(parse_frames(text, max(within, default=-1) + 1)) & set(run.frames()) & set(within)
    if not wanted:
        raise InputError(f"{run.path} has none of the frames {text} yet: reconstruct them without --redo.")
    if wanted - stale:
        add_edit(run, Rerun(FrameRange(min(wanted), max(wanted))))
    return wanted


def _require_views(run: Run, edit: Edit, log: EditLog, training: Sequence[str]) -> None:
    frame = edit.last_frame
    if not any(edit.drops_view(name, frame) for name in training):
        return
    left = [name for name in training if not any(each.drops_view(name, frame) for each in (*log.edits, edit))]
    if len(left) < _FEWEST_VIEWS:
        raise InputError(
            f"After this edit {run.path} would have {len(left)} views to find motion from in frame {frame + 1}, expected at least "
            f"{_FEWEST_VIEWS}: undo another edit first."
        )


def _pixels(run: Run, frame: int) -> dict[int, list[float]]:
    """Where the tracks of the frame are, by id."""
    found: dict[int, list[float]] = {}
    for tracks in run.read_tracks(frame).values():
        found.update(zip(tracks.ids.tolist(), tracks.positions[0].tolist(), strict=True))
    return found


def _require_tracks(run: Run, frame: int, ids: Sequence[int], there: Mapping[int, Any]) -> None:
    missing = [track for track in ids if track not in there]
    if missing:
        raise InputError(f"{run.path} has no track {missing[0]} in frame {frame + 1}: choose one of the tracks that are there.")
