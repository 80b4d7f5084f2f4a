"""One rasteriser for the stage and all panes: one rendering at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trackersplat.captures.camera import Camera
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.rendering.rasterizer import Rasterizer, Rendering


class SharedRasterizer:
    """Thread-safe. There is nothing to render with until ``use`` is called."""

    def __init__(self) -> None:
        self._rasterizer: Rasterizer | None = None
        self._lock = threading.Lock()

    def use(self, rasterizer: Rasterizer) -> None:
        self._rasterizer = rasterizer

    @property
    def rasterizer(self) -> Rasterizer | None:
        return self._rasterizer

    @property
    def lock(self) -> threading.Lock:
        """To be held while the rasteriser is used."""
        return self._lock

    def render(self, gaussians: Gaussians, view: Camera) -> Rendering:
        """One view, on the rasteriser's device, without gradients."""
        import torch

        assert self._rasterizer is not None
        with self._lock, torch.inference_mode():
            return self._rasterizer.render(gaussians.to(self._rasterizer.device), [view])
