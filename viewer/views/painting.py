"""Renderings of one camera, whole or cropped, and how they become one picture (`viewer.views.picture`)."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from viewer.views.colours import MOVING, STATIC, ColourScale, MapName, blend, map_colours
from viewer.views.compare import Channel, Rect, Score, difference, error_scale, pixel_scores, wipe
from viewer.views.highlight import coverage
from viewer.views.request import PaneRequest, Sources

if TYPE_CHECKING:
    from torch import Tensor

    from trackersplat.rendering.rasterizer import Rendering

SEEN = 0.5  # opacity from which on a pixel shows a surface
LARGEST_SIDE = 4096  # device pixels of a pane
MEMORY = 256 << 20  # bytes of renderings to keep


@dataclass(frozen=True, eq=False)
class Layer:
    """One rendering: colours, or values with nan where there is nothing."""

    colour: np.ndarray | None = None  # (H, W, 3) uint8
    values: np.ndarray | None = None  # (H, W) float32

    @property
    def array(self) -> np.ndarray:
        array = self.colour if self.colour is not None else self.values
        assert array is not None
        return array

    def part(self, rect: Rect) -> Layer:
        x0, y0, x1, y1 = rect
        cut = self.array[y0:y1, x0:x1]
        return Layer(colour=cut) if self.colour is not None else Layer(values=cut)


class Renderings:
    """Whole cameras at full resolution, least recently used first out. One thread at a time."""

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._kept: OrderedDict[tuple[object, ...], tuple[tuple[object, ...], Layer]] = OrderedDict()

    def get(self, *key: object) -> Layer | None:
        """``key``: the objects that it was made of, compared by identity unless they are strings."""
        found = self._kept.get(_identities(key))
        if found is None:
            return None
        self._kept.move_to_end(_identities(key))
        return found[1]

    def put(self, layer: Layer, *key: object) -> None:
        self._kept[_identities(key)] = (key, layer)  # the objects stay alive with it, so that their identity stays theirs
        while len(self._kept) > 1 and sum(kept.array.nbytes for _, kept in self._kept.values()) > self._memory:
            self._kept.popitem(last=False)


def _identities(key: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(part if isinstance(part, str) else id(part) for part in key)


@dataclass(frozen=True)
class Window:
    """Which pixels of the camera are needed, and how many of them the pane can show."""

    rect: Rect
    width: int  # of the picture
    height: int
    zoom: float  # device pixels per camera pixel
    whole: bool

    @staticmethod
    def of(request: PaneRequest, camera: Camera) -> Window:
        width, height = (min(max(side, 16), LARGEST_SIDE) for side in request.size)
        if request.rect is not None:
            x0, y0, x1, y1 = request.rect
            left, top = max(math.floor(x0), 0), max(math.floor(y0), 0)
            right, bottom = min(math.ceil(x1), camera.width), min(math.ceil(y1), camera.height)
            if left < right and top < bottom and x1 > x0 and y1 > y0:
                zoom = width / (x1 - x0)
                rect = (left, top, right, bottom)
                return Window(rect, *_shown_size(rect, zoom), zoom, rect == (0, 0, camera.width, camera.height))
        zoom = min(width / camera.width, height / camera.height)
        rect = (0, 0, camera.width, camera.height)
        return Window(rect, *_shown_size(rect, zoom), zoom, True)


def _shown_size(rect: Rect, zoom: float) -> tuple[int, int]:
    scale = min(zoom, 1.0)
    return max(round((rect[2] - rect[0]) * scale), 1), max(round((rect[3] - rect[1]) * scale), 1)


@dataclass(frozen=True, eq=False)
class Shown:
    image: np.ndarray  # of the window's rect, at the resolution it was rendered in
    scale: ColourScale | None


class Painting:
    """One picture in the making."""

    def __init__(self, request: PaneRequest, sources: Sources, kept: Renderings, window: Window) -> None:
        self._request, self._sources, self._kept, self._window = request, sources, kept, window

    def shown(self) -> Shown:
        request = self._request
        main = self._layer(other=request.compare == "other")
        if request.channel != "colour":
            scale = self._scale(main)
            image = self._coloured(main, scale)
            if request.compare == "wipe":
                image = wipe(self._coloured(self._layer(other=True), scale), image, self.edge(image.shape[1]))
            return Shown(image, scale)
        assert main.colour is not None
        if request.compare == "wipe":
            return Shown(wipe(self._reference(main.colour.shape), main.colour, self.edge(main.colour.shape[1])), None)
        if request.compare == "error":
            scale = error_scale(request.against)
            error = difference(main.colour, self._reference(main.colour.shape))
            return Shown(map_colours(scale.levels(error), scale.map), scale)
        return Shown(main.colour, None)

    def edge(self, columns: int) -> int:
        """The first column of the window's picture that shows the render."""
        x0, _, x1, _ = self._window.rect
        column = round(min(max(self._request.wipe, 0.0), 1.0) * self._sources.camera.width)
        return min(max(round((column - x0) * columns / (x1 - x0)), 0), columns)

    def score(self) -> Score | None:
        """Of the pixels that are shown; with the wipe, of those right of the line."""
        request, sources = self._request, self._sources
        x0, y0, x1, y1 = self._window.rect
        what = ""
        if request.compare == "wipe":
            x0 += self.edge(x1 - x0)
            what = "right part"
        elif request.compare == "error" and request.against == "run":
            what = f"against {sources.other_name}"
        if x0 >= x1:
            return None
        image = self._whole(other=request.compare == "other").colour
        assert image is not None
        between = request.compare == "error" and request.against == "run"
        reference = self._whole(other=True).colour if between else sources.photo()
        if reference is None or reference.shape != image.shape:
            return None
        rect = (x0, y0, x1, y1)
        whole = rect == (0, 0, sources.camera.width, sources.camera.height)
        return Score(*pixel_scores(image, reference, rect), rect, whole, sources.camera.name, sources.held_out, request.frame, what)

    def selected(self, width: int, height: int) -> np.ndarray:
        """(height, width) how opaque the selected Gaussians are over the window."""
        sources, size = self._sources, f"{self._window.rect} {width} {height}"
        assert sources.selected is not None
        assert sources.rasterizer is not None
        key = (sources.selected, sources.camera, size)
        layer = self._kept.get(*key)
        if layer is None:
            view = cropped(sources.camera, self._window.rect, width, height)
            layer = Layer(values=coverage(sources.rasterizer, sources.selected, view))
            self._kept.put(layer, *key)
        return layer.array

    # -- layers -------------------------------------------------------------------------------------------------------

    def _reference(self, shape: tuple[int, ...]) -> np.ndarray:
        """What the render is compared with, over the window and in the size of its picture."""
        if self._request.against == "run":
            colour = self._layer(other=True).colour
            assert colour is not None
            return colour
        x0, y0, x1, y1 = self._window.rect
        photo = self._sources.photo()[y0:y1, x0:x1]
        return photo if photo.shape == shape else cv2.resize(photo, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)

    def _layer(self, other: bool = False) -> Layer:
        """The window's part: of the whole camera if that is asked for or there already, else of the cropped one."""
        request, window = self._request, self._window
        whole = self._kept.get(*self._key(other))
        if whole is None and request.full:
            whole = self._whole(other)
        if whole is not None:
            return whole.part(window.rect)
        width, height = (max(round(side * request.detail), 8) for side in (window.width, window.height))
        most = (window.rect[2] - window.rect[0], window.rect[3] - window.rect[1])
        return self._render(cropped(self._sources.camera, window.rect, min(width, most[0]), min(height, most[1])), other)

    def _whole(self, other: bool) -> Layer:
        key = self._key(other)
        layer = self._kept.get(*key)
        if layer is None:
            layer = self._render(self._sources.camera, other)
            self._kept.put(layer, *key)
        return layer

    def _key(self, other: bool) -> tuple[object, ...]:
        sources, channel = self._sources, self._request.channel
        values = None if other else getattr(sources, channel, None)
        colours = sources.other_colours if other else sources.colours
        return sources.other if other else sources.gaussians, sources.camera, channel, values, colours

    def _render(self, view: Camera, other: bool) -> Layer:
        import torch

        sources, channel = self._sources, self._request.channel
        gaussians = sources.other if other else sources.gaussians
        assert gaussians is not None
        assert sources.rasterizer is not None
        with torch.inference_mode():
            device = sources.rasterizer.device
            values = None if other else _values(sources, channel)
            channels = None if values is None else values.to(device)
            rendering = sources.rasterizer.render(gaussians.to(device), [view], channels=channels)
            if channel == "colour":
                colours = sources.other_colours if other else sources.colours
                color = rendering.color[0] if colours is None else colours.apply(sources.camera.name, rendering.color[0])
                return Layer(colour=_bytes(color).cpu().numpy())
            return Layer(values=_channel(rendering, channel))

    def _scale(self, layer: Layer) -> ColourScale:
        """The colour scale of a channel; without given limits, from the whole camera if it has been rendered."""
        request, sources = self._request, self._sources
        if request.channel == "opacity":
            return ColourScale("Opacity", "", 0.0, 1.0, "grey")
        if request.channel == "static":
            return ColourScale("Motion", "", 0.0, 1.0, "grey", labels=(("static", STATIC), ("moving", MOVING)), empty="nothing there")
        whole = self._kept.get(*self._key(other=request.compare == "other"))
        values = (whole or layer).values
        assert values is not None
        titles: dict[str, tuple[str, str, MapName]] = {
            "depth": ("Depth", sources.length_unit, "viridis"),
            "motion": ("Motion", f"{sources.length_unit} per frame", "inferno"),
            "age": ("Age", "frames", "cividis"),
            "error": ("Error per Gaussian", "grey levels", "inferno"),
        }
        title, unit, name = titles[request.channel]
        low, high = request.limits if request.limits is not None else _limits(values, from_zero=request.channel != "depth")
        return ColourScale(title, unit, low, high, name, reversed=request.channel == "depth", empty="nothing there")

    def _coloured(self, layer: Layer, scale: ColourScale) -> np.ndarray:
        assert layer.values is not None
        if self._request.channel == "static":
            return blend(layer.values, MOVING, STATIC)
        return map_colours(scale.levels(layer.values), scale.map)


def cropped(camera: Camera, rect: Rect, width: int, height: int) -> Camera:
    """The part ``rect`` of a camera's image, sampled with ``width`` x ``height`` pixels."""
    x0, y0, x1, y1 = rect
    K = camera.K.copy()
    K[0, 2] -= x0
    K[1, 2] -= y0
    part = replace(camera, width=x1 - x0, height=y1 - y0, K=K)
    return part if (part.width, part.height) == (width, height) else part.resized(width, height)


def _values(sources: Sources, channel: Channel) -> Tensor | None:
    """(N, 1) float32 to blend for a per-Gaussian channel."""
    if channel == "motion" and sources.motion is not None:
        return sources.motion.float().norm(dim=-1, keepdim=True)
    values = {"static": sources.static, "age": sources.age, "error": sources.error}.get(channel)
    return None if values is None else values.float().reshape(-1, 1)


def _channel(rendering: Rendering, channel: Channel) -> np.ndarray:
    """(H, W) float32; nan where no surface is seen."""
    alpha = rendering.alpha[0].cpu().numpy()
    if channel == "opacity":
        return alpha
    blended = rendering.depth[0] if rendering.channels is None else rendering.channels[0, ..., 0]
    values = blended.cpu().numpy() / np.maximum(alpha, 1e-6)
    return np.where(alpha > SEEN, values, np.float32(np.nan)).astype(np.float32)


def _limits(values: np.ndarray, from_zero: bool) -> tuple[float, float]:
    """The 2nd (or 0) and the 98th percentile of what is there."""
    seen = values[np.isfinite(values)]
    if not len(seen):
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(seen, (2, 98)))
    low = 0.0 if from_zero else low
    return (low, high) if high > low else (low, low + 1.0)


def _bytes(values: Tensor) -> Tensor:
    """[0, 1] to uint8, rounded, where the values are: a quarter of the bytes leaves a GPU."""
    import torch

    return (values.clamp(0.0, 1.0) * 255.0 + 0.5).to(torch.uint8)
