"""Points whose place in a target frame is known from outside the tracks, as observations of the Gaussians that carry them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trackersplat.captures.camera import Camera
from trackersplat.geometry.projection import inside_image, project
from trackersplat.motion.measure import Measurements
from trackersplat.tracking.space_tracks import KnownShift


@dataclass(frozen=True, eq=False)
class PointCorrection:
    """A material point in the base frame and in one target frame."""

    track: int  # id of the track that follows it
    before: Tensor  # (3,) float64 world
    after: Tensor  # (3,) float64 world
    carriers: Tensor  # (K,) int64 indices of the Gaussians that carry it
    deviation_px: float  # per axis, in every view
    unused: frozenset[str] = frozenset()  # names of cameras whose views have no weight

    @property
    def shift(self) -> Tensor:
        """(3,) scene units."""
        return self.after - self.before


def with_corrections(
    measurements: Measurements, means: Tensor, cameras: Sequence[Camera], corrections: Sequence[Sequence[PointCorrection]]
) -> Measurements:
    """The measurements, but the carriers of each point move as the point does, in every view into whose image they fall there.

    ``corrections`` has one sequence per target, ``means`` are (N, 3). What tracks said about the carriers counts no more for this target,
    and the deviation is that of moving Gaussians: the views are weighted equally. A Gaussian that carries two points takes the last.
    """
    names = ("displacement", "variance", "rough", "moved")
    changed = {name: getattr(measurements, name).clone() for name in names}
    corrected = torch.zeros_like(measurements.displacement[0, ..., 0], dtype=torch.bool)
    for target, points in enumerate(corrections):
        for point in points:
            _correct(changed, measurements, target, point, means.double(), cameras)
            corrected[target, point.carriers] = True
    return replace(measurements, corrected=corrected, **changed)


def _correct(
    changed: dict[str, Tensor], measurements: Measurements, target: int, point: PointCorrection, means: Tensor, cameras: Sequence[Camera]
) -> None:
    start = means[point.carriers]
    for view, camera in enumerate(cameras):
        surface = measurements.surface[view, point.carriers].double()  # observations are of the surface
        before, _ = project([camera], start)
        after, depth = project([camera], start + surface + point.shift.to(start))
        seen = inside_image(after[0], camera.width, camera.height) & (depth[0] > camera.near) & (camera.name not in point.unused)
        shift = (after - before)[0].float()
        variance = point.deviation_px**2 / measurements.inverse_view_weight[view, point.carriers]
        values = {
            "displacement": torch.where(seen[:, None], shift, 0.0),
            "variance": torch.where(seen, variance, torch.inf),
            "rough": torch.zeros_like(variance),
            "moved": torch.where(seen, shift.norm(dim=-1), 0.0),
        }
        for name, value in values.items():
            changed[name][view, target, point.carriers] = value.to(changed[name])


def with_known_shifts(
    measurements: Measurements,
    means: Tensor,  # (N, 3)
    cameras: Sequence[Camera],
    known: Sequence[KnownShift],  # one per target
    least_trust: float,
    deviation_px: float,
) -> Measurements:
    """The measurements, but Gaussians whose shift is known move so in every view into whose image they fall before and after.

    Known is what is trusted by ``least_trust`` or more. The deviation is that of trust 1, and the views are weighted equally. Of Gaussians
    that are known for some target, observations are of the mean itself and not of the surface.
    """
    points = means.double()
    changed = {name: getattr(measurements, name).clone() for name in ("displacement", "variance", "rough", "moved", "surface")}
    before, start_depth = project(cameras, points)
    size = points.new_tensor([(camera.width, camera.height) for camera in cameras]).T[..., None]
    near = points.new_tensor([camera.near for camera in cameras])[:, None]
    for target, there in enumerate(known):
        chosen = (there.trust >= least_trust).nonzero()[:, 0]
        after, depth = project(cameras, points[chosen] + there.shift[chosen].to(points))
        seen = inside_image(after, *size) & (depth > near) & (start_depth[:, chosen] > near) & inside_image(before[:, chosen], *size)
        shift = torch.where(seen[..., None], after - before[:, chosen], 0.0)
        weight = measurements.inverse_view_weight[:, chosen] * there.trust[chosen].to(points)
        values = {
            "displacement": shift,
            "variance": torch.where(seen, deviation_px**2 / weight, torch.inf),
            "rough": torch.zeros_like(depth),
            "moved": shift.norm(dim=-1),
        }
        for name, value in values.items():
            changed[name][:, target, chosen] = value.to(changed[name])
        changed["surface"][:, chosen] = 0.0
    return replace(measurements, **changed)
