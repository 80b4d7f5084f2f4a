"""What is implausible about a frame, in sentences for whoever started the job. Nothing here changes a result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.captures.still_cameras import some
from trackersplat.metrics.image import constant_psnr
from trackersplat.pipelines.pipeline import FrameResult

BETTER = 1.0  # dB: a first frame must be better than pictures of one colour by this, as the mean over training cameras
MOVING = 0.1  # share of the Gaussians that are not static, above which OWN_TRACKS is checked
OWN_TRACKS = 0.25  # share of these that follow tracks of their own, at least

ODD_GAIN = 0.25  # share of the median of `_gains`, below which a training camera does not fit the others
ODD_PSNR = 6.0  # dB below the median of all training cameras: a camera that shows a plain wall gains little, but has a good PSNR

POOR_FIT = (
    "From the training cameras, the first frame looks hardly better than pictures of one colour would: the poses or the units do not fit "
    "the images. Run `trackersplat check` to find the cause."
)
POOR_HELD_OUT = (
    "From the held-out cameras, the first frame looks worse than pictures of one colour would, although it fits the training cameras: "
    "poses do not belong to the images, such as where those of two cameras are exchanged, or the cameras are too far apart. Run "
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
        return tuple(_of_first_frame(result, capture))
    moving = 1.0 - result.static
    lost = result.motion is not None and moving > MOVING and result.measured < OWN_TRACKS * moving
    return (FEW_TRACKS,) if lost else ()


def odd_cameras(names: Sequence[str]) -> str:
    """What to say of training cameras that the first frame does not fit, though it fits the others."""
    poses = "its pose does not belong to its images" if len(names) == 1 else "their poses do not belong to their images, or are exchanged"
    return f"The first frame fits {some(names, 5)} far worse than the other training cameras: {poses}. `trackersplat check` tells which."


def _of_first_frame(result: FrameResult, capture: Capture) -> Iterator[str]:
    training = _gains(result, capture, capture.training_cameras)
    if training and np.mean(list(training.values())) < BETTER:
        yield POOR_FIT
        return
    psnr = {name: result.scores["psnr"][name] for name in training}
    usual_gain, usual_psnr = (float(np.median(list(values.values()) or [0.0])) for values in (training, psnr))
    odd = [name for name, gain in training.items() if gain < ODD_GAIN * usual_gain and psnr[name] < usual_psnr - ODD_PSNR]
    if odd:
        yield odd_cameras(odd)
    held_out = _gains(result, capture, capture.held_out_cameras)
    if held_out and np.mean(list(held_out.values())) < 0:
        yield POOR_HELD_OUT


def _gains(result: FrameResult, capture: Capture, cameras: Iterable[int]) -> dict[str, float]:
    """By how many dB the frame is better than a picture of one colour, for each of these cameras that was measured."""
    by_camera = result.scores.get("psnr", {})
    names = {i: capture.cameras[i].name for i in cameras}
    return {name: by_camera[name] - constant_psnr(capture.image(i, result.frame)) for i, name in names.items() if name in by_camera}
