"""Which Gaussians get a trail, and what the trails are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from waiting import wait_for

from viewer.scene.trails import Paths, Trails, choose, segments
from viewer.state import State, Store


def test_only_visible_gaussians_that_move_get_a_trail() -> None:
    means = np.zeros((3, 4, 3))
    means[2, :, 0] = (0.0, 1.0, 0.001, 1.0)
    opacity = np.array([1.0, 0.9, 1.0, 0.1])
    assert choose(means, opacity, extent=1.0).tolist() == [1]


def test_one_that_returns_to_its_start_moved_all_the_same() -> None:
    means = np.zeros((3, 2, 3))
    means[1, 1, 2] = 1.0
    assert choose(means, np.ones(2), extent=1.0).tolist() == [1]


def test_one_that_comes_later_moves_from_where_it_first_was() -> None:
    means = np.zeros((3, 3, 3))
    means[:, 0] = (5.0, 0.0, 0.0)
    means[0, :2] = np.nan
    means[1:, 1, 0] = (7.0, 8.0)
    means[:2, 2] = np.nan
    assert choose(means, np.ones(3), extent=1.0).tolist() == [1]


def test_too_many_are_thinned_evenly_in_space_and_the_fastest_of_a_place_stays() -> None:
    means = np.zeros((2, 1000, 3))
    means[0, 900:, 1] = 10.0  # a small group far from the large one
    means[1] = means[0]
    means[1, :, 0] = np.linspace(0.5, 1.5, 1000)
    chosen = choose(means, np.ones(1000), 1.0, most=50)
    assert chosen.tolist() == [*range(875, 900), *range(975, 1000)]


def paths() -> Paths:
    positions = np.zeros((6, 2, 3), np.float32)
    positions[:, 0, 0] = np.arange(6)
    positions[:, 1, 1] = 2 * np.arange(6)
    return Paths(np.array([7, 9]), positions, fastest=2.0)


def drawn(points: np.ndarray) -> list[list[list[float]]]:
    """The segments with a length, oldest last."""
    return [s.tolist() for s in points if not np.array_equal(s[0], s[1])]


def test_a_trail_leads_back_through_the_last_frames() -> None:
    points, colours = segments(paths(), frame=4, length=2, colour="speed")
    assert points.shape == colours.shape == (2 * 2, 2, 3)
    assert drawn(points) == [[[4, 0, 0], [3, 0, 0]], [[0, 8, 0], [0, 6, 0]], [[3, 0, 0], [2, 0, 0]], [[0, 6, 0], [0, 4, 0]]]


def test_a_trail_never_leaves_the_clip_or_crosses_a_gap() -> None:
    assert drawn(segments(paths(), 0, 5, "speed")[0]) == []
    assert len(drawn(segments(paths(), 1, 5, "speed")[0])) == 2
    gap = paths()
    gap.positions[2] = np.nan
    assert drawn(segments(gap, 5, 5, "speed")[0]) == [
        [[5, 0, 0], [4, 0, 0]],
        [[0, 10, 0], [0, 8, 0]],
        [[4, 0, 0], [3, 0, 0]],
        [[0, 8, 0], [0, 6, 0]],
    ]
    assert drawn(segments(gap, 2, 5, "speed")[0]) == []


def test_a_trail_fades_and_its_colour_by_track_does_not_depend_on_the_frame() -> None:
    first = segments(paths(), 5, 3, "track")[1].reshape(3, 2, 2, 3).astype(int)
    second = segments(paths(), 4, 3, "track")[1].reshape(3, 2, 2, 3).astype(int)
    assert np.array_equal(first, second)
    assert (first[0, :, 0].sum(axis=1) > first[0, :, 1].sum(axis=1)).all()
    assert np.array_equal(first[0, :, 1], first[1, :, 0])  # no jump between segments
    assert not np.array_equal(first[0, 0], first[0, 1])


def test_speed_colours_the_faster_one_hotter() -> None:
    colours = segments(replace(paths(), fastest=4.0), 5, 5, "speed")[1].reshape(5, 2, 2, 3).astype(int)
    assert colours[0, 1, 0, 0] > colours[0, 0, 0, 0]  # more red
    assert colours[0, 1, 0, 2] < colours[0, 0, 0, 2]  # less blue


RUN = Path("run")


class OneRun:
    """Frames 0 to 3; in frame f, Gaussian i is at x = f (i + 1). Frame 2 is of another origin; index 1 is replaced in frame 1."""

    def __init__(self) -> None:
        self.has_records = True

    def lineage(self, path: Path) -> SimpleNamespace:
        assert path == RUN
        return SimpleNamespace(frames_of_one_origin=lambda: (0, 1, 3), since=self.since)

    def since(self, frame: int) -> np.ndarray | None:
        return np.array([-1, -1 if frame == 0 else 1]) if self.has_records else None

    def frame(self, path: Path, frame: int) -> Frame:
        means = torch.zeros(2, 3)
        means[:, 0] = frame * torch.tensor([1.0, 2.0])
        return Frame(means=means, opacities=torch.ones(2))


class Frame(SimpleNamespace):
    """The parts of Gaussians that trails need."""

    def __len__(self) -> int:
        return len(self.means)


@pytest.fixture
def trails() -> Iterator[SimpleNamespace]:
    run = OneRun()
    store = Store(State(frame_count=4))
    trails = Trails(store, run, run, 1.0)  # type: ignore[arg-type]
    yield SimpleNamespace(trails=trails, store=store, run=run)
    trails.close()


def test_trails_join_the_frames_of_one_origin_and_begin_where_a_gaussian_took_its_index(trails: SimpleNamespace) -> None:
    trails.store.set(run=RUN, reconstructed=(0, 1, 2, 3), ready=True, frame=1)
    wait_for(lambda: trails.store.state.trails == 1)
    found = trails.trails.at(trails.store.state)
    assert found is not None
    assert drawn(found[0]) == [[[1, 0, 0], [0, 0, 0]]]
    trails.store.set(frame=3)
    found = trails.trails.at(trails.store.state)
    assert found is not None
    assert drawn(found[0]) == []  # frame 2 is none of theirs
    trails.store.set(camera=0)
    assert trails.trails.at(trails.store.state) is None


def test_without_records_all_gaussians_have_trails_through_all_frames(trails: SimpleNamespace) -> None:
    trails.run.has_records = False
    trails.store.set(run=RUN, reconstructed=(0, 1, 3), ready=True, frame=1)
    wait_for(lambda: trails.store.state.trails == 1)
    found = trails.trails.at(trails.store.state)
    assert found is not None
    assert drawn(found[0]) == [[[1, 0, 0], [0, 0, 0]], [[2, 0, 0], [0, 0, 0]]]
