"""The pictures of the page, with a rasteriser that paints known values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks
from trackersplat.training.photometric import ColourAffines
from viewer.scene.compare import BACKDROP
from viewer.scene.painter import DIM, Painter, page_camera, smaller
from viewer.state import State

WIDTH, HEIGHT = 64, 48


class Ramp:
    """Renders red = x, green = y, blue = the first Gaussian's x; depth 2 on the left half, nothing on the right."""

    name = "ramp"
    device = torch.device("cpu")

    def render(
        self,
        gaussians: Gaussians,
        cameras: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        w, h = cameras[0].width, cameras[0].height
        x = ((torch.arange(w) + 0.5) / w).expand(h, w)
        y = ((torch.arange(h) + 0.5) / h)[:, None].expand(h, w)
        alpha = (x < 0.5).float()
        return Rendering(torch.stack((x, y, gaussians.means[0, 0].expand(h, w)), dim=-1)[None], alpha[None], (2 * alpha)[None])


class Noise:
    """A capture's images: fixed noise per camera and frame."""

    def read(self, camera: int, frame: int) -> np.ndarray:
        return np.random.default_rng(100 * camera + frame).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def prefetch(self, wanted: Iterable[tuple[int, int]]) -> None:
        self.asked = list(wanted)

    def close(self) -> None: ...


class Shelf:
    """Every frame holds one Gaussian whose x is frame / 10."""

    def shown(self, state: State) -> Gaussians | None:
        source = state.source_frame()
        if source is None:
            return None
        return Gaussians(torch.full((1, 3), source / 10), torch.ones(1, 4), torch.zeros(1, 3), torch.zeros(1), torch.zeros(1, 1, 3))

    def colours(self, run: Path, frame: int) -> ColourAffines | None:
        return None

    def tracks(self, run: Path, frame: int) -> dict[str, Tracks]:
        return {"b": tracks_at(frame, [(10.5 + 5 * frame, 15.5)])}


def tracks_at(frame: int, positions: list[tuple[float, float]]) -> Tracks:
    """One track per position."""
    count = len(positions)
    return Tracks(
        "b", torch.arange(count), torch.zeros(count, 3), (frame,), torch.tensor([positions]),
        torch.ones(1, count), torch.ones(1, count), torch.full((1, count), TrackEnd.ALIVE, dtype=torch.uint8), Provenance("test"),
    )  # fmt: skip


@pytest.fixture
def capture() -> Capture:
    K = np.array([[50.0, 0, 20], [0, 50.0, 15], [0, 0, 1]])
    cameras = tuple(Camera(name, WIDTH, HEIGHT, K, np.eye(4)) for name in "ab")
    return Capture("noise", Path("nowhere"), "test", cameras, 10, 30.0, Noise(), held_out=("b",))


@pytest.fixture
def painter(capture: Capture) -> Painter:
    painter = Painter(capture, Shelf())  # type: ignore[arg-type]
    painter.use(Ramp())
    return painter


STATE = State(frame_count=10, frame=4, reconstructed=(0, 4), run=Path("run"), ready=True, camera=1)
CANVAS = (WIDTH, HEIGHT)


def ramp(blue: float) -> np.ndarray:
    x, y = (np.arange(WIDTH) + 0.5) / WIDTH, (np.arange(HEIGHT) + 0.5) / HEIGHT
    colours = np.stack(np.broadcast_arrays(x[None, :], y[:, None], np.array(blue)), axis=-1)
    return (colours * 255 + 0.5).astype(np.uint8)


def test_through_a_camera_the_render_is_shown_pixel_for_pixel_with_its_score(painter: Painter, capture: Capture) -> None:
    picture = painter.through(STATE, CANVAS)
    assert np.array_equal(picture.image, ramp(0.4))
    score = picture.comparison
    assert score is not None
    assert (score.camera, score.held_out, score.frame, score.width, score.height) == ("b", True, 4, WIDTH, HEIGHT)
    assert score.psnr == psnr(ramp(0.4), capture.image(1, 4))


def test_the_wipe_scores_only_the_part_of_the_render_that_is_shown(painter: Painter, capture: Capture) -> None:
    picture = painter.through(replace(STATE, compare="wipe", wipe=0.25), CANVAS)
    score = picture.comparison
    assert score is not None
    assert (score.width, score.height) == (48, HEIGHT)
    assert score.psnr == psnr(ramp(0.4)[:, 16:], capture.image(1, 4)[:, 16:])
    assert np.array_equal(picture.image[:, :16], capture.image(1, 4)[:, :16])
    assert np.array_equal(picture.image[:, 17:], ramp(0.4)[:, 17:])  # column 16 is the seam


def test_a_training_camera_is_shown_and_scored_in_its_own_colours_and_a_held_out_one_as_rendered(
    painter: Painter, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Camera a shows blue twice as bright and a tenth more red; b, held out, must not profit though the file names it."""
    matrix = torch.tensor([[1.0, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 2, 0]])
    monkeypatch.setattr(Shelf, "colours", lambda *_: ColourAffines(("a", "b"), matrix.expand(2, 3, 4)))
    expected = ramp(0.8)
    expected[..., 0] = (np.clip((np.arange(WIDTH) + 0.5) / WIDTH + 0.1, 0, 1) * 255 + 0.5).astype(np.uint8)
    for scale in (1.0, 0.999):
        picture = painter.through(replace(STATE, camera=0), CANVAS, scale)
        assert np.abs(picture.image.astype(int) - expected).max() <= 1
    score = painter.through(replace(STATE, camera=0), CANVAS).comparison
    assert score is not None
    assert score.psnr == pytest.approx(psnr(expected, capture.image(0, 4)), abs=0.01)
    assert np.array_equal(painter.through(STATE, CANVAS).image, ramp(0.4))
    assert np.array_equal(painter.free(STATE, page_camera(np.zeros(3), np.eye(3), 1.0, WIDTH, HEIGHT)).image, ramp(0.4))


def test_the_photo_needs_no_render(capture: Capture) -> None:
    painter = Painter(capture, Shelf())  # type: ignore[arg-type]
    for state in (replace(STATE, compare="photo"), STATE, replace(STATE, reconstructed=())):
        picture = painter.through(state, CANVAS)
        assert np.array_equal(picture.image, capture.image(1, 4))
        assert picture.comparison is None


def test_while_things_move_fewer_pixels_are_rendered_and_none_are_scored(painter: Painter) -> None:
    picture = painter.through(STATE, (2 * WIDTH, 2 * HEIGHT), scale=0.5)
    assert picture.image.shape == (2 * HEIGHT, 2 * WIDTH, 3)
    assert picture.comparison is None
    assert painter.through(replace(STATE, compare="error"), CANVAS, scale=0.5).comparison is None


def test_a_frame_that_stands_in_is_dimmed_and_not_scored(painter: Painter) -> None:
    for compare in ("render", "wipe"):
        picture = painter.through(replace(STATE, frame=6, compare=compare, wipe=0.0), CANVAS)
        assert np.array_equal(picture.image[:, 1:], (ramp(0.4) * DIM).astype(np.uint8)[:, 1:])
        assert picture.comparison is None


def test_the_free_view_is_rendered_at_the_size_asked_for(painter: Painter) -> None:
    view = page_camera(np.zeros(3), np.eye(3), 1.0, WIDTH, HEIGHT)
    assert np.array_equal(painter.free(STATE, view).image, ramp(0.4))
    assert painter.free(STATE, smaller(view, 0.5)).image.shape == (HEIGHT // 2, WIDTH // 2, 3)
    assert (painter.free(replace(STATE, reconstructed=()), view).image == BACKDROP).all()


def test_depth_and_opacity_show_what_is_there(painter: Painter) -> None:
    view = page_camera(np.zeros(3), np.eye(3), 1.0, WIDTH, HEIGHT)
    opacity = painter.free(replace(STATE, mode="opacity"), view).image
    assert (opacity[:, : WIDTH // 2] == 255).all()
    assert (opacity[:, WIDTH // 2 :] == 0).all()
    depth = painter.free(replace(STATE, mode="depth"), view).image
    assert (depth[:, : WIDTH // 2].max(axis=2) > 0).all()
    assert (depth[:, WIDTH // 2 :] == 0).all()


def test_tracks_are_drawn_from_the_frame_before_in_their_camera_only(painter: Painter) -> None:
    state = replace(STATE, show_tracks=True)
    plain, drawn = painter.through(STATE, CANVAS).image, painter.through(state, CANVAS).image
    changed = np.argwhere((plain != drawn).any(axis=2))
    assert changed[:, 0].min() >= 12
    assert changed[:, 0].max() <= 18
    assert changed[:, 1].min() >= 9
    assert changed[:, 1].max() <= 33
    assert {(15, 10), (15, 20), (15, 30)} <= {tuple(p) for p in changed.tolist()}
    other = replace(STATE, camera=0)
    assert np.array_equal(painter.through(other, CANVAS).image, painter.through(replace(other, show_tracks=True), CANVAS).image)


def test_tracks_that_leave_the_image_end_at_its_border(painter: Painter, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {0: [(60.5, 20.5), (20.5, 44.5)], 4: [(90.5, 20.5), (20.5, 74.5)]}
    monkeypatch.setattr(Shelf, "tracks", lambda _, run, frame: {"b": tracks_at(frame, ways[frame])})
    canvas = (WIDTH + 40, HEIGHT)
    plain = painter.through(STATE, canvas).image
    changed = (painter.through(replace(STATE, show_tracks=True), canvas).image != plain).any(axis=2)
    assert changed[:, 20 + WIDTH - 1].any()
    assert not changed[:, 20 + WIDTH :].any()
    assert not changed[:, :20].any()
    tall = painter.through(replace(STATE, show_tracks=True), (WIDTH, HEIGHT + 40)).image
    assert (tall[20 + HEIGHT :] == BACKDROP).all()


def test_tracks_go_back_as_far_as_the_run_and_the_trail_length_let_them(
    painter: Painter, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def tracks(_: Shelf, run: Path, frame: int) -> dict[str, Tracks]:
        asked.append(frame)
        return {} if frame == 1 else {"b": tracks_at(frame, [(10.5, 15.5)])}

    monkeypatch.setattr(Shelf, "tracks", tracks)
    state = replace(STATE, show_tracks=True, reconstructed=(0, 1, 2, 3, 4, 5))
    for length, frames in ((2, [4, 3, 2]), (9, [4, 3, 2, 1])):
        asked.clear()
        painter.through(replace(state, trail_length=length), CANVAS)
        assert asked == frames
    asked.clear()
    painter.through(replace(state, frame=7), CANVAS)
    assert asked == []


def test_a_page_camera_projects_like_the_page() -> None:
    # The page looks along +x from (1, 2, 3), z up: a point ahead, a bit to the left (+y) and up, lands left of and above the middle.
    rotation = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    view = page_camera(np.array([1.0, 2, 3]), rotation, np.pi / 2, 200, 100)
    uv, depth = view.project(np.array([[11.0, 2, 3], [11.0, 7, 3], [11.0, 2, 13]]))
    assert np.allclose(depth, 10)
    assert np.allclose(uv, [[100, 50], [75, 50], [100, 0]])


def test_photographs_are_asked_for_in_the_order_in_which_playing_reaches_them(painter: Painter, capture: Capture):
    playing = replace(STATE, playing=True, compare="photo", reconstructed=())
    painter.through(playing, (WIDTH, HEIGHT))
    assert capture.source.asked == [(1, 5), (1, 6), (1, 7), (1, 8)]
    painter.through(replace(playing, frame=8), (WIDTH, HEIGHT))
    assert capture.source.asked == [(1, 9), (1, 0), (1, 1), (1, 2)], "it plays in a loop"
    painter.through(replace(playing, frame=8, loop=False), (WIDTH, HEIGHT))
    assert capture.source.asked == [(1, 9)]
