"""Writes COLMAP text models from our cameras."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import tiny_capture
from scipy.spatial.transform import Rotation

from trackersplat.captures.camera import Camera


def write_text_model(folder: Path, cameras: Sequence[Camera], lens: str | None = None) -> None:
    """One COLMAP camera per image; ``lens`` replaces "MODEL params" of all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    lenses, images = ["# a comment"], ["# a comment"]
    for number, camera in enumerate(cameras, start=1):
        text = lens or f"PINHOLE {camera.width} {camera.height} {camera.fx!r} {camera.fy!r} {camera.cx!r} {camera.cy!r}"
        lenses.append(f"{number + 10} {text}")
        x, y, z, w = Rotation.from_matrix(camera.rotation.copy()).as_quat()  # SciPy 1.13 takes no read-only array
        values = " ".join(repr(float(value)) for value in (w, x, y, z, *camera.translation))
        images += [f"{number} {values} {number + 10} {camera.name}.png", "1.5 2.5 -1" if number % 2 else ""]
    (folder / "cameras.txt").write_text("\n".join(lenses) + "\n")
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "points3D.txt").write_text("# a comment\n7 0.25 -1.5 3 10 20 30 0.5 1 0 2 0\n9 1 2 3 255 0 128 0.1\n")


def write_workspace(folder: Path, cameras: Sequence[Camera], frame: int, lens: str | None = None) -> Path:
    write_text_model(folder / "sparse" / "0", cameras, lens)
    (folder / "images").mkdir()
    for camera in cameras:
        cv2.imwrite(str(folder / "images" / f"{camera.name}.png"), np.ascontiguousarray(tiny_capture.render(camera, frame)[..., ::-1]))
    return folder
