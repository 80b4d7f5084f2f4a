"""Poses and lenses from the images of one frame: bundle adjustment of given poses, or structure from motion without any."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.sfm.align import align_poses, upright
from trackersplat.sfm.colmap import from_colmap, load_pycolmap, stoppable
from trackersplat.sfm.events import Step
from trackersplat.sfm.features import Features
from trackersplat.sfm.settings import AdjustmentSettings, Intrinsics, PrepareSettings
from trackersplat.sfm.triangulate import CameraFit, sparse_points, triangulated


@dataclass(frozen=True, eq=False)
class FoundPoses:
    cameras: tuple[RigCamera, ...]  # those whose pose was found, in the order of the features
    fits: tuple[CameraFit, ...]  # after the last bundle adjustment
    unrefined: tuple[str, ...] = ()  # cameras that keep their given pose, because they share too little with the others


@dataclass(frozen=True, eq=False)
class PosesFound(Event):
    """The last event of `estimate_poses` and `refine_poses`."""

    poses: FoundPoses


def estimate_poses(features: Features, intrinsics: Intrinsics, known: Sequence[RigCamera], settings: PrepareSettings) -> Iterator[Event]:
    """Structure from motion (Schönberger and Frahm 2016) from the features alone: `Step` events, then `PosesFound`.

    The result is in the frame and scale of the ``known`` poses, which may be poor, if they have two of its cameras; else it is upright,
    with its points at a mean depth of one unit.

    Raises InputError if fewer than 3 cameras (2 of 2) fit together.
    """
    pc, seed = load_pycolmap(), settings.adjustment.seed
    yield Step("finding poses")
    options = pc.IncrementalPipelineOptions()
    options.random_seed = seed
    options.mapper.random_seed = seed
    options.min_model_size = 2
    options.num_threads = 1  # so that the same images give the same poses
    for name in ("ba_refine_focal_length", "ba_refine_extra_params"):
        setattr(options, name, intrinsics != "given")
    for name in ("abs_pose_refine_focal_length", "abs_pose_refine_extra_params"):
        setattr(options.mapper, name, intrinsics != "given")
    options.extract_colors = False
    options.triangulation.random_seed = seed
    with tempfile.TemporaryDirectory(dir=features.folder) as output:
        models = stoppable(pc.incremental_mapping, features.database, features.images, output, options=options)
    best = max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)
    cameras = [] if best is None else _cameras(features, best, settings.adjustment)
    _check_count(features, len(cameras), settings.adjustment)
    rounds = settings.adjustment.estimate_px
    for number, tolerance in enumerate(rounds):
        yield Step("refining poses", number, len(rounds))
        model = _adjusted(features, cameras, intrinsics, tolerance, settings)
        cameras = _cameras(features, model, settings.adjustment)
    found = _result(features, model, known, settings.adjustment)
    _check_count(features, len(found.cameras), settings.adjustment)
    yield PosesFound(found)


def refine_poses(features: Features, intrinsics: Intrinsics, known: Sequence[RigCamera], settings: PrepareSettings) -> Iterator[Event]:
    """Adjusts the known poses to the features: `Step` events, then `PosesFound`. "given" intrinsics are kept, others are adjusted too.

    Cameras that share too little with the others keep what was given.

    Raises InputError if the poses are too far off for any points to be found, or fewer than 3 cameras (2 of 2) fit together.
    """
    cameras: Sequence[RigCamera] = known
    rounds = settings.adjustment.refine_px
    for number, tolerance in enumerate(rounds):
        yield Step("refining poses", number, len(rounds))
        model = _adjusted(features, cameras, intrinsics, tolerance, settings)
        cameras = _cameras(features, model, settings.adjustment)
    found = _result(features, model, known, settings.adjustment)
    _check_count(features, len(found.cameras), settings.adjustment)
    refined = {camera.name: camera for camera in found.cameras}
    unrefined = tuple(camera.name for camera in known if camera.name not in refined)
    yield PosesFound(replace(found, cameras=tuple(refined.get(camera.name, camera) for camera in known), unrefined=unrefined))


def _check_count(features: Features, count: int, settings: AdjustmentSettings) -> None:
    needed = min(settings.min_cameras, len(features.cameras))
    if count < needed:
        raise InputError(
            f"The images of {count} of {len(features.cameras)} cameras fit together, expected at least {needed}: "
            "they must overlap and show texture, so film again or calibrate the cameras in another way."
        )


def _adjusted(features: Features, cameras: Sequence[RigCamera], intrinsics: Intrinsics, tolerance: float, settings: PrepareSettings) -> Any:
    """One round of triangulation, with reprojection errors up to ``tolerance`` pixels, and bundle adjustment: a pycolmap.Reconstruction."""
    pc = load_pycolmap()
    model = triangulated(features, cameras, replace(settings.triangulation, max_error_px=tolerance))
    if model.num_points3D() < settings.adjustment.min_observations:
        raise InputError("The given poses are too far off, or the images have too little in common, for any points: try --poses estimate.")
    options = pc.BundleAdjustmentOptions()
    options.print_summary = False
    options.refine_focal_length = options.refine_extra_params = intrinsics != "given"
    options.ceres.loss_function_type = pc.LossFunctionType.SOFT_L1
    options.ceres.solver_options.num_threads = 1  # so that the same images give the same poses
    options.ceres.solver_options.function_tolerance = 1e-6
    config = pc.BundleAdjustmentConfig()
    for image_id in model.reg_image_ids():
        config.add_image(image_id)
    config.fix_gauge(pc.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pc.create_default_bundle_adjuster(options, config, model).solve()
    return model


def _result(features: Features, model: Any, known: Sequence[RigCamera], settings: AdjustmentSettings) -> FoundPoses:
    found = sparse_points(features, model)
    cameras = _cameras(features, model, settings)
    given = {camera.name: camera.world_to_camera for camera in known}
    common = [camera for camera in cameras if camera.name in given]
    if len(common) > 1:
        frame = align_poses([camera.world_to_camera for camera in common], [given[camera.name] for camera in common])
    else:
        frame = upright([camera.world_to_camera for camera in cameras], found.cloud.xyz.astype(np.float64))
    moved = tuple(RigCamera(camera.name, camera.lens, frame.pose(camera.world_to_camera)) for camera in cameras)
    return FoundPoses(moved, found.fits)


def _cameras(features: Features, model: Any, settings: AdjustmentSettings) -> list[RigCamera]:
    """Those that see enough points, in the order of the features."""
    posed = {image.name: image for image in model.images.values() if image.has_pose and image.num_points3D >= settings.min_observations}
    cameras = []
    for name in features.cameras:
        image = posed.get(features.file(name))
        if image is not None:
            world_to_camera = np.eye(4)
            world_to_camera[:3] = image.cam_from_world().matrix()
            cameras.append(RigCamera(name, from_colmap(image.camera, features.factor(name)), world_to_camera))
    return cameras
