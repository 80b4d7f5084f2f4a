"""What every view says about the motion of every Gaussian, kept with the motion."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import torch
from torch import Tensor

from trackersplat.errors import ShapeError


class ViewState(IntEnum):
    """What became of one view's observation of one Gaussian. `ops.view_evidence` has the rule."""

    UNSEEN = 0  # the view does not show the Gaussian in the base frame
    MASKED = 1  # it shows it, but its tracks carry no confidence: masks contradict them, the tracker does not trust them, or an edit
    REJECTED = 2  # it disagrees with the motion, which the other views made
    INLIER = 3  # it agrees with the motion


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of V views about N Gaussians, for one target frame."""

    cameras: tuple[str, ...]  # V names
    residual_px: Tensor  # (V, N) float32: reprojection error of the motion against the view's tracks; nan where UNSEEN or MASKED
    variance_px2: Tensor  # (V, N) float32 px^2 per axis of the view's observation; inf where it is not valid
    weight: Tensor  # (V, N) float32 in [0, 1]: what the robust solve left of the view's weight; 0 where it is not valid
    state: Tensor  # (V, N) uint8, a ViewState

    def __post_init__(self) -> None:
        shape = (len(self.cameras), self.state.shape[1] if self.state.ndim == 2 else -1)
        for field in fields(self)[1:]:
            if tuple(getattr(self, field.name).shape) != shape:
                raise ShapeError(f"Evidence.{field.name} must have shape {shape}, got {tuple(getattr(self, field.name).shape)}.")

    def __getitem__(self, chosen: Tensor | slice) -> Evidence:
        """The evidence about these Gaussians."""
        parts = {field.name: getattr(self, field.name)[:, chosen] for field in fields(self)[1:]}
        return Evidence(self.cameras, **parts)

    def replaced_where(self, chosen: Tensor, other: Evidence) -> Evidence:
        """``other`` about the ``chosen`` (N,) bool Gaussians, and this about the rest. Raises ShapeError if the cameras differ."""
        if self.cameras != other.cameras:
            raise ShapeError(f"Evidence of cameras {self.cameras} cannot be joined with that of {other.cameras}.")
        parts = {field.name: torch.where(chosen, getattr(other, field.name), getattr(self, field.name)) for field in fields(self)[1:]}
        return Evidence(self.cameras, **parts)

    def rejected_share(self) -> dict[str, float]:
        """Per camera the share of its valid observations that disagree with the motion; nan for one without any.

        A camera that is out of step, or turned, stands out here.
        """
        valid = self.state >= ViewState.REJECTED
        rejected = (self.state == ViewState.REJECTED).sum(1) / valid.sum(1)
        return dict(zip(self.cameras, torch.where(valid.any(1), rejected, torch.nan).tolist(), strict=True))
