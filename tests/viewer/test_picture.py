"""The picture of a camera pane, with a rasteriser that paints known values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_capture import cameras, render
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.metrics.image import psnr, ssim
from trackersplat.rendering.rasterizer import Rendering
from trackersplat.training.photometric import ColourAffines
from viewer.views.colours import map_colours
from viewer.views.compare import ERROR_SCALE, why_impossible
from viewer.views.painting import Renderings, cropped
from viewer.views.picture import DIM, pane_picture
from viewer.views.request import PaneRequest, Sources, Unavailable

CAMERA = cameras()[1]  # 64x48
WHOLE = (CAMERA.width, CAMERA.height)


class Rays:
    """Red and green are the slopes of each pixel's ray, blue the first Gaussian's x; depth 2 where x > 0, nothing elsewhere."""

    name = "rays"
    device = torch.device("cpu")

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def render(
        self,
        gaussians: Gaussians,
        views: Sequence[Camera],
        *,
        channels: Tensor | None = None,
        sh_degree: int | None = None,
        background: Tensor | None = None,
    ) -> Rendering:
        (camera,) = views
        self.sizes.append((camera.width, camera.height))
        x = ((torch.arange(camera.width) + 0.5 - camera.cx) / camera.fx).expand(camera.height, -1)
        y = ((torch.arange(camera.height) + 0.5 - camera.cy) / camera.fy)[:, None].expand(-1, camera.width)
        alpha = (x > 0).float()
        color = torch.stack((0.5 + 0.8 * x, 0.5 + 0.8 * y, gaussians.means[0, 0].expand_as(x)), dim=-1).float()
        blended = None if channels is None else channels[0].float() * alpha[..., None]
        return Rendering(color[None], alpha[None], (2 * alpha)[None], None if blended is None else blended[None])


def one(blue: float = 0.25) -> Gaussians:
    return Gaussians(torch.tensor([[blue, 0, 0]]), torch.tensor([[1.0, 0, 0, 0]]), torch.zeros(1, 3), torch.zeros(1), torch.zeros(1, 1, 3))


def photo() -> np.ndarray:
    return render(CAMERA, 4)


def painted(camera: Camera = CAMERA, blue: float = 0.25) -> np.ndarray:
    """What `Rays` paints, as bytes."""
    color = Rays().render(one(blue), [camera]).color[0].numpy()
    return (np.clip(color, 0, 1) * 255 + 0.5).astype(np.uint8)


REQUEST = PaneRequest(1, 4, size=WHOLE)


def sources(**changes: object) -> Sources:
    there = Sources(CAMERA, False, photo, Rays(), gaussians=one(), source_frame=4, other=one(0.75), other_name="old run")  # type: ignore[arg-type]
    return replace(there, **changes)  # type: ignore[arg-type]


def test_at_rest_every_pixel_of_the_camera_is_there_and_scored() -> None:
    picture = pane_picture(REQUEST, sources())
    assert np.array_equal(picture.image, painted())
    assert picture.rect == (0, 0, 64, 48)
    assert picture.exact
    assert picture.score is not None
    assert picture.score.psnr == psnr(painted(), photo())
    assert picture.score.ssim == pytest.approx(ssim(painted(), photo()), abs=1e-6)
    assert picture.score.pixels == "whole image, 64×48"
    assert (picture.role, picture.frame, picture.title, picture.note) == ("training", 4, "Render", "")


def test_a_zoomed_pane_shows_and_scores_the_pixels_that_are_visible_and_no_others() -> None:
    picture = pane_picture(replace(REQUEST, rect=(10.4, 5.5, 20.0, 12.7), size=(960, 720)), sources())
    assert picture.rect == (10, 5, 20, 13)
    assert np.array_equal(picture.image, painted()[5:13, 10:20])
    assert picture.lossless
    assert picture.score is not None
    assert picture.score.pixels == "10×8 pixels from (10, 5)"
    mask = np.zeros((48, 64), bool)
    mask[5:13, 10:20] = True
    assert picture.score.psnr == pytest.approx(psnr(painted(), photo(), mask))
    assert picture.score.ssim == pytest.approx(ssim(painted(), photo(), mask), abs=1e-6)


def test_the_visible_part_may_reach_beyond_the_image() -> None:
    assert pane_picture(replace(REQUEST, rect=(-30, -10, 20, 30), size=(500, 400)), sources()).rect == (0, 0, 20, 30)
    assert pane_picture(replace(REQUEST, rect=(100, 100, 120, 130), size=(500, 400)), sources()).rect == (0, 0, 64, 48)


def test_zooming_at_rest_renders_the_camera_once() -> None:
    given, kept = sources(), Renderings()
    for rect in (None, (0.0, 0.0, 8.0, 6.0), (30.0, 30.0, 38.0, 36.0)):
        pane_picture(replace(REQUEST, rect=rect), given, kept)
    assert given.rasterizer.sizes == [(64, 48)]  # type: ignore[union-attr]
    pane_picture(REQUEST, replace(given, gaussians=one()), kept)
    assert len(given.rasterizer.sizes) == 2  # type: ignore[union-attr]


def test_while_things_move_only_the_visible_part_is_rendered_with_fewer_pixels_and_not_scored() -> None:
    given = sources()
    picture = pane_picture(replace(REQUEST, rect=(32, 8, 64, 40), size=(320, 320), full=False, detail=0.5), given)
    assert given.rasterizer.sizes == [(16, 16)]  # type: ignore[union-attr]
    assert np.array_equal(picture.image, painted(cropped(CAMERA, (32, 8, 64, 40), 16, 16)))
    assert picture.score is None
    assert not picture.exact


def test_a_cropped_camera_sees_the_same_rays() -> None:
    point = np.array([[0.2, 0.1, 0.5]])
    whole, _ = CAMERA.project(point)
    part, _ = cropped(CAMERA, (20, 10, 40, 30), 40, 60).project(point)
    assert np.allclose(part, (whole - (20, 10)) * (2, 3))


def test_a_pane_smaller_than_the_camera_gets_a_smaller_picture_and_the_score_of_all_pixels() -> None:
    picture = pane_picture(replace(REQUEST, size=(32, 40)), sources())
    assert picture.image.shape == (24, 32, 3)
    assert picture.score is not None
    assert picture.score.psnr == psnr(painted(), photo())


def test_the_wipe_shows_the_photograph_left_of_the_line_and_scores_the_rest() -> None:
    picture = pane_picture(replace(REQUEST, compare="wipe", wipe=0.25), sources())
    assert np.array_equal(picture.image[:, :16], photo()[:, :16])
    assert np.array_equal(picture.image[:, 16:], painted()[:, 16:])
    assert picture.score is not None
    assert picture.score.rect == (16, 0, 64, 48)
    assert picture.score.pixels == "right part: 48×48 pixels from (16, 0)"
    assert picture.score.psnr == psnr(painted()[:, 16:], photo()[:, 16:])
    zoomed = pane_picture(replace(REQUEST, compare="wipe", wipe=0.25, rect=(12, 0, 20, 6)), sources())
    assert np.array_equal(zoomed.image[:, :4], photo()[:6, 12:16])
    assert np.array_equal(zoomed.image[:, 4:], painted()[:6, 16:20])
    assert pane_picture(replace(REQUEST, compare="wipe", wipe=1.0), sources()).score is None


def test_the_error_map_has_a_fixed_scale_and_reaches_the_page_without_loss() -> None:
    picture = pane_picture(replace(REQUEST, compare="error"), sources())
    levels = np.abs(painted().astype(float) - photo()).mean(axis=2) / ERROR_SCALE
    assert np.abs(picture.image.astype(int) - map_colours(levels, "inferno")).max() <= 1
    assert picture.scale is not None
    assert (picture.scale.low, picture.scale.high, picture.scale.unit) == (0.0, 64.0, "grey levels")
    assert picture.lossless


def test_a_frame_that_stands_in_is_dimmed_named_and_not_scored() -> None:
    given = sources(source_frame=2)
    picture = pane_picture(REQUEST, given)
    assert np.array_equal(picture.image, (painted() * DIM).astype(np.uint8))
    assert (picture.frame, picture.score) == (2, None)
    assert picture.note == "Frame 5 is not reconstructed: frame 3 stands in, dimmed."
    wiped = pane_picture(replace(REQUEST, compare="wipe", wipe=0.5), given).image
    assert np.array_equal(wiped[:, :32], photo()[:, :32])
    assert np.array_equal(wiped[:, 32:], (painted()[:, 32:] * DIM).astype(np.uint8))


@pytest.mark.parametrize(
    ("changes", "given", "why"),
    [
        ({"compare": "error"}, {"source_frame": 2}, "No error map: frame 5 is not reconstructed. Frame 3 is the nearest one that is."),
        ({"compare": "error"}, {"gaussians": None, "source_frame": None}, "Nothing is reconstructed yet"),
        ({"compare": "error", "channel": "depth"}, {}, "compares with the photograph, which has colours only"),
        ({"compare": "photo", "channel": "age"}, {}, "A photograph shows colours only"),
        ({"compare": "other", "channel": "age"}, {}, "Only the run on the screen has age"),
        ({"compare": "other"}, {"other": None}, "no frame 5 of another run"),
        ({"channel": "motion"}, {}, "no such values of frame 5"),
        ({"channel": "motion"}, {"missing": {"motion": "It is the first frame."}}, "It is the first frame."),
        ({"channel": "depth"}, {"rasterizer": None, "waiting": "compiling"}, "compiling"),
    ],
)
def test_a_picture_without_meaning_is_refused_with_the_reason(changes: dict, given: dict, why: str) -> None:
    with pytest.raises(Unavailable, match=why):
        pane_picture(replace(REQUEST, **changes), sources(**given))


def test_combinations_that_are_possible_are_not_refused() -> None:
    for compare, channel, against in (
        ("render", "depth", "photo"), ("other", "depth", "photo"), ("wipe", "depth", "run"), ("error", "colour", "run"),
        ("photo", "colour", "photo"),
    ):  # fmt: skip
        assert why_impossible(compare, channel, against) is None  # type: ignore[arg-type]
        pane_picture(replace(REQUEST, compare=compare, channel=channel, against=against), sources())  # type: ignore[arg-type]


def test_the_photograph_is_shown_while_there_is_nothing_to_render() -> None:
    for given in ({"rasterizer": None, "waiting": "compiling"}, {"gaussians": None, "source_frame": None}):
        picture = pane_picture(REQUEST, sources(**given))
        assert np.array_equal(picture.image, photo())
        assert picture.title == "Photograph"
        assert picture.note
        assert picture.score is None


def test_two_runs_are_compared_with_each_other() -> None:
    other = pane_picture(replace(REQUEST, compare="other"), sources())
    assert np.array_equal(other.image, painted(blue=0.75))
    assert other.title == "old run"
    wiped = pane_picture(replace(REQUEST, compare="wipe", against="run", wipe=0.5), sources()).image
    assert np.array_equal(wiped[:, :32], painted(blue=0.75)[:, :32])
    assert np.array_equal(wiped[:, 32:], painted()[:, 32:])
    difference = pane_picture(replace(REQUEST, compare="error", against="run"), sources())
    assert difference.score is not None
    assert difference.score.what == "against old run"
    assert difference.score.psnr == psnr(painted(), painted(blue=0.75))


def test_nothing_is_compared_with_photographs_that_are_none() -> None:
    assert pane_picture(REQUEST, sources(filmed=False)).role == "made"
    for compare in ("photo", "wipe", "error"):
        with pytest.raises(Unavailable, match="The frames were imported, there are no photographs"):
            pane_picture(replace(REQUEST, compare=compare), sources(filmed=False))
    assert pane_picture(replace(REQUEST, compare="error", against="run"), sources(filmed=False)).score is not None


@pytest.mark.parametrize(("channel", "field"), [("motion", "motion"), ("age", "age"), ("error", "error")])
def test_values_of_gaussians_are_shown_where_a_surface_is(channel: str, field: str) -> None:
    values = torch.tensor([[3.0, 4.0, 0.0]]) if field == "motion" else torch.tensor([5.0])
    picture = pane_picture(replace(REQUEST, channel=channel, limits=(0.0, 10.0)), sources(**{field: values}))  # type: ignore[arg-type]
    assert picture.scale is not None
    assert picture.scale.unit
    expected = map_colours(np.array(0.5), picture.scale.map)
    assert (picture.image[:, 40] == expected).all()
    assert (picture.image[:, 10] == 0).all()
    assert picture.score is None


def test_depth_and_opacity_and_static_have_legends() -> None:
    depth = pane_picture(replace(REQUEST, channel="depth"), sources())
    assert depth.scale is not None
    assert depth.scale.low == pytest.approx(2.0)
    assert (depth.image[:, 10] == 0).all()
    opacity = pane_picture(replace(REQUEST, channel="opacity"), sources())
    assert (opacity.image[:, 40] == 255).all()
    static = pane_picture(replace(REQUEST, channel="static"), sources(static=torch.tensor([False])))
    assert static.scale is not None
    assert dict(static.scale.labels)["moving"] == tuple(static.image[0, 40])


def test_a_training_camera_is_shown_in_its_own_colours() -> None:
    swapped = torch.tensor([[[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]])
    picture = pane_picture(REQUEST, sources(colours=ColourAffines((CAMERA.name,), swapped)))
    assert np.array_equal(picture.image, painted()[..., [1, 0, 2]])


def test_renderings_are_kept_within_their_memory() -> None:
    kept, given = Renderings(memory=2 * 64 * 48 * 3), sources()
    scenes = [one(0.1), one(0.2), one(0.3)]
    for scene in scenes:
        pane_picture(REQUEST, replace(given, gaussians=scene), kept)
    for scene in (scenes[2], scenes[1]):
        pane_picture(REQUEST, replace(given, gaussians=scene), kept)
    assert len(given.rasterizer.sizes) == 3  # type: ignore[union-attr]
    pane_picture(REQUEST, replace(given, gaussians=scenes[0]), kept)
    assert len(given.rasterizer.sizes) == 4  # type: ignore[union-attr]
