"""Sparse tracks through a clip: a plate that passes behind a pillar, and a path-traced room with exact tracks."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import passing_plate as plate
import pytest
import torch
import trimesh
from passing_plate import CAMERAS, EXACT, FRAMES, HEIGHT, RASTERIZER, SHIFT_PX, WIDTH
from scipy.spatial import cKDTree

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import PointCloud
from trackersplat.errors import ShapeError
from trackersplat.motion.follow_tracks import follow_tracks, points_at, sample_tracks
from trackersplat.motion.followed_tracks import POSITION_STEP, FollowedTracks, FollowSettings, observations, without_replaced
from trackersplat.motion.motion import Motion
from trackersplat.motion.start_tracks import GridCells, free_cells, start_tracks, surface_of, with_new_tracks
from trackersplat.tracking.tracks import DenseTracks, Provenance, TrackEnd
from trackersplat.training.first_frame.initialise import InitialiseSettings, gaussians_from_points

SETTINGS = FollowSettings()


def started(settings: FollowSettings = SETTINGS) -> FollowedTracks:
    return start_tracks(CAMERAS, plate.scene(0), RASTERIZER, 0, settings, EXACT)


def followed(state: FollowedTracks, target: int, *, fooled: bool = False, settings: FollowSettings = SETTINGS) -> FollowedTracks:
    base = state.frame
    moved, dense = plate.scene(target), plate.all_tracks(base, target, fooled=fooled)
    return follow_tracks(state, plate.scene(base), plate.motion(target - base), moved, dense, target, CAMERAS, RASTERIZER, settings)


@cache
def clip(fooled: bool = False, settings: FollowSettings = SETTINGS, frames: int = FRAMES) -> list[FollowedTracks]:
    """Frame by frame."""
    states = [started(settings)]
    while len(states) < frames:
        states.append(followed(states[-1], len(states), fooled=fooled, settings=settings))
    return states


def on_plate(state: FollowedTracks) -> torch.Tensor:
    """(P,) bool: the tracks that start at frame 0 on the plate, 3 px or more from its border."""
    inner = torch.zeros(len(state), dtype=torch.bool)
    for index, view in enumerate(CAMERAS):
        query = state.query[:, 1:].numpy()
        around = [plate.layers_at(view, query + np.array(offset), 0) == 1 for offset in ((-3, -3), (3, -3), (-3, 3), (3, 3))]
        inner |= (state.camera == index) & torch.from_numpy(np.all(around, axis=0))
    return inner & (state.query[:, 0] == 0)


def behind_pillar(state: FollowedTracks, positions: np.ndarray, margin: float) -> np.ndarray:
    """(P,) bool: the pillar covers what is this far around the positions."""
    result = np.zeros(len(state), bool)
    for index, view in enumerate(CAMERAS):
        sides = [plate.layers_at(view, positions + np.array((side, 0)), state.frame) == 2 for side in (-margin, margin)]
        result |= (state.camera.numpy() == index) & (np.all(sides, axis=0) if margin >= 0 else np.any(sides, axis=0))
    return result


@pytest.mark.parametrize("fooled", [False, True])
def test_a_track_that_passes_behind_a_pillar_is_hidden_there_and_goes_on_with_its_id(fooled: bool) -> None:
    states = clip(fooled)
    ids = states[0].ids[on_plate(states[0])]
    assert len(ids) >= 20
    passed = set()
    for state in states:
        part = state[torch.isin(state.ids, ids)]
        assert torch.equal(part.ids, ids)
        assert (part.ends == TrackEnd.ALIVE).all()
        truth = part.query[:, 1:].numpy() + np.array((SHIFT_PX * state.frame, 0.0))
        deep, clear = behind_pillar(part, truth, 1.5), ~behind_pillar(part, truth, -SHIFT_PX - 1.5)
        hidden = part.hidden.numpy() > 0
        assert hidden[deep].all()
        assert (part.visibility.numpy()[deep] < SETTINGS.visible).all()
        assert not hidden[clear].any()
        assert np.linalg.norm(part.positions.numpy() - truth, axis=-1).max() < 1.0
        passed |= set(part.ids[torch.from_numpy(deep)].tolist())
    assert len(passed) >= 20
    last = states[-1][torch.isin(states[-1].ids, torch.tensor(sorted(passed)))]
    assert (last.hidden == 0).sum() >= 15  # on the other side


def test_wall_tracks_stay_where_they_are_and_are_hidden_while_the_plate_passes() -> None:
    states = clip()
    state = states[0]
    beside = state[(state.points[:, 2] - plate.WALL_Z).abs() < 0.05]
    covered = 0
    for later in states[1:]:
        part = later[torch.isin(later.ids, beside.ids)]
        assert torch.equal(part.ids, beside.ids)
        assert torch.equal(part.positions, beside.positions)
        covered += int((part.hidden > 0).sum())
    assert covered > 20
    assert (part.points - beside.points).abs().max() < SETTINGS.surface_tolerance * plate.WALL_Z


def test_material_points_follow_the_surface() -> None:
    states = clip()
    ids = states[0].ids[on_plate(states[0])]
    for state in states:
        points = state.points[torch.isin(state.ids, ids)]
        expected = states[0].points[torch.isin(states[0].ids, ids)] + torch.tensor((plate.STEP * state.frame, 0, 0))
        assert (points - expected).abs().max() < SETTINGS.surface_tolerance * plate.PLATE_Z
        assert (points - expected).abs().median() < 0.005


def test_hidden_positions_are_as_sure_as_the_motion_of_the_carriers() -> None:
    state = clip()[8]
    assert torch.equal(state.confidence[state.hidden > 0].unique(), torch.tensor([204 / 255]))  # 0.8
    assert torch.equal(state.confidence[state.hidden == 0].unique(), torch.ones(1))


def test_carriers_are_gaussians_of_the_same_surface() -> None:
    state = started()
    depth = plate.scene(0).means[state.carriers.long(), 2]
    assert (depth - state.points[:, None, 2]).abs().max() < 0.05


def test_ids_are_unique_and_the_same_in_every_run() -> None:
    first, again = clip(), [started()]
    for frame in range(1, 4):
        again.append(followed(again[-1], frame))
    every = torch.cat([state.ids for state in first]).unique()
    starts = torch.cat([state.ids[state.query[:, 0] == state.frame] for state in first])
    assert len(every) == len(starts)
    for one, other in zip(first, again, strict=False):
        for name, tensor in one.tensors().items():
            assert torch.equal(tensor, other.tensors()[name]), name


def test_positions_are_whole_steps() -> None:
    for state in clip():
        assert torch.equal(state.positions / POSITION_STEP, (state.positions / POSITION_STEP).round())


def test_new_tracks_start_where_none_is_seen_and_their_number_is_bounded() -> None:
    few = replace(SETTINGS, maximum=100)
    bounded = [started(few)]
    for frame in range(1, 5):
        bounded.append(followed(bounded[-1], frame, settings=few))
    for state in bounded:
        assert [int((state.alive & (state.camera == index)).sum()) for index in range(len(CAMERAS))] == [100, 100]
    states = clip()
    new = states[-1].query[:, 0] > 0
    assert new.sum() >= 4
    for state in states[1:]:
        fresh = state.query[:, 0] == state.frame
        assert torch.equal(state.positions[fresh], state.query[fresh, 1:])
        seen = state[state.alive & ~fresh & (state.hidden == 0)]
        for camera, position in zip(state.camera[fresh], state.positions[fresh], strict=True):
            others = seen.positions[seen.camera == camera]
            assert (others - position).norm(dim=-1).min() >= SETTINGS.gap * SETTINGS.spacing * WIDTH


def test_new_tracks_start_before_those_that_are_hidden_in_their_camera_alone() -> None:
    state = replace(started(), frame=1)
    hidden = torch.where(state.camera == 1, 1, 0).to(state.hidden)
    depth = surface_of(plate.scene(0), CAMERAS, RASTERIZER, SETTINGS)
    for before, expected in ((state, [0, 0]), (replace(state, hidden=hidden), [0, int((state.camera == 1).sum())])):
        new = with_new_tracks(before, plate.scene(0), depth, CAMERAS, SETTINGS, None)
        added = [int((new.camera == index).sum() - (before.camera == index).sum()) for index in (0, 1)]
        assert added == expected


def test_free_cells_of_cameras_of_several_sizes_are_those_of_each_alone() -> None:
    views = [replace(CAMERAS[0], width=width, height=height) for width, height in ((96, 64), (40, 80), (64, 64))]
    cells = GridCells.of(views, replace(SETTINGS, spacing=1 / 8))
    random = torch.Generator().manual_seed(0)
    taken = [torch.rand(count, 2, generator=random) * 60 for count in (7, 0, 12)]
    taken[2][3] = torch.inf  # a track that is not seen
    of_camera = torch.arange(3).repeat_interleave(torch.tensor([7, 0, 12]))
    free = free_cells(cells, torch.cat(taken), of_camera, torch.tensor([7, 0, 12]))
    for index, (view, own) in enumerate(zip(views, taken, strict=True)):
        middles = cells.middles[cells.of_camera(index)].double()
        assert (middles % 1 == 0.5).all()
        assert middles[0].tolist() < middles[-1].tolist()
        distances = (middles[:, None] - own.double()).norm(dim=-1)
        expected = (distances >= 0.75 / 8 * max(view.width, view.height)).all(dim=1)
        assert torch.equal(free[cells.of_camera(index)], expected)
        assert expected.all() == (index == 1)
    assert free_cells(cells, torch.zeros(0, 2), of_camera[:0], torch.zeros(3, dtype=torch.int64)).all()


def test_a_track_hidden_for_too_long_ends() -> None:
    settings = replace(SETTINGS, hidden_frames=2)
    states = clip(settings=settings, frames=10)
    for before, state in pairwise(states):
        assert (state.hidden <= 3).all()
        assert torch.equal(state.ends == TrackEnd.OCCLUDED, state.hidden == 3)
        gone = before.ids[~before.alive]
        assert not torch.isin(gone, state.ids).any()
    assert sum(int((state.ends == TrackEnd.OCCLUDED).sum()) for state in states) >= 10


def wall_in_motion(shift_px: float, confidence: float = 1.0, claimed_px: float | None = None) -> tuple[FollowedTracks, FollowedTracks]:
    """A wall that moves to the right, in one camera: the state at frame 0 and the one at frame 1. The tracker may claim otherwise."""
    view, settings = CAMERAS[0], SETTINGS
    wall = plate.sheet((-4, 4), (-2.4, 2.4), plate.WALL_Z, 0.1)
    step = shift_px * plate.WALL_Z / plate.FOCAL
    count = len(wall)
    shift = torch.tensor((step, 0, 0)).repeat(count, 1)
    rotation, ones = torch.tensor((1.0, 0, 0, 0)).repeat(count, 1), torch.ones(count)
    motion = Motion(shift, rotation, torch.zeros(count, dtype=torch.bool), ones.bool(), ones, ones, ones.int())
    start = start_tracks([view], wall, RASTERIZER, 0, settings, EXACT)
    dense = claims(0, shift_px if claimed_px is None else claimed_px, confidence)
    moved = replace(wall, means=wall.means + shift)
    return start, follow_tracks(start, wall, motion, moved, {view.name: dense}, 1, [view], RASTERIZER, settings)


def claims(base: int, shift_px: float, confidence: float) -> DenseTracks:
    pixels = torch.stack(torch.meshgrid(torch.arange(WIDTH), torch.arange(HEIGHT), indexing="xy"), -1) + 0.5
    ones = torch.ones(1, HEIGHT, WIDTH)
    return DenseTracks(base, (base + 1,), (pixels + torch.tensor((shift_px, 0.0)))[None], ones, confidence * ones, 0.1, EXACT)


def test_a_track_that_leaves_the_image_ends_and_others_start_where_it_came_from() -> None:
    start, state = wall_in_motion(9.0)
    left = start.positions[:, 0] + 9.0 >= WIDTH
    assert left.sum() == 24  # two columns of 12
    old = state.query[:, 0] == 0
    assert torch.equal(state.ends[old] == TrackEnd.LEFT_IMAGE, left)
    assert (state.positions[old] - start.positions - torch.tensor((9.0, 0))).abs().max() < 0.02
    new = state[~old]
    assert len(new) == 12  # the second column is near enough to tracks that were in the first
    assert torch.equal(new.positions[:, 0].unique(), torch.tensor([3.5]))
    assert (new.ids > start.ids.max()).all()


def test_positions_that_are_not_trusted_and_contradict_the_gaussians_are_replaced_once() -> None:
    start, state = wall_in_motion(0.0, confidence=0.2, claimed_px=5.0)
    old = state.query[:, 0] == 0
    assert (state.positions[old] - start.positions).abs().max() < 0.02
    assert (state.ends[old] == TrackEnd.ALIVE).all()
    assert (state.hidden[old] == 0).all()
    wall = plate.sheet((-4, 4), (-2.4, 2.4), plate.WALL_Z, 0.1)
    count = len(wall)
    ones, rotation = torch.ones(count), torch.tensor((1.0, 0, 0, 0)).repeat(count, 1)
    motion = Motion(torch.zeros(count, 3), rotation, ones.bool(), ~ones.bool(), ones, ones, ones.int())
    ends = {}
    for name, claimed in (("again", 5.0), ("agreeing", 0.5)):
        dense = {CAMERAS[0].name: claims(1, claimed, 0.2)}
        later = follow_tracks(state, wall, motion, wall, dense, 2, CAMERAS[:1], RASTERIZER, SETTINGS)
        ends[name] = later.ends[later.query[:, 0] == 0].unique().tolist()
    assert ends == {"again": [TrackEnd.UNRELIABLE], "agreeing": [TrackEnd.ALIVE]}


def test_positions_that_are_trusted_hold_against_the_gaussians() -> None:
    start, state = wall_in_motion(0.0, confidence=0.9, claimed_px=3.0)
    inside = start.positions[:, 0] + 3 < WIDTH
    old = state[state.query[:, 0] == 0]
    assert torch.equal(old.positions[inside], (start.positions + torch.tensor((3.0, 0)))[inside])


def test_a_track_that_crosses_the_border_of_the_mask_ends() -> None:
    start = started()
    masks = [{view.name: plate.layers_at(view, pixel_centres(), frame) == 1 for view in CAMERAS} for frame in (0, 1)]
    wrong = {view.name: np.zeros((HEIGHT, WIDTH), bool) for view in CAMERAS}
    right = None
    for target, crossing in ((masks[1], False), (wrong, True)):
        state = follow_tracks(
            start, plate.scene(0), plate.motion(1), plate.scene(1), plate.all_tracks(0, 1), 1, CAMERAS, RASTERIZER, SETTINGS,
            (masks[0], target),
        )  # fmt: skip
        part = state[torch.isin(state.ids, start.ids[on_plate(start)])]
        seen = part.hidden == 0
        assert ((part.ends[seen] == TrackEnd.CROSSED_MASK) == crossing).all()
        assert (part.ends[~seen] == TrackEnd.ALIVE).all()
        right = right or state
    assert not (right.ends == TrackEnd.CROSSED_MASK).any()


def pixel_centres() -> np.ndarray:
    return np.stack(np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)), -1) + 0.5


def test_no_track_starts_at_the_border_of_a_mask() -> None:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : int(started().positions[0, 0])] = True
    state = start_tracks(CAMERAS, plate.scene(0), RASTERIZER, 0, SETTINGS, EXACT, {"left": mask, "right": None})
    missing = started().ids[~torch.isin(started().ids, state.ids)]
    border = started().positions[:, 0] == started().positions[0, 0]
    assert torch.equal(missing, started().ids[border & (started().camera == 0)])


def test_no_track_starts_at_an_edge_of_the_depth() -> None:
    state = started()
    for index, view in enumerate(CAMERAS):
        places = state.positions[state.camera == index].numpy()
        shown = [plate.layers_at(view, places + np.array((side, 0.0)), 0) for side in (-0.5, 0.5)]
        assert (shown[0] == shown[1]).all()


def test_one_base_and_several_targets_start_new_tracks_at_the_last_and_keep_ends() -> None:
    settings = replace(SETTINGS, hidden_frames=1)
    base = clip()[5]
    dense = plate.all_tracks(5, 6, 7, 8)
    states: list[FollowedTracks] = []
    for target in (6, 7, 8):
        states.append(
            follow_tracks(
                base, plate.scene(5), plate.motion(target - 5), plate.scene(target), dense, target, CAMERAS, RASTERIZER, settings,
                earlier=states[-1] if states else None,
            )
        )  # fmt: skip
    assert [bool((state.query[:, 0] > 5).any()) for state in states] == [False, False, True]
    gone = torch.cat([state.ids[~state.alive] for state in states[:2]])
    assert len(gone) > 0
    assert not torch.isin(gone, states[2].ids).any()
    still_hidden = states[0].ids[(states[0].hidden == 1) & states[0].alive]
    third = states[1][torch.isin(states[1].ids, still_hidden)]
    assert set(third.hidden.tolist()) <= {0, 2}


def test_replaced_carriers_are_dropped_and_a_track_without_any_ends() -> None:
    state = started()
    chosen = state.carriers[0]
    fewer = without_replaced(state, chosen[:2])
    assert fewer.carriers[0].tolist() == [-1, -1, *chosen[2:].tolist()]
    assert fewer.ends[0] == TrackEnd.ALIVE
    none = without_replaced(fewer, chosen.long())
    assert (none.carriers[0] == -1).all()
    assert none.ends[0] == TrackEnd.REPLACED
    assert not torch.isin(none.ids[:1], followed(none, 1).ids).any()
    untouched = ~torch.isin(state.carriers, chosen).any(1)
    assert torch.equal(none.carriers[untouched], state.carriers[untouched])
    assert (none.ends[untouched] == TrackEnd.ALIVE).all()


def test_points_of_several_cameras_sampled_at_once_are_those_of_each_alone() -> None:
    tracks = list(plate.all_tracks(0, 1).values())
    positions = torch.rand(30, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * torch.tensor([WIDTH, HEIGHT])
    camera = torch.arange(len(positions)) % len(tracks)
    stacked = [torch.stack([getattr(each, name)[0] for each in tracks]) for name in ("positions", "visibility", "confidence")]
    together = points_at(positions, camera, *stacked)
    for index, each in enumerate(tracks):
        alone = sample_tracks(positions[camera == index], each, 1)
        for name in ("positions", "visibility", "confidence"):
            torch.testing.assert_close(getattr(together, name)[camera == index], getattr(alone, name), rtol=0, atol=0, equal_nan=True)


def test_observations_are_tracks_of_one_frame_per_camera() -> None:
    state = clip()[3]
    tracks = observations(state)
    assert list(tracks) == [view.name for view in CAMERAS]
    assert sum(map(len, tracks.values())) == len(state)
    assert tracks["right"].frames == (3,)
    assert torch.equal(tracks["right"].positions[0], state.positions[state.camera == 1])


def test_cameras_and_frames_that_do_not_fit_are_refused() -> None:
    state = started()
    arguments = (plate.scene(0), plate.motion(1), plate.scene(1))
    with pytest.raises(ShapeError, match="frame 0"):
        follow_tracks(state, *arguments, plate.all_tracks(1, 2), 2, CAMERAS, RASTERIZER, SETTINGS)
    with pytest.raises(ShapeError, match="left"):
        follow_tracks(state, *arguments, plate.all_tracks(0, 1), 1, CAMERAS[::-1], RASTERIZER, SETTINGS)
    with pytest.raises(ValueError, match="not in"):
        follow_tracks(state, *arguments, plate.all_tracks(0, 1), 2, CAMERAS, RASTERIZER, SETTINGS)


# The path-traced room.

TARGETS = (1, 4, 8, 15)


@pytest.fixture(scope="module")
def stage(shared_data: Path) -> Path:
    return shared_data / "stage"


def stage_cameras(stage: Path) -> list[Camera]:
    layout = json.loads((stage / "cameras.json").read_text())
    views = []
    for entry in layout["cameras"]:
        pose = np.eye(4)
        pose[: len(entry["w2c"])] = entry["w2c"]
        views.append(Camera(entry["name"], layout["width"], layout["height"], np.array(entry["K"]), pose))
    return views


def exact_tracks(stage: Path, view: Camera) -> DenseTracks:
    with np.load(stage / "gt" / f"flow_{view.name}.npz") as truth:
        assert truth["frames"].tolist() == list(TARGETS)
        flow, valid = truth["flow"].astype(np.float32), truth["valid"]
        visible = truth["visible"] & valid
    pixels = np.stack(np.meshgrid(np.arange(view.width), np.arange(view.height)), -1).astype(np.float32) + np.float32(0.5)
    positions = np.where(valid[..., None], flow, 0) + pixels
    trust = torch.from_numpy(np.broadcast_to(valid, visible.shape).astype(np.float32))
    return DenseTracks(0, TARGETS, torch.from_numpy(positions), torch.from_numpy(visible).float(), trust, 1.0, Provenance("exact"))


def clearly_hidden(stage: Path, view: Camera, index: int, target: int) -> np.ndarray:
    """(P, 2) px at frame 0 of truth points that the view sees there and something hides at the target, both a pixel from any edge."""
    with np.load(stage / "gt" / "tracks.npz") as truth:
        uv, z, vis = truth["uv"][index], truth["z"][index, target], truth["vis"][index]
    with np.load(stage / "gt" / f"depth_{view.name}.npz") as truth:
        depth = truth["depth"].astype(np.float32)
    inside = ((uv[[0, target]] >= 1) & (uv[[0, target]] < (view.width - 1, view.height - 1))).all((0, -1))

    def around(frame: int) -> np.ndarray:
        x, y = np.where(inside[:, None], uv[frame], 1).astype(int).T
        return np.array([depth[frame, y + dy, x + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)])

    on_one_surface = np.ptp(around(0), axis=0) < 0.05
    return uv[0, vis[0] & ~vis[target] & inside & on_one_surface & (around(target).max(0) < z - 0.1)]


def test_tracks_of_the_room_keep_their_ids_and_are_hidden_where_the_truth_is(stage: Path) -> None:
    cameras, settings = stage_cameras(stage), replace(SETTINGS, spacing=1 / 32, maximum=1000)
    cloud = trimesh.load(stage / "points3D.ply")
    gaussians = gaussians_from_points(PointCloud(np.asarray(cloud.vertices), np.asarray(cloud.colors)[:, :3]), 0, InitialiseSettings())
    gaussians = replace(gaussians, opacity_logits=torch.full((len(gaussians),), 3.0))
    with np.load(stage / "gt" / "tracks.npz") as truth:
        xyz = truth["xyz"]
    nearest = cKDTree(xyz[0]).query(gaussians.means.numpy())[1]
    dense = {view.name: exact_tracks(stage, view) for view in cameras}
    start = start_tracks(cameras, gaussians, RASTERIZER, 0, settings, Provenance("exact"))
    assert len(start) > 6000

    count = len(gaussians)
    ones, rotation = torch.ones(count), torch.tensor((1.0, 0, 0, 0)).repeat(count, 1)
    states: list[FollowedTracks] = []
    for target in TARGETS:
        shift = torch.from_numpy(xyz[target] - xyz[0])[nearest]
        moved = replace(gaussians, means=gaussians.means + shift)
        motion = Motion(shift, rotation, ~ones.bool(), ones.bool(), ones, ones, ones.int())
        earlier = states[-1] if states else None
        states.append(follow_tracks(start, gaussians, motion, moved, dense, target, cameras, RASTERIZER, settings, earlier=earlier))

    last = states[-1]
    assert torch.isin(start.ids, last.ids).float().mean() > 0.99  # the others have left their images
    behind = noticed = 0
    for target, state in zip(TARGETS, states, strict=True):
        old = state[state.query[:, 0] == 0]
        for index, view in enumerate(cameras):
            part = old[old.camera == index]
            points = clearly_hidden(stage, view, index, target)
            distance, near = cKDTree(part.query[:, 1:].numpy()).query(points)
            hidden = part[torch.from_numpy(near[distance < 1.0])]
            behind += len(hidden)
            noticed += int(((hidden.hidden > 0) | (hidden.ends != TrackEnd.ALIVE)).sum())
        certain = old[(old.hidden == 0) & old.alive]
        at = (certain.query[:, 1:] - 0.5).long()
        which = TARGETS.index(target)
        truth_at = torch.stack(
            [dense[cameras[c].name].positions[which, y, x] for c, (x, y) in zip(certain.camera.tolist(), at.tolist(), strict=True)]
        )
        assert (certain.positions - truth_at).norm(dim=-1).max() < 0.02
        assert len(certain) > 0.75 * len(start)
    assert behind >= 30
    assert noticed >= 0.9 * behind
