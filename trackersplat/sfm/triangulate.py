"""Points that several posed cameras see, and the reprojection error of each camera, which tells how good its pose is."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.sfm.colmap import load_pycolmap, stoppable, to_colmap
from trackersplat.sfm.features import Features
from trackersplat.sfm.settings import TriangulationSettings


@dataclass(frozen=True)
class CameraFit:
    """How well a camera agrees with the points it sees."""

    camera: str
    features: int | None  # None: features were not used
    points: int  # seen by it
    error: float | None  # pixels of its images, mean distance between the points seen and where they project; None without points


@dataclass(frozen=True, eq=False)
class SparsePoints:
    cloud: PointCloud
    fits: tuple[CameraFit, ...]

    @property
    def error(self) -> float | None:
        """Pixels, mean over all that every camera sees; None without points."""
        seen = sum(fit.points for fit in self.fits)
        return sum(fit.points * (fit.error or 0.0) for fit in self.fits) / seen if seen else None


def triangulate(features: Features, cameras: Sequence[RigCamera], settings: TriangulationSettings) -> SparsePoints:
    """From the matches of ``cameras`` alone, whose poses and lenses stay as they are. Other cameras of ``features`` are not used."""
    return sparse_points(features, triangulated(features, cameras, settings))


def triangulated(features: Features, cameras: Sequence[RigCamera], settings: TriangulationSettings) -> Any:
    """The same as a pycolmap.Reconstruction."""
    max_error = settings.max_error_px
    pc = load_pycolmap()
    posed = posed_reconstruction(features, cameras)
    options = pc.IncrementalPipelineOptions()
    options.random_seed = settings.seed
    options.image_names = [features.file(camera.name) for camera in cameras]
    options.mapper.filter_max_reproj_error = max_error
    options.triangulation.merge_max_reproj_error = max_error
    options.triangulation.complete_max_reproj_error = max_error
    options.triangulation.create_max_angle_error = max(0.5 * max_error, settings.min_angle_deg)
    options.triangulation.continue_max_angle_error = max(0.5 * max_error, settings.min_angle_deg)
    options.triangulation.ignore_two_view_tracks = False  # wide baselines have hardly any others
    options.triangulation.random_seed = settings.seed
    with tempfile.TemporaryDirectory(dir=features.folder) as output:
        return stoppable(pc.triangulate_points, posed, features.database, features.images, output, options=options)


def posed_reconstruction(features: Features, cameras: Sequence[RigCamera]) -> Any:
    """A pycolmap.Reconstruction of the cameras without points, numbered as in the database and of its camera models."""
    pc = load_pycolmap()
    reconstruction = pc.Reconstruction()
    with pc.Database.open(features.database) as database:
        stored = {image.name: (image, database.read_camera(image.camera_id)) for image in database.read_all_images()}
    for camera in cameras:
        if features.file(camera.name) not in stored:
            continue  # not a single feature
        image, start = stored[features.file(camera.name)]
        if not reconstruction.exists_camera(start.camera_id):  # there already, if the cameras share one
            lens = to_colmap(camera.lens, features.factor(camera.name), start.model_name, start.camera_id)
            reconstruction.add_camera_with_trivial_rig(lens)
        posed = pc.Image(name=image.name, camera_id=start.camera_id, image_id=image.image_id)
        reconstruction.add_image_with_trivial_frame(posed, pc.Rigid3d(camera.world_to_camera[:3]))
    return reconstruction


def sparse_points(features: Features, reconstruction: Any) -> SparsePoints:
    """The points of a pycolmap.Reconstruction and the fit of its cameras."""
    points = reconstruction.points3D
    ids = sorted(points)
    xyz = np.array([points[i].xyz for i in ids], dtype=np.float32).reshape(-1, 3)
    rgb = np.array([points[i].color for i in ids], dtype=np.uint8).reshape(-1, 3)
    names = {features.file(camera): camera for camera in features.cameras}
    fits = []
    for image in sorted(reconstruction.images.values(), key=lambda image: image.name):
        if not image.has_pose:
            continue
        camera = names[image.name]
        seen = image.get_observation_points2D()
        offsets = [image.project_point(points[p.point3D_id].xyz) for p in seen]
        distances = [float(np.linalg.norm(uv - p.xy)) for uv, p in zip(offsets, seen, strict=True) if uv is not None]
        error = float(np.mean(distances)) / features.factor(camera) if distances else None
        fits.append(CameraFit(camera, features.counts[features.cameras.index(camera)], len(seen), error))
    return SparsePoints(PointCloud(xyz, rgb), tuple(fits))
