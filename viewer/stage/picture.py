"""The picture of the stage from any viewpoint: the scene, or the photograph in its place in space until there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from viewer.stage.strokes import surface_depth
from viewer.tab import Tab
from viewer.views.highlight import coverage, highlighted

if TYPE_CHECKING:
    from trackersplat.rendering.rasterizer import Rendering

DIM = 0.4  # brightness of a frame that stands in for one that is not reconstructed, and of the photograph
BACKDROP = (20, 23, 28)  # RGB where nothing is


@dataclass(frozen=True, eq=False)
class Picture:
    image: np.ndarray  # (H, W, 3) uint8
    depth: np.ndarray | None = None  # (H, W) of surfaces; None without a scene


def free_picture(tab: Tab, frame: int, view: Camera) -> Picture:
    """The scene, dimmed if another frame stands for this one; the home camera's photograph where nothing is reconstructed.

    Raises InputError if the frame or the photograph cannot be read.
    """
    document, shared = tab.document, tab.shared
    shown = document.scene(frame) if document.renderer.rasterizer is not None else None
    if shown is None:
        camera, photo = document.home_photo_frame(frame)
        distance = float(np.linalg.norm(document.framing.focus - document.capture.cameras[camera].center))
        return Picture(photo_in_space(document.capture.image(camera, photo), document.capture.cameras[camera], distance, view))
    rendering = document.renderer.render(shown.gaussians, view)
    bright = 1.0 if shared.source_of(frame) == frame else DIM
    return Picture(_bytes(rendering, bright), surface_depth(rendering.depth[0].cpu().numpy(), rendering.alpha[0].cpu().numpy()))


def _bytes(rendering: Rendering, bright: float) -> np.ndarray:
    """(H, W, 3) uint8 before the backdrop, computed where the rendering is: a quarter of the bytes leaves a GPU."""
    import torch

    colour, alpha = rendering.color[0], rendering.alpha[0, ..., None]
    image = (colour * 255.0 + (1.0 - alpha) * torch.tensor(BACKDROP, dtype=colour.dtype, device=colour.device)).clamp(0, 255)
    return (image * bright + 0.5).to(torch.uint8).cpu().numpy()


def with_highlight(tab: Tab, frame: int, image: np.ndarray, view: Camera, scale: float) -> np.ndarray:
    """The image with the selected Gaussians marked. ``scale``: its pixels per CSS pixel. Raises InputError if the frame cannot be read."""
    document, selected = tab.document, tab.view.selected
    rasterizer = document.renderer.rasterizer
    shown = document.scene(frame) if selected is not None and rasterizer is not None else None
    some = document.editing.highlight(shown, selected) if shown is not None else None
    if some is None or rasterizer is None:
        return image
    with document.renderer.lock:
        alpha = coverage(rasterizer, some, view)
    return highlighted(image, alpha, scale)


def photo_in_space(photo: np.ndarray, camera: Camera, distance: float, view: Camera) -> np.ndarray:
    """(H, W, 3) a photograph, dimmed, on the plane at a distance before its camera, as another viewpoint sees it."""
    page = np.empty((view.height, view.width, 3), np.uint8)
    page[:] = BACKDROP
    height, width = photo.shape[:2]
    corners = np.array([(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)])
    pixels = corners * (camera.width / width, camera.height / height)
    rays = np.concatenate(((pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy), np.ones((4, 1))), axis=1)
    world = camera.center + distance * rays @ camera.rotation
    uv, z = view.project(world)
    if (z <= view.near).any() or np.abs(uv).max() > 1e6:
        return page  # it is beside or behind the viewer
    place = cv2.getPerspectiveTransform(corners.astype(np.float32) - 0.5, uv.astype(np.float32) - 0.5)
    dimmed = (photo * DIM + 0.5).astype(np.uint8)
    return np.asarray(
        cv2.warpPerspective(dimmed, place, (view.width, view.height), page, cv2.INTER_AREA, borderMode=cv2.BORDER_TRANSPARENT)
    )


def page_camera(position: np.ndarray, rotation: np.ndarray, fov_y: float, width: int, height: int) -> Camera:
    """The pinhole view of a page: ``rotation`` (3, 3) camera to world in OpenCV axes, centred principal point."""
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation.T
    world_to_camera[:3, 3] = -rotation.T @ position
    focal = 0.5 * height / np.tan(0.5 * fov_y)
    K = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera("page", width, height, K, world_to_camera)


def smaller(view: Camera, scale: float) -> Camera:
    """The same view with fewer pixels."""
    if scale >= 1:
        return view
    return replace(view.resized(max(round(view.width * scale), 16), max(round(view.height * scale), 16)))
