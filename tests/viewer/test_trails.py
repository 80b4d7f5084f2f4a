"""Which Gaussians get a trail, and what the trails of tracks and Gaussians are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from waiting import wait_for

from trackersplat.diagnosis.diagnosis import Diagnosis
from viewer import theme
from viewer.stage.gaussian_paths import GaussianPaths, Paths, choose
from viewer.stage.strokes import Dots, Polylines
from viewer.stage.trails import HIDDEN_SHARE, SELECTED, UNKNOWN, Trails, gaussian_trails, track_scale, track_trails
from viewer.state import COLOURS_BY, Shared, Store, View


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


def diagnosis(frames: tuple[int, ...] = (0, 1, 2, 3, 4)) -> Diagnosis:
    """Three tracks; track i is at x = frame, y = i. The second has no place in frame 2, the third says that it is hidden from 3 on."""
    count, points = len(frames), 3
    world = np.zeros((count, points, 3), np.float32)
    world[..., 0] = np.array(frames)[:, None]
    world[..., 1] = np.arange(points)
    if 2 in frames:
        world[frames.index(2), 1] = np.nan
    nan = np.full((count, points, 2), np.nan, np.float32)
    state = np.ones((count, points), np.uint8)
    state[np.array(frames) >= 3, 2] = 2
    score = np.tile(np.array([0.0, 0.5, 1.0], np.float32), (count, 1))
    evidence = {"reprojection": np.tile(np.array([0.0, 2.0, np.nan], np.float32), (count, 1)), "world_speed": np.ones_like(score)}
    query = np.zeros((points, 3), np.float32)
    return Diagnosis(
        ("cam0", "cam1"), frames, np.array([10, 11, 12]), np.zeros(points, np.int16), query, np.full(points, -1), nan, nan, nan, world,
        state, evidence, score, np.tile(np.array([0, 3, 8], np.uint8), (count, 1)),
    )  # fmt: skip


def segments(trails: Trails, *, on_top: bool = False) -> list[tuple[float, float, float]]:
    """x of the newer end, x of the older end, and y of each segment that is drawn; the newest first."""
    found = []
    for stroke in trails.strokes:
        if isinstance(stroke, Polylines) and stroke.on_top == on_top:
            for new, old, joined in zip(stroke.points[:-1], stroke.points[1:], stroke.joined, strict=True):
                known = np.isfinite(new).all(axis=1) & np.isfinite(old).all(axis=1) & joined
                found += [(float(a[0]), float(b[0]), float(a[1])) for a, b in zip(new[known], old[known], strict=True)]
    return found


def test_a_trail_leads_back_through_the_last_frames() -> None:
    found = segments(track_trails(diagnosis(), 4, 2, "id"))
    assert sorted(found) == [(3, 2, 0), (3, 2, 2), (4, 3, 0), (4, 3, 1), (4, 3, 2)]  # the second track has no place in frame 2


def test_nothing_is_drawn_through_a_frame_without_a_position_but_what_was_before_it_is() -> None:
    found = segments(track_trails(diagnosis(), 4, 4, "id"))
    assert [(a, b) for a, b, y in found if y == 1] == [(4, 3), (1, 0)]


def test_nothing_is_drawn_through_a_frame_that_the_run_does_not_have() -> None:
    found = segments(track_trails(diagnosis((0, 1, 3, 4)), 4, 4, "id"))
    assert [(a, b) for a, b, y in found if y == 0] == [(4, 3), (1, 0)]


def test_a_trail_never_leaves_the_clip_and_a_frame_without_diagnosis_has_none() -> None:
    assert segments(track_trails(diagnosis(), 0, 8, "id")) == []
    assert len(track_trails(diagnosis(), 0, 8, "id").strokes) == 1  # the heads
    assert track_trails(diagnosis(), 5, 8, "id").strokes == ()
    assert segments(track_trails(diagnosis(), 4, 0, "id")) == []


def test_what_says_that_it_is_hidden_is_fainter_and_its_head_is_hollow() -> None:
    trails = track_trails(diagnosis(), 4, 1, "id", fade=False)
    line, heads = trails.strokes
    assert isinstance(line, Polylines)
    assert isinstance(heads, Dots)
    assert line.opacity.tolist() == [1, 1]
    assert line.faint.tolist() == [[False, False, True], [False, False, True]]
    assert line.share == HIDDEN_SHARE
    assert heads.hollow.tolist() == [False, False, True]


def test_a_trail_fades_without_a_jump_and_can_be_told_not_to() -> None:
    (line, _) = track_trails(diagnosis(), 2, 2, "id").strokes
    assert isinstance(line, Polylines)
    new, middle, old = line.opacity
    assert new == 1.0 > middle > old > 0
    (line, _) = track_trails(diagnosis(), 2, 2, "id", fade=False).strokes
    assert isinstance(line, Polylines)
    assert (line.opacity == 1).all()


def test_the_selected_track_is_thick_and_on_top_and_alone_where_trails_are_off() -> None:
    trails = track_trails(diagnosis(), 4, 2, "id", selected=(11, 99))
    assert segments(trails, on_top=True)
    assert {y for _, _, y in segments(trails)} == {0, 2}
    widths = [stroke.width for stroke in trails.strokes if isinstance(stroke, Polylines)]
    assert widths[-1] > 2 * widths[0]
    alone = track_trails(diagnosis(), 4, 2, "id", selected=(11,), all_tracks=False)
    assert all(stroke.on_top for stroke in alone.strokes)
    assert np.isfinite(alone.heads).all(axis=1).tolist() == [False, True, False]
    assert any(isinstance(stroke, Dots) and (stroke.colours == SELECTED).all() for stroke in alone.strokes)


def test_heads_and_ids_belong_together() -> None:
    trails = track_trails(diagnosis(), 2, 2, "id")
    assert trails.ids.tolist() == [10, 11, 12]
    assert trails.heads[0].tolist() == [2, 0, 0]
    assert np.isnan(trails.heads[1]).all()


@pytest.mark.parametrize("by", COLOURS_BY)
def test_every_way_to_colour_has_a_colour_for_every_track_and_a_legend(by: str) -> None:
    heads = track_trails(diagnosis(), 3, 2, by).strokes[-1]  # type: ignore[arg-type]
    assert heads.colours.shape == (3, 3)
    scale = track_scale(by, diagnosis())  # type: ignore[arg-type]
    assert scale.title
    assert scale.high > scale.low


def test_colours_say_what_the_legend_says() -> None:
    category = track_trails(diagnosis(), 3, 2, "category").strokes[-1].colours
    expected = [theme.CATEGORY_COLOURS[number] for number in (0, 3, 8)]
    assert ["#" + "".join(f"{value:02x}" for value in colour) for colour in category.tolist()] == expected
    error = track_trails(diagnosis(), 3, 2, "error").strokes[-1].colours
    assert error[2].tolist() == list(UNKNOWN)  # its residual is not known
    score = track_trails(diagnosis(), 3, 2, "score").strokes[-1].colours.astype(int)
    assert score[0, 2] > score[0, 0]  # good is blue
    assert score[2, 0] > score[2, 2]  # bad is red


def test_the_colour_of_a_track_does_not_depend_on_the_frame() -> None:
    first, second = (track_trails(diagnosis(), frame, 3, "id").strokes[-1].colours for frame in (3, 4))
    assert np.array_equal(first, second)


def test_the_faster_gaussian_is_coloured_as_the_scale_says() -> None:
    heads = gaussian_trails(replace(paths(), fastest=2.0), 5, 5, "speed").strokes[-1].colours.astype(int)
    assert heads[1].sum() > heads[0].sum()  # the map gets steadily lighter
    trails = gaussian_trails(paths(), 5, 2, "id")
    assert trails.ids.tolist() == [7, 9]
    assert sorted({y for _, _, y in segments(trails)}) == [0, 8, 10]


def test_the_trail_of_a_gaussian_has_gaps_where_another_one_had_its_index() -> None:
    gap = paths()
    gap.positions[3, 0] = np.nan
    found = segments(gaussian_trails(gap, 5, 5, "id"))
    assert [(a, b) for a, b, y in found if y == 0 and a != b] == [(5, 4), (2, 1), (1, 0)]


RUN = Path("run")


class OneRun:
    """Frames 0 to 3; in frame f, Gaussian i is at x = f (i + 1). Frame 2 is of another origin; index 1 is replaced in frame 1."""

    def __init__(self) -> None:
        self.has_records = True
        self.reads = 0

    def lineage(self, path: Path) -> SimpleNamespace:
        return SimpleNamespace(frames_of_one_origin=lambda: (0, 1, 3), since=self.since)

    def since(self, frame: int) -> np.ndarray | None:
        return np.array([-1, -1 if frame == 0 else 1]) if self.has_records else None

    def frame(self, path: Path, frame: int) -> Frame:
        self.reads += 1
        means = torch.zeros(2, 3)
        means[:, 0] = frame * torch.tensor([1.0, 2.0])
        return Frame(means=means, opacities=torch.ones(2))


class Frame(SimpleNamespace):
    """The parts of Gaussians that paths need."""

    def __len__(self) -> int:
        return len(self.means)


@pytest.fixture
def reader() -> Iterator[SimpleNamespace]:
    run = OneRun()
    store = Store(Shared(frame_count=4))
    store.open_tab("a", View())
    found = GaussianPaths(store, run, run, 1.0)  # type: ignore[arg-type]
    yield SimpleNamespace(paths=found, store=store, run=run)
    found.close()


def show(reader: SimpleNamespace, frames: tuple[int, ...]) -> Paths:
    reader.store.set(run=RUN, reconstructed=frames, ready=True)
    reader.store.set_view("a", show_trails=True, trails_of="gaussians")
    wait_for(lambda: reader.store.shared.paths == 1)
    found = reader.paths.get()
    assert isinstance(found, Paths)
    return found


def test_paths_join_the_frames_of_one_origin_and_begin_where_a_gaussian_took_its_index(reader: SimpleNamespace) -> None:
    x = show(reader, (0, 1, 2, 3)).positions[..., 0]
    assert np.array_equal(x, [[0, np.nan], [1, 2], [np.nan, np.nan], [3, 6]], equal_nan=True)


def test_without_records_all_gaussians_have_paths_through_all_frames(reader: SimpleNamespace) -> None:
    reader.run.has_records = False
    x = show(reader, (0, 1, 3)).positions[..., 0]
    assert np.array_equal(x, [[0, 0], [1, 2], [np.nan, np.nan], [3, 6]], equal_nan=True)


def test_paths_are_read_only_for_a_tab_that_shows_them_and_those_of_a_run_before_are_not_shown(reader: SimpleNamespace) -> None:
    reader.store.set(run=RUN, reconstructed=(0, 1, 3), ready=True)
    reader.store.set_view("a", show_trails=True)  # of tracks
    show(reader, (0, 1, 3))
    assert reader.store.shared.paths == 1
    reader.store.set(run=Path("other"))
    assert reader.paths.get() is None
