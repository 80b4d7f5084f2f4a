"""What is implausible about a frame, in sentences for whoever started the job. Nothing here changes a result."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.metrics.image import constant_psnr
from trackersplat.pipelines.pipeline import FrameResult

BETTER = 1.0  # dB: a first frame must be better than pictures of one colour by this, as the mean over training cameras
MOVING = 0.1  # share of the Gaussians that are not static, above which OWN_TRACKS is checked
OWN_TRACKS = 0.25  # share of these that follow tracks of their own, at least

POOR_FIT = (
    "From the training cameras, the first frame looks hardly better than pictures of one colour would: the poses or the units do not fit "
    "the images. Run `trackersplat check` to find the cause."
)
POOR_HELD_OUT = (
    "From the held-out cameras, the first frame looks worse than pictures of one colour would, although it fits the training cameras: poses "
    "do not belong to the images, such as where those of two cameras are exchanged, or the cameras are too far apart. Run "
    "`trackersplat check` to find the cause."
)
FEW_TRACKS = (
    f"Of the Gaussians that move, less than {OWN_TRACKS:.0%} follow tracks of their own; the others follow their neighbours, or stay. "
    "The views agree on too few tracks: `trackersplat check` says whether a camera is out of step or turned. If the cameras are far apart, "
    "more cameras or a higher frame rate help."
)


def remarks(result: FrameResult, capture: Capture) -> tuple[str, ...]:
    """Of a first frame, whether it shows anything, also from where it was not trained; of a moved one, whether enough tracks moved it."""
    if result.base is None:
        if _gain(result, capture, capture.training_cameras) < BETTER:
            return (POOR_FIT,)
        return (POOR_HELD_OUT,) if _gain(result, capture, capture.held_out_cameras) < 0 else ()
    moving = 1.0 - result.static
    lost = result.motion is not None and moving > MOVING and result.measured < OWN_TRACKS * moving
    return (FEW_TRACKS,) if lost else ()


def _gain(result: FrameResult, capture: Capture, cameras: Iterable[int]) -> float:
    """By how many dB the frame is better than pictures of one colour, as the mean over cameras; infinite where none was measured."""
    by_camera = result.scores.get("psnr", {})
    measured = [
        (by_camera[capture.cameras[i].name], capture.image(i, result.frame)) for i in cameras if capture.cameras[i].name in by_camera
    ]
    gains = [psnr - constant_psnr(image) for psnr, image in measured]
    return float(np.mean(gains)) if gains else np.inf
