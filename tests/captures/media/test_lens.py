from __future__ import annotations

import numpy as np
import pytest
from filmed_point import HEIGHT, WIDTH, Filming, brightest, point_at, rig
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trackersplat.captures.formats.colmap_lens import colmap_lens
from trackersplat.captures.formats.colmap_model import ColmapCamera
from trackersplat.captures.media.lens import EDGE_SAMPLES, MAX_RAY, OpenCVLens, Remap, pinhole
from trackersplat.captures.media.views import for_size, make_view
from trackersplat.errors import InputError

BARREL = (-0.33, 0.05, -0.004, 0.004, 0.066)
PINCUSHION = (0.3, -0.1, 0.003, 0.002, 0.05)
FISHEYE = (0.05, -0.01, 0.004, -0.001)


def lens_of(filming: Filming) -> OpenCVLens:
    c = filming.camera
    return OpenCVLens(c.width, c.height, c.fx, c.fy, c.cx, c.cy, filming.distortion, filming.fisheye)


@pytest.mark.parametrize(("distortion", "fisheye"), [(BARREL, False), (PINCUSHION, False), (FISHEYE, True), ((0.0,) * 4, True)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_a_point_filmed_through_a_lens_is_where_the_pinhole_camera_projects_it(distortion: tuple[float, ...], fisheye: bool, scale: float):
    for filming in rig(3, (distortion,), fisheye):
        camera, remap = make_view("c", lens_of(filming), filming.camera.world_to_camera, scale)
        assert remap is not None
        assert (camera.width, camera.height) == (WIDTH * scale, HEIGHT * scale)
        for frame in (0, 3):
            bent = filming.spot(point_at(frame)) + 0.5 - filming.camera.project(point_at(frame)[None])[0][0]
            assert np.linalg.norm(bent) > 0.5, "the lens is to bend this ray"
            uv = camera.project(point_at(frame)[None])[0][0]
            np.testing.assert_allclose(brightest(remap.apply(filming.film(frame))), uv, atol=0.1)


def turned_over(pixels: np.ndarray) -> bool:
    """Whether neighbours in a grid (H, W, 2) of pixels are anywhere in mirrored order."""
    (xu, yu), (xv, yv) = (np.moveaxis(np.gradient(pixels, axis=axis), -1, 0) for axis in (1, 0))
    return bool((xu * yv <= xv * yu).any())


@settings(max_examples=60, deadline=None)
@example(k1=-0.25, k2=-0.09375, p=(0.0, 0.0), cx=60.0, cy=45.0, f=(140.0, 140.0))  # folds in a corner
@given(
    k1=st.floats(-0.3, 0.3),
    k2=st.floats(-0.1, 0.1),
    p=st.tuples(st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)),
    cx=st.floats(60, 100),
    cy=st.floats(45, 75),
    f=st.tuples(st.floats(140, 300), st.floats(140, 300)),
)
def test_no_pixel_of_an_undistorted_image_is_blank_and_none_is_wasted(k1, k2, p, cx, cy, f):
    lens = OpenCVLens(WIDTH, HEIGHT, *f, cx, cy, (k1, k2, *p))
    K = pinhole(lens)
    image = Remap((WIDTH, HEIGHT), lens, K).apply(np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
    assert image.min() == 255
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    used = lens.pixels(np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]], axis=-1).reshape(-1, 2))
    assert used.min() > 0.4
    assert (used < np.array([WIDTH, HEIGHT]) - 0.4).all()
    # On the tighter axis the picture reaches both sides to within a few hundredths of it, unless the lens folds what lies further out.
    unused = min(used[:, 0].min() + WIDTH - used[:, 0].max(), used[:, 1].min() + HEIGHT - used[:, 1].max())
    wider = lens.pixels(np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1]], axis=-1).reshape(-1, 2) * 1.03)
    assert unused < 0.08 * WIDTH or turned_over(wider.reshape(HEIGHT, WIDTH, 2))
    assert not turned_over(used.reshape(HEIGHT, WIDTH, 2)[2:-2, 2:-2])


def test_rays_and_pixels_are_inverse():
    pixels = np.random.default_rng(0).uniform((5, 5), (WIDTH - 5, HEIGHT - 5), (50, 2))
    for distortion, fisheye in ((BARREL, False), (PINCUSHION, False), (FISHEYE, True), ((), False)):
        lens = OpenCVLens(WIDTH, HEIGHT, 150, 155, 83, 58, distortion, fisheye)
        np.testing.assert_allclose(lens.pixels(lens.rays(pixels)), pixels, atol=1e-6)


def test_a_lens_without_distortion_changes_nothing():
    filming = rig(1)[0]
    camera, remap = make_view("c", lens_of(filming), filming.camera.world_to_camera)
    assert remap is None
    np.testing.assert_array_equal(camera.K, filming.camera.K)


def test_blank_rows_are_not_shown():
    filming = rig(1, (BARREL,))[0]
    image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    image[:9] = image[-9:] = 0
    for scale in (1.0, 0.5):
        camera, remap = make_view("c", lens_of(filming), filming.camera.world_to_camera, scale, blank=(0, 9))
        assert remap is not None
        assert remap.apply(image).min() > 190
        assert camera.height == HEIGHT * scale


def test_a_fisheye_lens_wider_than_any_pinhole_gives_a_wide_pinhole_image():
    K = pinhole(OpenCVLens(WIDTH, HEIGHT, 40, 40, 80, 60, (0.0, 0.0, 0.0, 0.0), fisheye=True))
    assert WIDTH / 2 / K[0, 0] == pytest.approx(MAX_RAY, rel=0.02)


@pytest.mark.parametrize("distortion", [(-30.0, 0.0, 0.0, 0.0), (0.0, -3000.0, 0.0, 0.0)])
def test_a_distortion_that_folds_the_image_is_refused_with_the_camera(distortion: tuple[float, ...]):
    with pytest.raises(InputError, match="Camera left has a lens distortion that no pinhole image of 64x48 pixels can undo"):
        make_view("left", OpenCVLens(64, 48, 60, 60, 32, 24, distortion), np.eye(4))


class AnyLens:
    """A lens of which nothing is known but its rays and pixels."""

    def __init__(self, lens: OpenCVLens) -> None:
        self.lens = lens
        self.width, self.height = lens.width, lens.height
        self.rays, self.pixels = lens.rays, lens.pixels

    def resized(self, width: int, height: int):
        return AnyLens(self.lens.resized(width, height))


@pytest.mark.parametrize(("distortion", "fisheye"), [(BARREL, False), (PINCUSHION, False), (FISHEYE, True)])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_lenses_of_any_model_show_a_point_where_the_pinhole_camera_projects_it(distortion: tuple[float, ...], fisheye: bool, scale: float):
    for filming in rig(3, (distortion,), fisheye):
        camera, remap = make_view("c", AnyLens(lens_of(filming)), filming.camera.world_to_camera, scale)
        assert remap is not None
        for frame in (0, 3):
            uv = camera.project(point_at(frame)[None])[0][0]
            np.testing.assert_allclose(brightest(remap.apply(filming.film(frame))), uv, atol=0.1)


@pytest.mark.parametrize("focal", [80, 50])
def test_an_image_that_goes_on_beyond_where_the_lens_folds_shows_what_lies_before(focal: float):
    """The radius r (1 - 0.8 r^2) is largest at r = 0.645, where it is 0.43: of 80 pixels only the corners lie beyond, of 50 all edges."""
    K = pinhole(OpenCVLens(64, 48, focal, focal, 32, 24, (-0.8, 0.0, 0.0, 0.0)))
    corner = np.hypot(32 / K[0, 0], 24 / K[1, 1])
    assert 0.3 < corner < 0.645 * (1 + 2 / EDGE_SAMPLES)  # the fold is looked for on a grid


def test_scaling_down_averages():
    image = np.zeros((4, 4, 3), np.uint8)
    image[::2, ::2] = 200
    np.testing.assert_array_equal(Remap((2, 2)).apply(image), np.full((2, 2, 3), 50))


def test_another_aspect_ratio_has_no_lens():
    lens = OpenCVLens(1280, 720, 900, 910, 640, 360)
    assert for_size(lens, 1280, 720) is lens
    half = for_size(lens, 640, 360)
    assert isinstance(half, OpenCVLens)
    assert (half.fx, half.fy, half.cx, half.cy) == (450, 455, 320, 180)
    rounded = for_size(lens, 427, 240)  # one pixel of rounding
    assert isinstance(rounded, OpenCVLens)
    assert (rounded.fx, rounded.fy, rounded.cx, rounded.cy) == pytest.approx((900 * 427 / 1280, 910 / 3, 640 * 427 / 1280, 120))
    assert for_size(lens, 640, 364) is None
    assert for_size(lens, 1080, 720) is None


MODELS = [
    ("SIMPLE_PINHOLE", (150.0, 80.0, 60.0)),
    ("PINHOLE", (150.0, 151.0, 80.0, 60.0)),
    ("SIMPLE_RADIAL", (150.0, 82.0, 61.0, -0.1)),
    ("RADIAL", (150.0, 82.0, 61.0, -0.1, 0.02)),
    ("OPENCV", (150.0, 151.0, 82.0, 61.0, -0.1, 0.02, 0.003, -0.002)),
    ("FULL_OPENCV", (150.0, 151.0, 82.0, 61.0, -0.1, 0.02, 0.003, -0.002, 0.01, 0.02, -0.01, 0.005)),
    ("OPENCV_FISHEYE", (150.0, 151.0, 82.0, 61.0, 0.05, -0.01, 0.004, -0.001)),
    ("SIMPLE_RADIAL_FISHEYE", (150.0, 82.0, 61.0, 0.05)),
    ("RADIAL_FISHEYE", (150.0, 82.0, 61.0, 0.05, -0.01)),
    ("FOV", (150.0, 151.0, 82.0, 61.0, 0.4)),
    ("THIN_PRISM_FISHEYE", (150.0, 151.0, 82.0, 61.0, 0.05, -0.01, 0.003, -0.002, 0.004, -0.001, 0.001, 0.002)),
]


@pytest.mark.parametrize(("model", "params"), MODELS)
def test_colmap_models_project_as_colmap_does(model: str, params: tuple[float, ...]):
    pycolmap = pytest.importorskip("pycolmap")
    rays = np.random.default_rng(1).uniform(-0.4, 0.4, (40, 2))
    ours = colmap_lens(ColmapCamera(model, WIDTH, HEIGHT, params))
    theirs = pycolmap.Camera(model=model, width=WIDTH, height=HEIGHT, params=list(params))
    expected = np.asarray(theirs.img_from_cam(np.concatenate([rays, np.ones((40, 1))], axis=1)))
    np.testing.assert_allclose(ours.pixels(rays), expected, atol=1e-6)
    np.testing.assert_allclose(ours.rays(expected), rays, atol=1e-6)
    np.testing.assert_allclose(ours.resized(80, 60).pixels(rays), expected / 2, atol=1e-6)
    image = Remap((WIDTH, HEIGHT), ours, pinhole(ours)).apply(np.full((HEIGHT, WIDTH, 3), 255, np.uint8))
    assert image.min() == 255
