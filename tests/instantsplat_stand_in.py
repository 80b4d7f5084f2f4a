"""A package with the interface of instantsplat whose "weights" hold what it will answer."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.sfm.initialisers import InitialiserInfo

SOURCE = """
import argparse
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

print("loading what nobody wants to see")


class InitializingCamera(NamedTuple):
    image_height: int
    image_width: int
    FoVx: float
    FoVy: float
    R: torch.Tensor
    T: torch.Tensor
    image_path: str


class InitializedPointCloud(NamedTuple):
    points: torch.Tensor
    colors: torch.Tensor


class _Initializer:
    def _answer(self, paths):
        print(" - adding images")
        answer = np.load(self.weights, allow_pickle=False)
        if "memory" in answer:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        seen = Path(self.weights).parent / "seen"
        seen.mkdir()
        for path in paths:
            shutil.copy(path, seen)
        cloud = InitializedPointCloud(torch.from_numpy(answer["points"]), torch.from_numpy(answer["colors"]))
        cameras = [
            InitializingCamera(518, 518, float(fov[0]), float(fov[1]), torch.from_numpy(pose[:3, :3]), torch.from_numpy(pose[:3, 3]), path)
            for pose, fov, path in zip(answer["poses"], answer["fovs"], paths)
        ]
        return cloud, cameras


class _ModelPath(_Initializer):
    def __init__(self, model_path="checkpoints/a.pth", batch_size=1):
        self.weights = model_path


class Dust3rInitializer(_ModelPath):  # of version 1.12
    def __init__(self, model_path="checkpoints/a.pth"):
        super().__init__(model_path)
        assert argparse.Namespace in torch.serialization.get_safe_globals()  # its file cannot be read else

    def __call__(args, image_path_list, known_cameras=[]):
        return args._answer(image_path_list)


class Mast3rInitializer(_ModelPath):  # of version 1.17, which copies the images
    def __call__(args, image_path_list, destination: str):
        images = Path(destination) / "images"
        images.mkdir(parents=True)
        return args._answer([shutil.copy(path, images) for path in image_path_list])


class VGGTInitializer(_Initializer):
    def __init__(self, model_url="checkpoints/b.pt"):
        if Path(model_url).stat().st_size < 100:
            raise RuntimeError("PytorchStreamReader failed reading zip archive")
        self.weights = model_url

    def __call__(self, image_path_list, destination: str):
        return self._answer(image_path_list)
"""


@contextmanager
def installed(folder: Path) -> Iterator[Path]:
    """The package can be imported from the folder, until the end."""
    package = folder / "instantsplat" / "initializer"
    package.mkdir(parents=True)
    (folder / "instantsplat" / "__init__.py").touch()
    (package / "__init__.py").write_text(SOURCE)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield package / "__init__.py"
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == "instantsplat"]:
            del sys.modules[name]


def write_answer(folder: Path, info: InitialiserInfo, xyz: np.ndarray, rgb: np.ndarray, cameras: Sequence[Camera]) -> Path:
    """The points (N, 3) with colours (N, 3) uint8, and the cameras in the order of the images, as the initialiser's weights."""
    folder.mkdir(parents=True, exist_ok=True)
    fovs = [(2 * np.arctan(0.5 * c.width / c.fx), 2 * np.arctan(0.5 * c.height / c.fy)) for c in cameras]
    poses = np.stack([camera.world_to_camera for camera in cameras]).astype(np.float32)
    with (folder / info.weights).open("wb") as file:
        np.savez(file, points=xyz.astype(np.float32), colors=rgb.astype(np.float32) / 255, poses=poses, fovs=np.array(fovs))
    return folder
