"""What each kind of edit does to motions and tracks: a plate flies before a wall, and its tracks are exact or wrong in a known way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flying_plate import BASE, CAMERAS, PLATE_ALONE, RASTERIZER, Tracks, context, film, on_plate, scene

from trackersplat.captures.capture import Capture
from trackersplat.edits.applied import AppliedEdits
from trackersplat.edits.edit import Edit
from trackersplat.edits.frame_range import FrameRange
from trackersplat.edits.frame_tracks import FIRST_HAND_CELL
from trackersplat.edits.kinds.correct_point import CorrectPoint
from trackersplat.edits.kinds.drop_camera import DropCamera
from trackersplat.edits.kinds.drop_view import DropView
from trackersplat.edits.kinds.end_track import EndTrack
from trackersplat.edits.kinds.reseed import Reseed
from trackersplat.edits.kinds.retrack import Retrack
from trackersplat.errors import InputError
from trackersplat.events import Note
from trackersplat.gaussians.lineage import Lineage
from trackersplat.motion.apply import move
from trackersplat.motion.evidence import ViewState
from trackersplat.motion.followed_tracks import CELL_BITS, FollowedTracks, FollowSettings
from trackersplat.motion.motion import Motion
from trackersplat.motion.start_tracks import start_tracks
from trackersplat.pipelines.chain import ChainStep, follow_chain
from trackersplat.pipelines.motions import OtherTracker
from trackersplat.pipelines.pipeline import ChainState
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.tracks import DenseTracks, Provenance, TrackEnd

FOLLOW = FollowSettings(spacing=1 / 8)
SHIFT = torch.tensor((0.12, -0.05, 0.03))  # of the plate, scene units a frame


@pytest.fixture
def capture(tmp_path: Path) -> Capture:
    return film(tmp_path)


class Shifted(Tracks):
    """The tracks of some cameras lead this far (px) from where they should, and are sure of it."""

    def __init__(self, cameras: Sequence[int], x: float, y: float = 0.0, *, plate: bool = False, targets: Sequence[int] = range(9)) -> None:
        super().__init__()
        self.cameras, self.shift, self.plate, self.targets = cameras, torch.tensor((x, y)), plate, targets

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        for camera, dense in super().__call__(cameras, base, targets):
            wrong = torch.from_numpy(on_plate(camera)) if self.plate else torch.ones(dense.positions.shape[1:3], dtype=torch.bool)
            wrong = wrong & torch.tensor([target in self.targets for target in targets])[:, None, None] & (camera in self.cameras)
            yield camera, replace(dense, positions=dense.positions + wrong[..., None] * self.shift)


def go(
    capture: Capture,
    source: TrackSource,
    edits: Sequence[Edit] = (),
    targets: Sequence[int] = (2,),
    *,
    other: TrackSource | None = None,
    follow: FollowSettings | None = FOLLOW,
    rounds: int = 0,
) -> tuple[list[ChainStep], list[str]]:
    """The steps, one frame a stride, and the notes."""
    about = replace(
        context(capture, source, stride=1, match_rounds=rounds),
        edits=AppliedEdits(tuple(edits)),
        other=lambda name: OtherTracker(other or source, replace(TRACKERS.facts(name), stride=1)),
    )
    state = ChainState(BASE, scene(BASE), Lineage.of_first_frame(BASE, len(PLATE_ALONE)), tracks=first() if follow else None)
    events = list(follow_chain(state, targets, about, follow))
    return [event for event in events if isinstance(event, ChainStep)], [event.text for event in events if isinstance(event, Note)]


def first() -> FollowedTracks:
    return start_tracks(CAMERAS[1:], scene(BASE), RASTERIZER, BASE, FOLLOW, Provenance("made"))


def tracks_of(step: ChainStep) -> FollowedTracks:
    assert step.tracks is not None
    return step.tracks


def row_on_plate(camera: int = 0) -> int:
    """A track in the middle of the plate, in the training camera of this index."""
    state = first()
    plate = torch.from_numpy(on_plate(camera + 1))
    at = state.positions.long()
    inside = (state.camera == camera) & plate[at[:, 1].clamp(0, plate.shape[0] - 1), at[:, 0].clamp(0, plate.shape[1] - 1)]
    middle = state.positions[inside].mean(0)
    rows = inside.nonzero()[:, 0]
    return int(rows[(state.positions[rows] - middle).norm(dim=-1).argmin()])


def pixels(point: torch.Tensor) -> list[np.ndarray]:
    """(2,) where each of the four cameras sees the point."""
    return [camera.project(point.double().numpy()[None])[0][0] for camera in CAMERAS]


def error(motion: Motion) -> float:
    """Mean distance of all Gaussians from where they are in frame 2."""
    return (move(scene(BASE), motion).means - scene(2).means).norm(dim=1).mean().item()


@pytest.mark.parametrize("rounds", [0, 1])
def test_without_a_camera_whose_tracks_are_off_the_motion_is_that_of_the_clean_rig(capture: Capture, rounds: int) -> None:
    wrong = Shifted((2,), 6.0)
    clean = replace(capture, held_out=("cam0", "cam2"))
    (rig,), _ = go(clean, Tracks(), follow=None, rounds=rounds)
    (spoilt,), _ = go(capture, wrong, follow=None, rounds=rounds)
    expected = error(rig.motion)
    if rounds == 0:
        assert error(spoilt.motion) > 3 * expected
    for edit in (DropView("cam2", FrameRange(2, 2)), DropCamera("cam2", 1)):
        (step,), _ = go(capture, wrong, [edit], follow=None, rounds=rounds)
        assert error(step.motion) < 1.02 * expected
        evidence = step.motion.evidence
        assert evidence is not None
        states = dict(zip(evidence.cameras, evidence.state, strict=True))
        assert set(states["cam2"].unique().tolist()) <= {ViewState.UNSEEN, ViewState.MASKED}
        assert (states["cam2"] == ViewState.MASKED).float().mean() > 0.5
        assert (states["cam1"] == ViewState.INLIER).float().mean() > 0.5
        assert (evidence.weight[evidence.cameras.index("cam2")] == 0).all()


def test_a_view_is_dropped_in_its_frames_alone_and_its_tracks_follow_the_gaussians(capture: Capture) -> None:
    steps, _ = go(capture, Shifted((2,), 6.0, targets=(2,)), [DropView("cam2", FrameRange(2, 2))], (2, 3))
    masked = [(step.motion.evidence.state[1] >= ViewState.REJECTED).any() for step in steps if step.motion.evidence is not None]
    assert masked == [False, True]
    start, there = first(), tracks_of(steps[0])
    assert torch.isin(there.ids[there.camera == 1], start.ids).all()  # none starts where nothing is seen
    hidden = there[there.camera == 1]
    assert (hidden.hidden == 1).all()
    wall = torch.isin(there.ids, start.ids[start.points[:, 2] > 1.0]) & (there.camera == 1)
    moved = there.positions[wall] - start.positions[torch.isin(start.ids, there.ids[wall])]
    assert moved.norm(dim=-1).median() < 0.1  # not 6 px
    later = tracks_of(steps[1])
    assert (later.hidden[later.camera == 1] == 0).float().mean() > 0.8


def test_no_training_camera_left_is_said(capture: Capture) -> None:
    edits = AppliedEdits(tuple(DropCamera(name, 2) for name in ("cam1", "cam2", "cam3")))
    assert edits.capture_at(capture, 1) is capture
    with pytest.raises(InputError, match="All training cameras of plate are dropped in frame 3"):
        edits.capture_at(capture, 2)
    left = AppliedEdits((DropCamera("cam1", 2),)).capture_at(capture, 2)
    assert (left.training_cameras, left.held_out_cameras) == ((2, 3), (0,))


def test_a_correction_in_one_view_moves_the_point_in_all_views_and_the_next_frame_goes_on_from_there(capture: Capture) -> None:
    start, row = first(), row_on_plate()
    track, truth = int(start.ids[row]), start.points[row] + SHIFT
    wrong = Shifted((1, 2, 3), 2.0, 4.0, plate=True, targets=(2,))
    place = pixels(truth)[1]
    edit = CorrectPoint(track, "cam1", 2, float(place[0]), float(place[1]))
    (before, _), _ = go(capture, wrong, (), (2, 3))
    (step, after), notes = go(capture, wrong, [edit], (2, 3))
    assert notes == []

    def of_track(step: ChainStep) -> FollowedTracks:
        return tracks_of(step)[tracks_of(step).ids == track]

    off = [np.linalg.norm(a - b) for a, b in zip(pixels(of_track(before).points[0]), pixels(truth), strict=True)]
    assert min(off) > 3
    found = of_track(step)
    assert max(np.linalg.norm(a - b) for a, b in zip(pixels(found.points[0]), pixels(truth), strict=True)) < 1
    assert (found.positions[0] - torch.from_numpy(place)).norm() < 0.02
    assert (found.confidence.item(), found.visibility.item(), found.hidden.item()) == (1, 1, 0)
    carriers = start.carriers[row].long()
    errors = [(each.motion.translation[carriers] - SHIFT).norm(dim=-1).max() for each in (before, step)]
    assert errors[1] < 0.4 * errors[0]  # what is left is of the depth, as the wrong tracks tell it
    assert (step.motion.translation[carriers] - (found.points[0] - start.points[row])).norm(dim=-1).max() < 0.02
    evidence = step.motion.evidence
    assert evidence is not None
    assert (evidence.state[:, carriers] == ViewState.INLIER).all()
    goal = pixels(start.points[row] + 2 * SHIFT)
    assert (of_track(after).positions[0] - torch.from_numpy(goal[1])).norm() < 1
    assert max(np.linalg.norm(a - b) for a, b in zip(pixels(of_track(after).points[0]), goal, strict=True)) < 1


def test_corrections_in_two_views_are_triangulated(capture: Capture) -> None:
    start, row = first(), row_on_plate()
    track = int(start.ids[row])
    truth = start.points[row] + SHIFT + torch.tensor((0.02, 0.03, -0.25))  # nearer than the plate
    edits = [CorrectPoint(track, f"cam{index}", 2, *map(float, pixels(truth)[index])) for index in (1, 2)]
    (step,), _ = go(capture, Tracks(), edits)
    found = tracks_of(step)[tracks_of(step).ids == track]
    assert max(np.linalg.norm(a - b) for a, b in zip(pixels(found.points[0]), pixels(truth), strict=True)) < 0.1
    # In one camera the last place counts.
    (again,), _ = go(capture, Tracks(), [replace(edits[0], x=1.0), *edits])
    assert torch.equal(tracks_of(again).points, tracks_of(step).points)


def test_a_correction_of_a_track_that_is_not_there_is_said(capture: Capture) -> None:
    track = int(first().ids.max()) + 1
    steps, notes = go(capture, Tracks(), [CorrectPoint(track, "cam1", 2, 10.0, 10.0)])
    (plain,), _ = go(capture, Tracks())
    assert len(notes) == 1
    assert f"track {track} had ended before or had not begun" in notes[0]
    assert torch.equal(steps[0].motion.translation, plain.motion.translation)


def test_tracks_end_by_hand_and_are_gone_in_the_next_frame(capture: Capture) -> None:
    ids = first().ids[[3, 5]]
    steps, _ = go(capture, Tracks(), [EndTrack(tuple(ids.tolist()), 2)], (2, 3))
    there, later = map(tracks_of, steps)
    assert (there.ends[torch.isin(there.ids, ids)] == TrackEnd.BY_HAND).all()
    assert (there.ends == TrackEnd.BY_HAND).sum() == 2
    assert not torch.isin(ids, later.ids).any()


def test_new_tracks_start_at_pixels_and_on_a_finer_grid(capture: Capture) -> None:
    start, row = first(), row_on_plate()
    place = pixels(start.points[row] + SHIFT)[1] + 2.0
    edits = [Reseed("cam1", 2, ((float(place[0]), float(place[1])), (-5.0, 3.0))), Reseed("cam2", 2, spacing=4.0), Reseed("cam0", 2)]
    steps, notes = go(capture, Tracks(), edits, (2, 3))
    there, later = map(tracks_of, steps)
    new = there[(there.ids & ((1 << CELL_BITS) - 1)) >= FIRST_HAND_CELL]
    assert (new.camera == 0).sum() == 1
    assert (new.positions[new.camera == 0] - torch.from_numpy(place)).abs().max() < 0.01
    assert (new.camera == 1).sum() > 50  # of 16 x 12
    assert (new.query[:, 0] == 2).all()
    assert len(there.ids.unique()) == len(there)
    assert torch.isin(new.ids, later.ids).float().mean() > 0.9
    assert any("no track starts at 1 of 2 places" in note for note in notes)
    assert any("cam0 has no tracks" in note for note in notes)


def test_all_tracks_after_a_frame_come_from_another_tracker(capture: Capture) -> None:
    run, other = Tracks(), Tracks()
    go(capture, run, [Retrack(None, 2, "dis", last=3)], (2, 3, 4), other=other)
    assert [(base, targets) for _, base, targets in run.asked] == [(1, (2,)), (3, (4,))]
    assert [(base, targets) for _, base, targets in other.asked] == [(2, (3,))]


def test_some_tracks_are_followed_by_another_tracker_and_nothing_else_changes(capture: Capture) -> None:
    wrong, row = Shifted((1,), 3.0, plate=True), row_on_plate()
    track = int(first().ids[row])
    (plain,), _ = go(capture, wrong)
    other = Tracks()
    (step,), _ = go(capture, wrong, [Retrack((track,), 1, "dis")], other=other)
    assert other.asked == [((1,), 1, (2,))]
    mine = tracks_of(step).ids == track
    assert torch.equal(tracks_of(step).ids, tracks_of(plain).ids)
    assert torch.equal(tracks_of(step).positions[~mine], tracks_of(plain).positions[~mine])
    assert torch.equal(step.motion.translation, plain.motion.translation)
    truth = torch.from_numpy(pixels(first().points[row] + SHIFT)[1])
    assert (tracks_of(plain).positions[mine] - truth).norm() > 2
    assert (tracks_of(step).positions[mine] - truth).norm() < 0.3


def test_tracks_are_followed_backward_from_where_they_are_known(capture: Capture) -> None:
    start, row = first(), row_on_plate()
    track = int(start.ids[row])
    goal = [torch.from_numpy(pixels(start.points[row] + (frame - BASE) * SHIFT)[1]) for frame in range(5)]
    known = (float(goal[4][0]), float(goal[4][1]))
    edit = Retrack((track,), 4, "dis", "backward", 2, (known,))
    other = Tracks()
    steps, _ = go(capture, Shifted((1,), 3.0, plate=True), [edit], (2, 3, 4), other=other)
    assert other.asked == [((1,), 4, (3,)), ((1,), 3, (2,))]  # every frame is tracked once
    for step in steps:
        position = tracks_of(step).positions[tracks_of(step).ids == track][0]
        assert (position - goal[step.frame]).norm() < 0.3, step.frame
