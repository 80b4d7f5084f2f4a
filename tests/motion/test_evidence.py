"""What every view says about a motion: which views agree, and which camera is out of step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_tracks import made_tracks
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.errors import ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.motion.motion import Motion
from trackersplat.motion.ops.triangulate import Observations
from trackersplat.motion.ops.view_evidence import view_evidence
from trackersplat.motion.settings import TriangulateSettings
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks

WALL, PLATE, HALF = -0.5, 0.2, 0.4  # places along x, and half the side of the plate
SIZE = 0.03  # standard deviation of the Gaussians
SHIFT = np.array((0.03, 0.08, -0.05))  # of the plate


def seen(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Points (H, W, 3) that the pixels see, and whether they are on the plate."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    local = np.stack(((columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones_like(rows)), axis=-1)
    ray = local @ camera.rotation
    plate, wall = (camera.center + ray * ((x - camera.center[0]) / ray[..., :1]) for x in (PLATE, WALL))
    on_plate = (np.abs(plate[..., 1:]) < HALF).all(-1)
    return np.where(on_plate[..., None], plate, wall), on_plate


def exact_tracks(camera: Camera, off: tuple[float, float] = (0, 0)) -> DenseTracks:
    points, on_plate = seen(camera)
    pixels = camera.project((points + on_plate[..., None] * SHIFT).reshape(-1, 3))[0].reshape(1, *on_plate.shape, 2)
    ones = np.ones((1, *on_plate.shape))
    return made_tracks(0, (1,), pixels + off, ones, ones, hidden_weight=1.0)


@pytest.fixture
def scene(make_gaussians: Callable[..., Gaussians], cameras: list[Camera]) -> tuple[Gaussians, list[Camera]]:
    """The plate first (225 Gaussians), then the wall, each a deviation below what is seen; 160 x 120 pixel cameras."""
    y, z = (values.ravel() for values in np.meshgrid(np.linspace(-HALF, HALF, 15), np.linspace(-HALF, HALF, 15)))
    plate = np.stack((np.full_like(y, PLATE - SIZE), y, z), axis=-1)
    y, z = (values.ravel() for values in np.meshgrid(np.linspace(-1.2, 1.2, 45), np.linspace(-0.9, 0.9, 33)))
    wall = np.stack((np.full_like(y, WALL - SIZE), y, z), axis=-1)
    gaussians = make_gaussians(np.concatenate((plate, wall)), scale=SIZE)
    colour = torch.where(torch.arange(len(gaussians))[:, None] < 225, torch.tensor((0.8, -0.6, -0.6)), torch.tensor((-0.5, 0.4, 0.9)))
    return replace(gaussians, sh=colour[:, None] + 0.2 * gaussians.sh), [camera.resized(160, 120) for camera in cameras]


def motion_with(scene: tuple[Gaussians, list[Camera]], tracks: list[DenseTracks]) -> tuple[Motion, Evidence]:
    (motion,) = estimate_motion(PortableRasterizer(), *scene, tracks)
    assert motion.evidence is not None
    return motion, motion.evidence


def test_views_of_exact_tracks_agree_with_static_and_with_moving_gaussians(scene: tuple[Gaussians, list[Camera]]) -> None:
    motion, evidence = motion_with(scene, [exact_tracks(camera) for camera in scene[1]])
    assert evidence.cameras == ("cam00", "cam01", "cam02", "cam03", "cam04")
    for chosen in (motion.is_static, motion.measured):
        part = evidence[chosen]
        valid = part.state >= ViewState.REJECTED
        assert valid.float().mean() > 0.3
        assert (part.state[valid] == ViewState.INLIER).float().mean() > 0.9
        assert part.residual_px[valid].median() < 0.05
        assert (part.weight[valid] > 0.9).float().mean() > 0.8
    assert motion.is_static[225:].float().mean() > 0.8
    assert motion.measured[:225].float().mean() > 0.8


@pytest.mark.parametrize("wrong", [0, 2])
def test_a_camera_whose_tracks_are_shifted_by_6_px_is_named(scene: tuple[Gaussians, list[Camera]], wrong: int) -> None:
    tracks = [exact_tracks(camera, (6.0, 0.0) if index == wrong else (0.0, 0.0)) for index, camera in enumerate(scene[1])]
    _, evidence = motion_with(scene, tracks)
    shares = evidence.rejected_share()
    assert max(shares, key=shares.__getitem__) == f"cam0{wrong}"
    others = [share for name, share in shares.items() if name != f"cam0{wrong}"]
    assert shares[f"cam0{wrong}"] > 0.8
    assert max(others) < 0.2


def test_views_without_confidence_are_masked_and_views_that_hide_a_gaussian_do_not_see_it(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    tracks = [exact_tracks(camera) for camera in cameras]
    _, before = motion_with(scene, tracks)
    on_plate = torch.from_numpy(seen(cameras[1])[1])
    masked = replace(tracks[1], confidence=torch.where(on_plate, 0.0, tracks[1].confidence))
    _, evidence = motion_with(scene, [tracks[0], masked, *tracks[2:]])
    row, column = torch.arange(225) // 15, torch.arange(225) % 15
    inner = (row.minimum(column) > 1) & (row.maximum(column) < 13)  # no pixel of theirs sees the wall
    assert (before.state[1, :225][inner] >= ViewState.REJECTED).all()
    assert (evidence.state[1, :225][inner] == ViewState.MASKED).all()
    assert torch.equal(evidence.state == ViewState.UNSEEN, before.state == ViewState.UNSEEN)
    pixels, _ = cameras[1].project(gaussians.means[225:].double().numpy())
    column, row = pixels.astype(int).clip(0, (159, 119)).T
    behind = torch.from_numpy(np.asarray(seen(cameras[1])[1][row, column])) & (torch.from_numpy(pixels) > 0).all(-1)
    assert behind.any()
    assert (before.state[1, 225:][behind] == ViewState.UNSEEN).float().mean() > 0.6
    unused = evidence.state <= ViewState.MASKED
    assert evidence.residual_px[unused].isnan().all()
    assert evidence.variance_px2[unused].isinf().all()
    assert (evidence.weight[unused] == 0).all()
    assert not evidence.residual_px[~unused].isnan().any()


def test_several_targets_have_the_evidence_of_each(scene: tuple[Gaussians, list[Camera]]) -> None:
    gaussians, cameras = scene
    tracks = [exact_tracks(camera) for camera in cameras]
    wrong = [exact_tracks(camera, (6.0, 0.0) if index == 3 else (0.0, 0.0)) for index, camera in enumerate(cameras)]
    both = [
        replace(one, targets=(1, 2), **{name: torch.cat((getattr(one, name), getattr(other, name))) for name in PARTS})
        for one, other in zip(tracks, wrong, strict=True)
    ]
    first, second = estimate_motion(PortableRasterizer(), gaussians, cameras, both)
    assert first.evidence is not None
    assert second.evidence is not None
    assert max(first.evidence.rejected_share().values()) < 0.2
    assert second.evidence.rejected_share()["cam03"] > 0.8


PARTS = ("positions", "visibility", "confidence")


def by_hand(camera: Camera, means: Tensor, motion: Tensor, surface: Tensor, displacement: Tensor) -> np.ndarray:
    start, end = (camera.project(points.numpy())[0] for points in (means, means + surface + motion))
    return np.linalg.norm(end - start - displacement.numpy(), axis=-1)


def test_residuals_weights_and_states_are_those_of_the_formulas(cameras: list[Camera]) -> None:
    generator = torch.Generator().manual_seed(0)
    means, motion = (0.2 * torch.randn(40, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    displacement = 30.0 * torch.randn(5, 40, 2, generator=generator, dtype=torch.float64)
    surface = 0.02 * torch.randn(5, 40, 3, generator=generator, dtype=torch.float64)
    variance = 100.0 * torch.rand(5, 40, generator=generator, dtype=torch.float64) + 1.0
    variance[1, :10] = torch.inf
    displacement[1, :10] = torch.nan
    shown = torch.ones(5, 40, dtype=torch.bool)
    shown[1, :5] = False
    evidence = view_evidence(cameras, means, motion, Observations(displacement, variance, surface), shown, TriangulateSettings())
    for view, camera in enumerate(cameras):
        residual = by_hand(camera, means, motion, surface[view], displacement[view])
        weight = (1 + residual**2 / variance[view].numpy() / 9) ** -2.0
        valid = np.isfinite(variance[view].numpy())
        np.testing.assert_allclose(evidence.residual_px[view][valid], residual[valid], rtol=1e-5)
        np.testing.assert_allclose(evidence.variance_px2[view][valid], variance[view][valid], rtol=1e-6)
        np.testing.assert_allclose(evidence.weight[view][valid], weight[valid], rtol=1e-4)
        expected = np.where(weight > 0.25, ViewState.INLIER, ViewState.REJECTED)
        np.testing.assert_array_equal(evidence.state[view][valid], expected[valid])
    assert set(evidence.state[0].tolist()) == {ViewState.REJECTED, ViewState.INLIER}
    assert evidence.state[1, :10].tolist() == [ViewState.UNSEEN] * 5 + [ViewState.MASKED] * 5
    assert (evidence.residual_px.dtype, evidence.state.dtype) == (torch.float32, torch.uint8)


def test_evidence_of_wrong_shapes_and_of_other_cameras_is_refused() -> None:
    one, state = torch.zeros(2, 4), torch.zeros(2, 4, dtype=torch.uint8)
    evidence = Evidence(("a", "b"), one, one, one, state)
    with pytest.raises(ShapeError, match="variance_px2"):
        Evidence(("a", "b"), one, one[:, :3], one, state)
    with pytest.raises(ShapeError, match="cameras"):
        evidence.replaced_where(torch.ones(4, dtype=torch.bool), replace(evidence, cameras=("a", "c")))
    assert np.isnan(evidence.rejected_share()["a"])
