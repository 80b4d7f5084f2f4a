"""Adam on the raw parameters of Gaussians, one view per step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.gaussians.gaussians import Gaussians, concatenate
from trackersplat.geometry.devices import has_triton
from trackersplat.geometry.projection import centers
from trackersplat.rendering.device_images import device_image
from trackersplat.rendering.rasterizer import Rasterizer, Rendering
from trackersplat.training.losses import LossSettings, photometric_loss

MOMENTUM = 0.9  # decay of the first moment, as in torch's Adam

Correction = Callable[[int, Tensor], Tensor]  # (view, rendered colours) -> the colours as that view's camera shows them
Penalty = Callable[[int, Gaussians, Rendering], Tensor]  # (view, what was rendered, the rendering) -> what is added to the loss


@dataclass(frozen=True)
class LearningRates:
    """Adam step sizes per raw parameter. Positions are relative to the scene extent and fall to ``means_end`` over the steps.

    Larger than those of 3DGS, which are meant for 30,000 steps; with a thousand steps, letting the other rates fall too costs quality.
    """

    means: float = 1.6e-3
    means_end: float = 4e-5
    quats: float = 2e-2
    log_scales: float = 4e-2
    opacity_logits: float = 1e-1
    sh_dc: float = 5e-3
    sh_rest: float = 5e-4

    def slower(self, pace: float) -> LearningRates:
        """All of them times ``pace``."""
        return LearningRates(**{field.name: pace * getattr(self, field.name) for field in fields(self)})


@dataclass
class _Moments:
    """What Adam knows of one raw parameter: the decayed means of its gradient and of its square, (N, ...) each, after ``steps``."""

    mean: Tensor
    square: Tensor
    steps: Tensor  # scalar, on the device

    @staticmethod
    def none(parameter: Tensor) -> _Moments:
        return _Moments(torch.zeros_like(parameter), torch.zeros_like(parameter), parameter.new_zeros(()))


def warm_up_share(done: int, warm_up: int) -> float:
    """Of the rates, in the step after ``done`` ones, where they rise over the first ``warm_up`` steps."""
    return min(1.0, (done + 1) / warm_up) if warm_up else 1.0


class Optimiser:
    """Gaussians under optimisation, with the moments of Adam for each.

    The order of the Gaussians is kept by `step`; `rebuild` changes which there are and carries the moments of those that stay.
    """

    def __init__(
        self, gaussians: Gaussians, rates: LearningRates, extent: float, steps: int, momentum: float = MOMENTUM, warm_up: int = 0
    ) -> None:
        """``momentum`` is the decay of the first moment of Adam; over the first ``warm_up`` steps the rates rise to their full size."""
        self._momentum, self._warm_up = momentum, warm_up
        self._rates, self._extent, self._steps, self._done = rates, extent, max(steps, 1), 0
        values = {**gaussians.detach().tensors()}
        sh = values.pop("sh")
        values["sh_dc"], values["sh_rest"] = sh[:, :1], sh[:, 1:]
        self._parameters = {name: value.clone().contiguous().requires_grad_() for name, value in values.items()}
        self._moments: dict[str, _Moments] = {}  # of those that had a step

    def __len__(self) -> int:
        return len(self._parameters["means"])

    @property
    def means_rate(self) -> float:
        """The step size of the means in scene units, as the next step takes it where the rates are full."""
        progress = min(self._done / self._steps, 1.0)
        return self._rates.means ** (1 - progress) * self._rates.means_end**progress * self._extent

    def gaussians(self) -> Gaussians:
        """The current state; differentiable with respect to the parameters."""
        p = self._parameters
        sh = torch.cat((p["sh_dc"], p["sh_rest"]), dim=1)
        return Gaussians(p["means"], p["quats"], p["log_scales"], p["opacity_logits"], sh)

    def snapshot(self) -> Gaussians:
        """A copy that later steps do not change."""
        state = self.gaussians().detach()
        return Gaussians(**{name: tensor.clone() for name, tensor in state.tensors().items()})

    def step(self, loss: Tensor, *others: Optimiser) -> None:
        """One step down the gradient of ``loss``, and one of each of the ``others`` whose Gaussians it depends on, too."""
        together = (self, *others)
        for each in together:
            for parameter in each._parameters.values():
                parameter.grad = None
        loss.backward()
        for each in together:
            each._follow_gradients()
            each._done += 1

    @torch.no_grad()
    def _follow_gradients(self) -> None:
        # The function of torch, not its class: that imports torch's compiler, which costs a process seconds.
        share = warm_up_share(self._done, self._warm_up)
        for name, parameter in self._parameters.items():
            if parameter.grad is None:
                continue
            if name not in self._moments:
                self._moments[name] = _Moments.none(parameter)
            moments = self._moments[name]
            adam(
                [parameter], [parameter.grad], [moments.mean], [moments.square], [], [moments.steps],
                fused=True, amsgrad=False, beta1=self._momentum, beta2=0.999, weight_decay=0.0, eps=1e-15, maximize=False,
                lr=share * (self.means_rate if name == "means" else getattr(self._rates, name)),
            )  # fmt: skip

    def gradient(self, name: str) -> Tensor:
        """Of the last step's loss, by the raw parameter "means", "quats", "log_scales" or "opacity_logits"; zero before the first one."""
        gradient = self._parameters[name].grad
        return torch.zeros_like(self._parameters[name]) if gradient is None else gradient

    @torch.no_grad()
    def shift(self, name: str, amount: Tensor) -> None:
        """Adds to a raw parameter of all Gaussians and leaves the moments as they are."""
        self._parameters[name] += amount

    @torch.no_grad()
    def overwrite(self, name: str, values: Tensor) -> None:
        """New values for a raw parameter of all Gaussians, which then starts with no moments."""
        self._parameters[name].copy_(values)
        self._moments.pop(name, None)

    @torch.no_grad()
    def rebuild(self, keep: Tensor, added: Gaussians) -> None:
        """Keeps the Gaussians ``keep`` (indices, in this order) with their moments and appends ``added`` with none."""
        extra = dict(added.detach().tensors())
        sh = extra.pop("sh")
        extra["sh_dc"], extra["sh_rest"] = sh[:, :1], sh[:, 1:]
        old = self._parameters
        self._parameters = {name: torch.cat((old[name].detach()[keep], extra[name])).requires_grad_() for name in old}
        for name, moments in self._moments.items():
            none = torch.zeros_like(extra[name])
            moments.mean, moments.square = torch.cat((moments.mean[keep], none)), torch.cat((moments.square[keep], none))


class TrainingViews:
    """The training images of one frame on the rasteriser's device, drawn in seeded order, each once before any a second time."""

    def __init__(self, capture: Capture, frame: int, device: torch.device, seed: int) -> None:
        self.cameras = [capture.cameras[i] for i in capture.training_cameras]
        self._bytes = [device_image(capture, i, frame, device) for i in capture.training_cameras]
        self._random = np.random.default_rng(seed)
        self._order: list[int] = []
        self.drawn = -1  # the view drawn last

    def __len__(self) -> int:
        return len(self.cameras)

    def draw(self) -> int:
        """The index of the next view."""
        if not self._order:
            self._order = self._random.permutation(len(self)).tolist()
        self.drawn = self._order.pop()
        return self.drawn

    def reference(self, view: int) -> Tensor:
        """What the photometric loss compares with: `image`, as bytes where it reads these."""
        return self.bytes(view) if has_triton(self._bytes[view]) else self.image(view)

    def bytes(self, view: int) -> Tensor:
        """(1, H, W, 3) uint8."""
        return self._bytes[view][None]

    def image(self, view: int) -> Tensor:
        """(1, H, W, 3) float32 in [0, 1]."""
        return self._bytes[view][None].float() / 255


def scene_extent(cameras: Sequence[Camera]) -> float:
    """The radius of the rig in scene units, as 3DGS defines it: 1.1 times the largest distance of a camera from their mean."""
    places = centers(cameras)
    radius = 1.1 * float(np.linalg.norm(places - places.mean(axis=0), axis=1).max())
    return radius if radius > 0 else 1.0


@dataclass(frozen=True)
class Objective:
    """What a step minimises beside, and how it renders. None leaves a part out."""

    loss: LossSettings = field(default_factory=LossSettings)
    correct: Correction | None = None  # the photometric loss compares what this makes of the rendered colours
    penalty: Penalty | None = None  # added to what is minimised
    needs_depth: bool = True  # whether the penalty looks at more of a rendering than its colours
    sh_degree: Callable[[int], int] | None = None  # (step, from 0) -> bands of the spherical harmonics that it uses; None: all
    background: Callable[[], Tensor] | None = None  # draws the colour (3,) behind each step's picture; None: black
    thin: Callable[[int, Gaussians], Gaussians] | None = None  # (step, from 0; all) -> those that are rendered in this step; None: all


def optimise(
    optimiser: Optimiser,
    views: TrainingViews,
    rasterizer: Rasterizer,
    steps: int,
    objective: Objective,
    static: Optimiser | None = None,
) -> Iterator[Tensor]:
    """Runs ``steps`` steps, one view each, and yields the photometric loss of each.

    ``static`` Gaussians are rendered too and take steps of their own; the penalty does not see them. Whatever ``correct`` learns from has
    its gradient when the loss is yielded.
    """
    others = () if static is None else (static,)
    fused = rasterizer.fused_color() if objective.penalty is None or not objective.needs_depth else None
    correct, penalty, sh_degree, background = objective.correct, objective.penalty, objective.sh_degree, objective.background
    for step in range(steps):
        view = views.draw()
        gaussians = optimiser.gaussians()
        shown = concatenate([gaussians, *(other.gaussians() for other in others)]) if others else gaussians
        if objective.thin is not None:
            shown = objective.thin(step, shown)
        degree, behind = None if sh_degree is None else sh_degree(step), None if background is None else background()
        camera = views.cameras[view]
        if fused is None:
            rendering = rasterizer.render(shown, [camera], sh_degree=degree, background=behind)
        else:
            none = shown.means.new_zeros(0)
            rendering = Rendering(fused(shown, camera, sh_degree=degree, background=behind), none, none)
        color = rendering.color if correct is None else correct(view, rendering.color)
        loss = photometric_loss(color, views.reference(view), objective.loss)
        optimiser.step(loss if penalty is None else loss + penalty(view, gaussians, rendering), *others)
        yield loss.detach()
