"""Runs the initialisers of the package instantsplat (versions 1.12.3 and 1.17.6 were read) and converts what they return.

The package is imported only when one of them runs, as that takes seconds and CUDA. Weights are read from a file; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import io
import math
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.files import working_folder
from trackersplat.sfm.initialisers import PACKAGE, InitialiserInfo

LONGEST = 300  # letters of another package's message that are shown


@dataclass(frozen=True, eq=False)
class GuessedScene:
    """What an initialiser makes of some images, in a frame and at a scale of its own."""

    xyz: np.ndarray  # (N, 3) float64
    rgb: np.ndarray  # (N, 3) uint8
    cameras: tuple[Camera, ...]  # one per image, in their order


def guess_scene(info: InitialiserInfo, weights: Path, images: Sequence[np.ndarray]) -> GuessedScene:
    """Runs an initialiser on (H, W, 3) uint8 RGB images without lens distortion.

    Raises InputError if the package cannot be imported, the weights (a file) cannot be loaded, or the network fails on the images.
    """
    import torch

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # it prints, and draws bars of its own
        try:
            create = getattr(importlib.import_module(f"{PACKAGE}.initializer"), info.class_name)
        except Exception as error:  # packages that were built for another CUDA or torch raise anything
            raise InputError(
                f"{info.title} runs through {PACKAGE}, which cannot be imported ({_said(error)}): install what is named there."
            ) from error
        try:
            # DUSt3R's file holds its settings as a Namespace, which torch.load refuses from version 2.6 on unless told
            with torch.serialization.safe_globals([argparse.Namespace]):
                initialiser = create(**{info.weights_argument: str(weights.resolve())})
        except Exception as error:
            raise InputError(f"{info.title} cannot be loaded from {weights} ({_said(error)}): download the file again.") from error
        with working_folder("trackersplat-network") as folder:
            paths = _write(folder / "input", images)
            wanted = {"destination": str(folder / "scene")}  # where newer versions put images and depth maps
            options = {key: value for key, value in wanted.items() if key in inspect.signature(initialiser).parameters}
            try:
                cloud, cameras = initialiser([str(path) for path in paths], **options)
                return _scene(info, cloud, cameras, paths, images)
            except InputError:
                raise
            except torch.cuda.OutOfMemoryError as error:
                raise InputError(f"{info.title} needs more GPU memory than there is for {len(images)} images: hold cameras out.") from error
            except Exception as error:
                raise InputError(
                    f"{info.title} failed on the {len(images)} images ({_said(error)}): try another initialiser, or --points features."
                ) from error


def _write(folder: Path, images: Sequence[np.ndarray]) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"{index:05d}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(str(path), np.ascontiguousarray(image[..., ::-1]))
    return paths


def _scene(info: InitialiserInfo, cloud: Any, cameras: Sequence[Any], paths: Sequence[Path], images: Sequence[np.ndarray]) -> GuessedScene:
    xyz, colours = _array(cloud.points), _array(cloud.colors)
    finite = np.isfinite(xyz).all(axis=1) & np.isfinite(colours).all(axis=1)
    rgb = np.round(255 * colours[finite].clip(0, 1)).astype(np.uint8)
    by_file = {Path(camera.image_path).name: camera for camera in cameras}
    if any(path.name not in by_file for path in paths):
        raise InputError(f"{info.title} found cameras for {len(by_file)} of {len(paths)} images: try another initialiser.")
    found = [_camera(info, by_file[path.name], path.stem, image.shape) for path, image in zip(paths, images, strict=True)]
    return GuessedScene(xyz[finite], rgb, tuple(found))


def _camera(info: InitialiserInfo, guessed: Any, name: str, shape: tuple[int, ...]) -> Camera:
    """At the size of the image, whatever size the network used: from its angles of view, with the principal point at the centre."""
    height, width = shape[:2]
    rotation, translation = _array(guessed.R), _array(guessed.T).ravel()
    angles = float(guessed.FoVx), float(guessed.FoVy)
    if not (np.isfinite(rotation).all() and np.isfinite(translation).all() and all(0 < angle < math.pi for angle in angles)):
        raise InputError(f"{info.title} gives image {int(name) + 1} no usable camera: try another initialiser, or --points features.")
    fx, fy = (0.5 * side / math.tan(0.5 * angle) for side, angle in zip((width, height), angles, strict=True))
    u, _, vt = np.linalg.svd(rotation)  # half precision leaves it a little skew
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    world_to_camera[:3, 3] = translation
    return Camera(name, width, height, np.array([[fx, 0, width / 2], [0, fy, height / 2], [0, 0, 1]]), world_to_camera)


def _array(values: Any) -> np.ndarray:
    """A tensor on any device as float64."""
    return np.asarray(values.detach().cpu().double() if hasattr(values, "detach") else values, dtype=np.float64)


def _said(error: BaseException) -> str:
    text = "".join(letter for letter in " ".join(str(error).split()) if letter.isprintable())  # torch colours its messages
    return f"{type(error).__name__}: {text[:LONGEST]}"
