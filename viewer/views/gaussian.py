"""What is known about one Gaussian of a frame: as numbers and words for the inspector. No toolkit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.captures.camera import Camera

if TYPE_CHECKING:
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.motion.evidence import Evidence
    from trackersplat.rendering.rasterizer import Rasterizer

LEAST_SEEN = 0.05  # sum of weights, in pixels, from which a view counts as seeing a Gaussian


@dataclass(frozen=True)
class Attributes:
    """Of one Gaussian in one frame. Scene units."""

    index: int
    count: int  # Gaussians of the frame
    position: tuple[float, float, float]
    scales: tuple[float, float, float]  # standard deviations, descending
    opacity: float
    colour: tuple[int, int, int]  # RGB without the part that depends on the viewpoint


@dataclass(frozen=True)
class Origin:
    """Where it comes from."""

    fitted: int  # frame that was fitted from scratch
    born: int  # frame in which this Gaussian took its index; `fitted` for those that were there from the start

    def words(self) -> str:
        if self.born == self.fitted:
            return f"There since the fit of frame {self.fitted + 1}."
        return f"Born in frame {self.born + 1}, in place of a faint Gaussian of the chain that began in frame {self.fitted + 1}."


@dataclass(frozen=True)
class ViewOpinion:
    """What one view's tracks said about its motion into this frame."""

    camera: str
    state: str  # in words
    residual: float | None  # px
    weight: float


@dataclass(frozen=True)
class Seen:
    """What one view has of it in this frame."""

    camera: str
    weight: float  # sum of blending weights: pixels that it fills
    error: float | None  # mean absolute difference from the photograph where it is seen, grey levels of 255, weighted


_STATES = ("not seen", "masked or not trusted", "disagrees", "agrees")


def attributes(gaussians: Gaussians, index: int) -> Attributes:
    from trackersplat.gaussians.gaussians import SH_C0

    one = gaussians[slice(index, index + 1)]
    colour = np.clip((0.5 + SH_C0 * one.sh[0, 0].cpu().numpy()) * 255 + 0.5, 0, 255).astype(int)
    x, y, z = (float(value) for value in one.means[0])
    a, b, c = sorted((float(value) for value in one.scales[0]), reverse=True)
    red, green, blue = (int(value) for value in colour)
    return Attributes(index, len(gaussians), (x, y, z), (a, b, c), float(one.opacities[0]), (red, green, blue))


def opinions(evidence: Evidence, index: int) -> tuple[ViewOpinion, ...]:
    """Of the views that saw it, those that disagree first, then by residual."""
    found = []
    for row, camera in enumerate(evidence.cameras):
        state, residual = int(evidence.state[row, index]), float(evidence.residual_px[row, index])
        if state:
            found.append(
                ViewOpinion(camera, _STATES[state], residual if np.isfinite(residual) else None, float(evidence.weight[row, index]))
            )
    return tuple(sorted(found, key=lambda view: (view.state != _STATES[2], -(view.residual or 0.0))))


def motion_words(evidence: Evidence | None, index: int) -> str:
    """Whether tracks moved it, or why that is not known."""
    if evidence is None:
        return "The run kept no evidence about motion in this frame."
    if index >= evidence.state.shape[1]:
        return "The evidence of this frame is of fewer Gaussians."
    states = [int(state) for state in evidence.state[:, index]]
    agree, disagree = states.count(3), states.count(2)
    if not agree and not disagree:
        return "No view's tracks say how it moved: it follows its neighbours, or rests."
    return f"{agree} of {agree + disagree} views agree on its motion." + (f" {disagree} disagree." if disagree else "")


def seen_by(
    rasterizer: Rasterizer, gaussians: Gaussians, index: int, cameras: Sequence[Camera], photos: Sequence[np.ndarray | None]
) -> tuple[Seen, ...]:
    """The views that see it, most first. ``photos``: (H, W, 3) uint8 at the cameras' sizes; None where there is none to compare with."""
    import torch

    from trackersplat.rendering.lift import lift

    there = gaussians.to(rasterizer.device)
    found = []
    for camera, photo in zip(cameras, photos, strict=True):
        _, depth = camera.project(gaussians.means[index : index + 1].cpu().numpy().astype(np.float64))
        if depth[0] <= camera.near:
            continue
        features = torch.ones(1, camera.height, camera.width, 2, device=rasterizer.device)
        if photo is None:
            features[..., 1] = 0.0
        else:
            with torch.inference_mode():
                colour = rasterizer.render(there, [camera]).color
            target = torch.from_numpy(np.array(photo)).to(rasterizer.device).float()[None]
            features[..., 1] = (colour.clamp(0, 1) * 255 - target).abs().mean(-1)
        weight, error = (float(value) for value in lift(rasterizer, there, [camera], features)[0, index].cpu())
        if weight >= LEAST_SEEN:
            found.append(Seen(camera.name, weight, None if photo is None else error / weight))
    return tuple(sorted(found, key=lambda seen: -seen.weight))


def total_error(seen: Sequence[Seen]) -> float | None:
    """Over all views, weighted by what each sees of it, grey levels of 255."""
    known = [(one.weight, one.error) for one in seen if one.error is not None]
    return sum(weight * error for weight, error in known) / sum(weight for weight, _ in known) if known else None


@dataclass(frozen=True)
class Facts:
    """What the inspector shows of a Gaussian at once; `seen_by` takes longer."""

    attributes: Attributes
    frame: int  # that the Gaussians are of
    origin: Origin | None  # None where the run does not say
    step: tuple[int, float] | None  # the frame it was moved from, and how far in scene units; 0.0: it is static there
    motion: str
    opinions: tuple[ViewOpinion, ...]


def step_words(step: tuple[int, float] | None) -> str:
    if step is None:
        return "It was not moved from another frame."
    base, way = step
    return f"Static: exactly where it was in frame {base + 1}." if way == 0 else f"Moved {way:.4g} scene units since frame {base + 1}."
