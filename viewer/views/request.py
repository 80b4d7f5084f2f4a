"""What a camera pane asks for, what its picture is made of, and the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from viewer.views.colours import ColourScale
from viewer.views.compare import Against, Channel, Compare, Rect, Score, role

if TYPE_CHECKING:
    from torch import Tensor

    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.rendering.rasterizer import Rasterizer
    from trackersplat.training.photometric import ColourAffines


class Unavailable(InputError):
    """There is no such picture; the message says why and what can be done."""


@dataclass(frozen=True)
class PaneRequest:
    """All that determines the picture of a pane. Frames are indices from 0; rectangles are in camera pixels."""

    camera: int
    frame: int = 0
    compare: Compare = "render"
    channel: Channel = "colour"
    against: Against = "photo"  # what wipe and error compare with
    wipe: float = 0.5  # share of the image's width that shows the reference
    rect: tuple[float, float, float, float] | None = None  # what the pane covers, also beside the image; None: the image fits into it
    size: tuple[int, int] = (640, 480)  # device pixels of the pane
    full: bool = True  # every pixel, scored; False while things move
    detail: float = 1.0  # share of the width and height that is rendered while things move
    limits: tuple[float, float] | None = None  # of the colour scale; None: from the values
    revision: int = 0  # grows when the same request means another picture
    selected: int = 0  # another number: other Gaussians are selected
    overlay: int = 0  # grows when the same request means other marks


@dataclass(frozen=True, eq=False)
class Sources:
    """What a picture of one camera and frame is made of. Per-Gaussian values belong to ``gaussians``, in their order."""

    camera: Camera
    held_out: bool
    photo: Callable[[], np.ndarray]  # (H, W, 3) uint8 of the frame asked for; may raise InputError
    rasterizer: Rasterizer | None = None
    waiting: str = ""  # why there is no rasteriser yet, for people
    gaussians: Gaussians | None = None
    source_frame: int | None = None  # the frame that the Gaussians are of
    draft: bool = False  # that frame is still being optimised
    edited: bool = False  # edits have changed the Gaussians: they are not those that the run's scores are of
    selected: Gaussians | None = None  # what stands for the selected ones, see `views.highlight`
    colours: ColourAffines | None = None  # of a training camera whose colours differ from those of the scene
    motion: Tensor | None = None  # (N, 3) scene units since the frame before
    static: Tensor | None = None  # (N,) bool
    age: Tensor | None = None  # (N,) frames since the Gaussian was made
    error: Tensor | None = None  # (N,) mean absolute colour difference where it is seen, in grey levels of 255
    missing: Mapping[Channel, str] = field(default_factory=dict)  # why a channel is not there, in a sentence
    name: str = "this run"
    other: Gaussians | None = None  # another run's, of the same frame
    other_name: str = "the other run"
    other_colours: ColourAffines | None = None
    length_unit: str = "scene units"
    filmed: bool = True  # False: the photograph is blank, nothing is compared with it

    @property
    def role(self) -> str:
        return role(self.held_out, self.filmed)


@dataclass(frozen=True, eq=False)
class PanePicture:
    """What a pane shows of a camera."""

    image: np.ndarray  # (H, W, 3) uint8
    rect: Rect  # the part of the camera's image that it covers
    camera: str
    camera_size: tuple[int, int]
    role: str
    frame: int  # the frame that is shown
    title: str  # what is shown
    note: str = ""  # what is special about it
    score: Score | None = None
    scale: ColourScale | None = None
    wipe: float | None = None  # where the line is, as a share of the image's width
    lossless: bool = False  # must reach the page without loss
    exact: bool = False  # every pixel is that of the camera, but for the highlight of what is selected
