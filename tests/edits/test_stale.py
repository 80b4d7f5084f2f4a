"""Which frames are stale."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.edits.kinds.correct_point import CorrectPoint
from trackersplat.edits.kinds.drop_camera import DropCamera
from trackersplat.edits.kinds.drop_view import DropView
from trackersplat.edits.kinds.end_track import EndTrack
from trackersplat.edits.kinds.rerun import Rerun
from trackersplat.edits.kinds.reseed import Reseed
from trackersplat.edits.kinds.retrack import Retrack
from trackersplat.edits.log import EditLog
from trackersplat.edits.stale import MadeWith, made_with, stale_frames, stale_gaussians
from trackersplat.events import FrameDone

NOW = datetime(2026, 11, 3, tzinfo=UTC)


def log_of(*edits: Edit) -> EditLog:
    log = EditLog()
    for edit in edits:
        log = log.added(edit, NOW)
    return log


def record(frame: int, base: int | None) -> FrameDone:
    return FrameDone(frame, base, {}, {}, 1, 0.0, 0.0, {})


CHAIN = {frame: record(frame, frame - 1 if frame else None) for frame in range(8)}


def remade(log: EditLog, records: dict[int, FrameDone], frames: range) -> dict[int, FrameDone]:
    """The records after these frames were made again with the log."""
    found = dict(records)
    for frame in frames:
        base = found[frame].base
        keys = made_with(log, frame, base, MadeWith() if base is None else MadeWith.of(found[base]))
        found[frame] = replace(found[frame], edits=keys.gaussians, track_edits=keys.tracks)
    return found


def test_without_edits_nothing_is_stale_in_old_runs_neither() -> None:
    assert stale_frames(EditLog(), CHAIN) == frozenset()
    assert stale_frames(log_of(DropView("a", FrameRange(20, 30))), CHAIN) == frozenset()
    assert stale_frames(log_of(DropView("a")), {}) == frozenset()


@pytest.mark.parametrize(
    ("edit", "first", "gaussians"),
    [
        (DropView("a", FrameRange(3, 4)), 3, 3),
        (DropView("a"), 1, 1),
        (DropCamera("a", 5), 5, 5),
        (DropCamera("a"), 0, 0),
        (CorrectPoint(1, "a", 4, 1.0, 1.0), 4, 4),
        (Retrack(None, 3, "dis"), 4, 4),
        (Retrack((1,), 3, "dis"), 4, 8),
        (Retrack((1,), 3, "dis", "backward", 2, ((1.0, 1.0),)), 2, 8),
        (Reseed("a", 5), 5, 8),
        (EndTrack((1,), 6), 6, 8),
        (Rerun(FrameRange(2, 3)), 2, 2),
    ],
)
def test_an_edit_makes_its_frames_and_all_that_come_from_them_stale(edit: Edit, first: int, gaussians: int) -> None:
    log = log_of(edit)
    assert stale_frames(log, CHAIN) == frozenset(range(first, 8))
    assert stale_gaussians(log, CHAIN) == frozenset(range(gaussians, 8))
    again = remade(log, CHAIN, range(first, 8))
    assert stale_frames(log, again) == frozenset()
    assert stale_frames(log.undone(), again) == frozenset(range(first, 8))
    assert stale_frames(log.undone(), CHAIN) == frozenset()


def test_frames_after_a_redone_base_stay_stale_until_they_are_redone_in_order() -> None:
    log = log_of(Rerun(FrameRange(2, 3)))
    again = remade(log, CHAIN, range(2, 4))
    assert stale_frames(log, again) == frozenset(range(4, 8))
    assert stale_frames(log, remade(log, again, range(4, 6))) == frozenset({6, 7})
    # Made from a stale base: it is stale itself.
    assert stale_frames(log, remade(log, CHAIN, range(5, 8))) == frozenset(range(2, 8))


def test_the_same_frames_can_be_run_again_twice() -> None:
    once, edit = log_of(Rerun(FrameRange(2, 2))), Rerun(FrameRange(2, 2))
    again = remade(once, CHAIN, range(2, 8))
    assert stale_frames(once.added(edit, NOW), again) == frozenset(range(2, 8))


def test_frames_of_another_origin_stay_fresh_and_the_way_to_a_frame_counts() -> None:
    records = {0: record(0, None), 4: record(4, 0), 5: record(5, None), 6: record(6, 5)}
    assert stale_frames(log_of(DropView("a", FrameRange(2, 2))), records) == frozenset({4})
    assert stale_frames(log_of(DropView("a", FrameRange(5, 5))), records) == frozenset()  # no motion leads to a frame that is fitted
    assert stale_frames(log_of(Rerun(FrameRange(5, 5))), records) == frozenset({5, 6})


def test_a_correction_depends_on_the_tracks_before_it() -> None:
    correction = CorrectPoint(1, "a", 5, 1.0, 1.0)
    log = log_of(correction)
    again = remade(log, CHAIN, range(5, 8))
    assert stale_gaussians(log.added(EndTrack((2,), 3), NOW), again) == frozenset(range(5, 8))
    assert stale_gaussians(log.added(EndTrack((2,), 6), NOW), again) == frozenset()


def test_a_damaged_record_that_names_a_later_base_ends_the_walk() -> None:
    records = {0: record(0, None), 1: record(1, 3), 3: record(3, 1)}
    assert stale_frames(EditLog(), records) == frozenset()
    assert stale_frames(log_of(Rerun(FrameRange(1, 1))), records) == frozenset({1, 3})
