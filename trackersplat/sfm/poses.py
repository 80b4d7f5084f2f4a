"""Poses and lenses from the images of one frame: bundle adjustment of given poses, or structure from motion without any."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trackersplat.captures.formats.cameras_json import RigCamera
from trackersplat.errors import InputError
from trackersplat.sfm.align import align_poses, upright
from trackersplat.sfm.colmap import from_colmap, load_pycolmap, stoppable
from trackersplat.sfm.features import Features, Intrinsics, Step
from trackersplat.sfm.triangulate import CameraFit, sparse_points, triangulated

TOLERANCES = (32.0, 12.0, 4.0, 4.0)  # pixels, of the rounds of refinement: poor poses make poor points at first
MIN_CAMERAS = 3  # to call what was found a rig; 2 where there are no more
MIN_OBSERVATIONS = 20  # of a camera whose pose is to be believed


@dataclass(frozen=True, eq=False)
class FoundPoses:
    cameras: tuple[RigCamera, ...]  # those whose pose was found, in the order of the features
    fits: tuple[CameraFit, ...]  # after all was adjusted together
    unrefined: tuple[str, ...] = ()  # cameras that have their given pose still, as too little is seen in them


def estimate_poses(features: Features, intrinsics: Intrinsics, known: Sequence[RigCamera] = ()) -> Generator[Step, None, FoundPoses]:
    """Structure from motion (Schönberger and Frahm 2016) from the features alone.

    The result lies in the frame and scale of the ``known`` poses, which may be poor, if they have two of its cameras; else upright,
    at a depth of one unit.

    Raises InputError if fewer than 3 cameras (2 of 2) fit together.
    """
    pc = load_pycolmap()
    yield Step("finding poses")
    options = pc.IncrementalPipelineOptions()
    options.random_seed = 0
    options.mapper.random_seed = 0
    options.min_model_size = 2
    options.num_threads = 1  # sums in one order, so the same images give the same poses
    for name in ("ba_refine_focal_length", "ba_refine_extra_params"):
        setattr(options, name, intrinsics != "given")
    for name in ("abs_pose_refine_focal_length", "abs_pose_refine_extra_params"):
        setattr(options.mapper, name, intrinsics != "given")
    options.extract_colors = False
    options.triangulation.random_seed = 0
    with tempfile.TemporaryDirectory(dir=features.folder) as output:
        models = stoppable(pc.incremental_mapping, features.database, features.images, output, options=options)
    best = max(models.values(), key=lambda model: (model.num_reg_images(), model.num_points3D()), default=None)
    cameras = [] if best is None else _cameras(features, best)
    _check_count(features, len(cameras))
    found = _result(features, (yield from _adjusted(features, cameras, intrinsics, TOLERANCES[-2:])), known)
    _check_count(features, len(found.cameras))
    return found


def refine_poses(features: Features, known: Sequence[RigCamera], intrinsics: Intrinsics) -> Generator[Step, None, FoundPoses]:
    """Given poses adjusted to the features; "given" intrinsics stay as they are, others are adjusted too.

    Cameras that share too little with the others keep what was given.

    Raises InputError if the poses are too far off for any points to be found, or fewer than 3 cameras (2 of 2) fit together.
    """
    model = yield from _adjusted(features, known, intrinsics, TOLERANCES)
    found = _result(features, model, known)
    _check_count(features, len(found.cameras))
    refined = {camera.name: camera for camera in found.cameras}
    cameras = tuple(refined.get(camera.name, camera) for camera in known)
    return replace(found, cameras=cameras, unrefined=tuple(camera.name for camera in known if camera.name not in refined))


def _check_count(features: Features, count: int) -> None:
    needed = min(MIN_CAMERAS, len(features.cameras))
    if count < needed:
        raise InputError(
            f"The images of {count} of {len(features.cameras)} cameras fit together, expected at least {needed}: "
            "they must overlap and show things with texture, so film in that way or calibrate the cameras in another."
        )


def _adjusted(
    features: Features, cameras: Sequence[RigCamera], intrinsics: Intrinsics, tolerances: Sequence[float]
) -> Generator[Step, None, Any]:
    """Rounds of triangulation and bundle adjustment under ever smaller tolerances: a pycolmap.Reconstruction."""
    pc = load_pycolmap()
    model: Any = None
    for number, tolerance in enumerate(tolerances):
        yield Step("refining poses", number, len(tolerances))
        model = triangulated(features, cameras, tolerance)
        if model.num_points3D() < MIN_OBSERVATIONS:
            raise InputError(
                "The given poses are too far off, or the images have too little in common, for any points: try --poses estimate."
            )
        options = pc.BundleAdjustmentOptions()
        options.print_summary = False
        options.refine_focal_length = options.refine_extra_params = intrinsics != "given"
        options.ceres.loss_function_type = pc.LossFunctionType.SOFT_L1
        options.ceres.solver_options.num_threads = 1  # sums in one order, so the same images give the same poses
        options.ceres.solver_options.function_tolerance = 1e-6
        config = pc.BundleAdjustmentConfig()
        for image_id in model.reg_image_ids():
            config.add_image(image_id)
        config.fix_gauge(pc.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
        pc.create_default_bundle_adjuster(options, config, model).solve()
        cameras = _cameras(features, model)
    return model


def _result(features: Features, model: Any, known: Sequence[RigCamera]) -> FoundPoses:
    found = sparse_points(features, model)
    cameras = _cameras(features, model)
    given = {camera.name: camera.world_to_camera for camera in known}
    common = [camera for camera in cameras if camera.name in given]
    if len(common) > 1:
        frame = align_poses([camera.world_to_camera for camera in common], [given[camera.name] for camera in common])
    else:
        frame = upright([camera.world_to_camera for camera in cameras], found.cloud.xyz.astype(np.float64))
    moved = tuple(RigCamera(camera.name, camera.lens, frame.pose(camera.world_to_camera)) for camera in cameras)
    return FoundPoses(moved, found.fits)


def _cameras(features: Features, model: Any) -> list[RigCamera]:
    """Those that see enough for their pose to be believed, in the order of the features."""
    posed = {image.name: image for image in model.images.values() if image.has_pose and image.num_points3D >= MIN_OBSERVATIONS}
    cameras = []
    for name in features.cameras:
        image = posed.get(features.file(name))
        if image is not None:
            world_to_camera = np.eye(4)
            world_to_camera[:3] = image.cam_from_world().matrix()
            cameras.append(RigCamera(name, from_colmap(image.camera, features.factor(name)), world_to_camera))
    return cameras
