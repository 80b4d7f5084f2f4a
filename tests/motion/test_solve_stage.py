"""The chain on a path-traced room with exact tracks, against exact 3D tracks."""

from __future__ import annotations

import json
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from made_tracks import made_tracks
from scipy.spatial import cKDTree

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.geometry.neighbours import nearest_neighbours
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.motion.solve import estimate_motion
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.tracking.tracks import DenseTracks

TARGET, COUNT = 4, 20_000


@pytest.fixture(scope="module")
def stage(shared_data: Path) -> Path:
    return shared_data / "stage"


def training_cameras(stage: Path) -> dict[int, Camera]:
    layout = json.loads((stage / "cameras.json").read_text())
    size = (layout["width"], layout["height"])
    views = {}
    for index, entry in enumerate(layout["cameras"]):
        if entry["name"] not in layout["held_out"]:
            pose = np.eye(4)
            pose[: len(entry["w2c"])] = entry["w2c"]
            views[index] = Camera(entry["name"], *size, np.array(entry["K"]), pose)
    return views


def gaussians_from_depth(stage: Path, cameras: dict[int, Camera]) -> Gaussians:
    """One Gaussian for each of ``COUNT`` random pixels of frame 0, as large as their spacing, and as deep below what the pixel sees.

    So they lie when they are fitted to images: their outsides are what is seen.
    """
    points, normals, colours = [], [], []
    for index, camera in cameras.items():
        with np.load(stage / "gt" / f"depth_cam{index:02d}.npz") as truth:
            depth = truth["depth"][0].astype(np.float64)
        rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
        local = np.stack(((columns - camera.cx) / camera.fx * depth, (rows - camera.cy) / camera.fy * depth, depth), axis=-1)
        points.append((local.reshape(-1, 3) - camera.translation) @ camera.rotation)
        normal = np.cross(np.gradient(local, axis=1), np.gradient(local, axis=0))
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        outwards = np.where((normal * local).sum(-1, keepdims=True) > 0, -normal, normal)
        normals.append(outwards.reshape(-1, 3) @ camera.rotation)
        colours.append(imageio.imread(stage / "images" / camera.name / "0000.png").reshape(-1, 3) / 255)
    chosen = np.random.default_rng(0).choice(sum(map(len, points)), COUNT, replace=False)
    surface, normal, rgb = (np.concatenate(values)[chosen] for values in (points, normals, colours))
    spacing = np.clip(0.8 * nearest_neighbours(torch.tensor(surface), 4)[1].mean(1).numpy(), 0.003, 0.2)
    means = surface - spacing[:, None] * normal
    return Gaussians(
        means=torch.tensor(means).float(),
        quats=torch.randn(COUNT, 4, generator=torch.Generator().manual_seed(0)),
        log_scales=torch.tensor(np.log(spacing)).float()[:, None].repeat(1, 3),
        opacity_logits=torch.full((COUNT,), 2.2),
        sh=torch.tensor((rgb - 0.5) / SH_C0).float()[:, None],
    )


def exact_tracks(stage: Path, index: int, off: tuple[float, float] = (0.0, 0.0)) -> DenseTracks:
    with np.load(stage / "gt" / f"flow_cam{index:02d}.npz") as truth:
        which = truth["frames"].tolist().index(TARGET)
        flow, visible, valid = truth["flow"][which].astype(np.float32), truth["visible"][which] & truth["valid"], truth["valid"]
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]]
    positions = flow + np.stack((columns + 0.5, rows + 0.5), axis=-1).astype(np.float32) + np.array(off, np.float32)
    seen, exact = visible.astype(np.float32)[None], valid.astype(np.float32)[None]  # the place of a hidden point is exact too
    return made_tracks(0, (TARGET,), positions[None], seen, exact)


def test_the_evidence_names_the_camera_whose_tracks_are_shifted_by_6_px(stage: Path) -> None:
    cameras = training_cameras(stage)
    wrong = list(cameras)[3]
    tracks = [exact_tracks(stage, index, (6.0, 0.0) if index == wrong else (0.0, 0.0)) for index in cameras]
    gaussians = gaussians_from_depth(stage, cameras)[::4]
    (motion,) = estimate_motion(PortableRasterizer(), gaussians, list(cameras.values()), tracks)
    assert motion.evidence is not None
    shares = motion.evidence.rejected_share()
    name = cameras[wrong].name
    others = [share for other, share in shares.items() if other != name]
    assert max(shares, key=shares.__getitem__) == name
    assert shares[name] > 0.8
    assert max(others) < 0.2


def test_surface_points_follow_the_gaussians_around_them(stage: Path) -> None:
    cameras = training_cameras(stage)
    gaussians = gaussians_from_depth(stage, cameras)
    tracks = [exact_tracks(stage, index) for index in cameras]
    (motion,) = estimate_motion(PortableRasterizer(), gaussians, list(cameras.values()), tracks)

    with np.load(stage / "gt" / "tracks.npz") as truth:
        start, end, dynamic = truth["xyz"][0].astype(float), truth["xyz"][TARGET].astype(float), truth["dynamic"]
        seen = truth["vis"][:, 0].sum(0) >= 3
    means = gaussians.means.double().numpy()
    distance, nearest = cKDTree(means).query(start)
    turned = np.einsum("nab,nb->na", quaternion_to_matrix(motion.rotation.double()).numpy()[nearest], start - means[nearest])
    error = np.linalg.norm(means[nearest] + turned + motion.translation.double().numpy()[nearest] - end, axis=-1)
    nothing = np.linalg.norm(start - end, axis=-1)
    moving, static = (kind & seen & (distance < 0.05) for kind in (dynamic, ~dynamic))
    assert np.median(nothing[moving]) > 0.09
    assert np.median(error[moving]) < 0.005
    assert np.percentile(error[moving], 75) < 0.02
    assert np.percentile(error[static], 90) < 0.001
    assert motion.is_static.numpy()[nearest[static]].mean() > 0.9
