"""A selection carried through time: a ball whose Gaussians make way for others, in front of a wall."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_scene import BALL, CENTER, FRAMES, IN_THE_BALL, RADIUS, STEP, WALL, scene_frames

from trackersplat.document.carrying import CarrySettings, _unsettled, carried
from trackersplat.document.selection import NOTHING, Selection, rows_of
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.lineage import INDEX_BITS

ROWS = np.flatnonzero(IN_THE_BALL)
BIRTH, NEW, SEEN = 2, ROWS[::3], np.flatnonzero(~IN_THE_BALL)[:30]  # in frame 2, these rows of the ball and of the wall hold others
EVERY = tuple(range(FRAMES))


def moments() -> list[tuple[np.ndarray, Gaussians]]:
    """Ids and Gaussians: ball and wall go on as they are, but for the rows that hold others from frame 2 on."""
    random = torch.Generator().manual_seed(3)
    first, found = scene_frames()[0], []
    on_ball = torch.nn.functional.normalize(torch.randn(len(NEW), 3, generator=random), dim=1)
    on_wall = torch.rand(len(SEEN), 3, generator=random) * torch.tensor([3.0, 2.2, 0.05]) + torch.tensor([-1.5, -1.1, 1.2])
    for frame in EVERY:
        means, ids = first.means.clone(), np.arange(BALL + WALL, dtype=np.int64)
        if frame >= BIRTH:
            means[NEW], means[SEEN] = RADIUS * on_ball + torch.tensor(CENTER), on_wall
            ids[np.concatenate((NEW, SEEN))] += BIRTH << INDEX_BITS
        means[torch.from_numpy(IN_THE_BALL)] += frame * torch.tensor(STEP)
        found.append((ids, Gaussians(means, first.quats, first.log_scales, first.opacity_logits, first.sh)))
    return found


@pytest.mark.parametrize("frame", [0, 1, BIRTH, FRAMES - 1])
def test_gaussians_born_in_the_place_of_selected_ones_are_found_forwards_and_backwards_and_nothing_else(frame: int) -> None:
    scene = moments()
    selected = Selection.of(scene[frame][0][ROWS])
    found = carried(selected, frame, EVERY, scene.__getitem__, CarrySettings())
    ball = Selection.of(np.concatenate((ROWS, NEW + (BIRTH << INDEX_BITS))))
    assert found == ball
    assert len(found) - len(selected) == len(NEW)


@pytest.mark.parametrize("frame", [0, FRAMES - 1])
def test_without_common_ids_the_object_is_found_by_position_colour_and_its_shift(frame: int) -> None:
    scene = [(ids % (1 << INDEX_BITS) + (each << INDEX_BITS), gaussians) for each, (ids, gaussians) in enumerate(moments())]
    found = carried(Selection.of(scene[frame][0][ROWS]), frame, EVERY, scene.__getitem__, CarrySettings())
    assert found == Selection.of(np.concatenate([ids[ROWS] for ids, _ in scene]))


def test_where_no_gaussian_is_born_the_selection_stays_as_it_is() -> None:
    scene = moments()[:BIRTH]
    selected = Selection.of(np.arange(0, BALL + WALL, 3))
    assert carried(selected, 0, (0, 1), scene.__getitem__, CarrySettings()) == selected


def test_of_nothing_and_of_one_frame_there_is_nothing_to_carry() -> None:
    scene = moments()
    assert carried(NOTHING, 1, EVERY, scene.__getitem__, CarrySettings()) == NOTHING
    assert carried(Selection.of([3]), 0, (0,), scene.__getitem__, CarrySettings()) == Selection.of([3])


def test_what_is_too_faint_to_be_judged_in_the_frame_of_the_selection_is_judged_when_it_is_seen() -> None:
    scene = moments()
    ids, gaussians = scene[0]
    logits = gaussians.opacity_logits.clone()
    logits[ROWS[1]] = -4.0
    scene[0] = (ids, Gaussians(gaussians.means, gaussians.quats, gaussians.log_scales, logits, gaussians.sh))
    selected = Selection.of(np.delete(ROWS, 1))
    assert int(ROWS[1]) in carried(selected, 0, EVERY, scene.__getitem__, CarrySettings()).ids


@pytest.mark.parametrize(("colour", "shift"), [(0.6, 0.0), (0.0, 0.3)])
def test_newborns_among_two_objects_in_one_place_belong_to_that_of_their_colour_or_motion(colour: float, shift: float) -> None:
    random = np.random.default_rng(5)
    count, born = 160, np.arange(24)
    ours = np.arange(count) % 2 == 0
    places = random.uniform(0, 1, (2, count, 3))  # those of before and of after the birth
    scene = []
    for frame in EVERY:
        ids, means = np.arange(count, dtype=np.int64), places[0].copy()
        if frame >= BIRTH:
            means[born] = places[1][born]
            ids[born] += BIRTH << INDEX_BITS
        means += np.where(ours, frame * shift, 0.0)[:, None] * np.array([0.0, 1.0, 0.0])
        sh = np.where(ours, colour, 0.0)[:, None, None] * np.ones((1, 1, 3)) / SH_C0
        quats, log_scales, logits = torch.eye(4)[:1].repeat(count, 1), torch.full((count, 3), -3.0), torch.full((count,), 3.0)
        scene.append((ids, Gaussians(torch.from_numpy(means).float(), quats, log_scales, logits, torch.from_numpy(sh).float())))
    found = carried(Selection.of(np.flatnonzero(ours)), 0, EVERY, scene.__getitem__, CarrySettings())
    last = scene[-1][0]
    assert np.flatnonzero(found.mask(last) & (last >= count)).tolist() == born[ours[born]].tolist()


@pytest.mark.parametrize("frame", [0, BIRTH, FRAMES - 1])
def test_who_has_none_of_the_other_side_beside_it_need_not_be_asked(frame: int) -> None:
    scene = moments()
    selected = Selection.of(scene[frame][0][ROWS[: len(ROWS) // 2]])
    everyone = carried(selected, frame, EVERY, scene.__getitem__, CarrySettings(beside=np.inf))
    assert len(everyone) > len(selected)
    assert carried(selected, frame, EVERY, scene.__getitem__, CarrySettings()) == everyone


def test_newborns_and_those_beside_another_value_are_unsettled() -> None:
    places = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [9, 0, 0], [20, 0, 0]])
    said, sure = np.array([1.0, 1, 0, 0, 0, 0]), np.array([True, True, True, True, True, False])
    assert _unsettled(places, said, sure, CarrySettings(beside=1.5)).tolist() == [False, True, True, False, False, True]
    said[0] = 0.5
    assert _unsettled(places, said, sure, CarrySettings(beside=1.5)).tolist() == [True, True, True, False, False, True]


@pytest.mark.parametrize(("ids", "others"), [([5, 1, 9, 3], [5, 3, 9]), ([7, 8], []), ([], [7]), ([4], [1, 2, 4]), ([1, 2, 3], [1, 2, 3])])
def test_rows_of_ids_are_found_wherever_they_are(ids: list[int], others: list[int]) -> None:
    expected = [others.index(each) if each in others else -1 for each in ids]
    assert rows_of(np.array(ids, np.int64), np.array(others, np.int64)).tolist() == expected
