"""A bounded set of 2D tracks per camera that keep their ids through the whole clip: settings, and the state at one frame."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from trackersplat.errors import ShapeError
from trackersplat.motion.settings import CarryPointsSettings
from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks

POSITION_STEP = 1 / 64  # px: positions are whole multiples of it, so that files keep them exactly
PROBABILITY_STEP = 1 / 255  # visibility and confidence are whole multiples of it
POSITION_LIMIT = 1 << 17  # px to either side of 0: float32 still has the steps there

# An id is camera index * 2^40 + start frame * 2^20 + grid cell: below 2^53, so that JSON and JavaScript keep it.
CELL_BITS, FRAME_BITS, CAMERA_BITS = 20, 20, 13


@dataclass(frozen=True)
class FollowSettings:
    """Which points of each camera's images are followed through the clip, and for how long. Pixels are those of the tracked images."""

    spacing: float = 1 / 16  # of the grid on which tracks start, as a share of the longest image side
    maximum: int = 400  # tracks that are followed per camera at once
    gap: float = 0.75  # a track starts in a grid cell with no visible track this near to its centre, in spacings
    visible: float = 0.5  # visibility below which a track is hidden
    reliable: float = 0.5  # confidence below which the tracker's position is not trusted alone
    contradiction_px: float = 2.0  # distance of the tracker's position from that of the Gaussians at which they contradict each other
    occluder_px: float = 0.5  # the same distance at which the tracker follows what covers the point, if something does
    hidden_frames: int = 30  # a track hidden for more frames than this ends
    surface_tolerance: float = 0.03  # difference of depth, over the depth, up to which a point is on the rendered surface
    minimum_alpha: float = 0.5  # rendered opacity from which there is a surface
    depth_scale: float = 0.5  # size of the rendered depth images, as a share of the cameras' own
    carriers: int = 4  # Gaussians kept per track as those that carry it
    carrier_candidates: int = 16  # nearest Gaussians among which they are chosen
    carry_points: CarryPointsSettings = field(default_factory=CarryPointsSettings)  # of the points from frame to frame


@dataclass(frozen=True, eq=False)
class FollowedTracks:
    """The P tracks of all cameras at one frame, in the order of their ids. All tensors on one device.

    Values are rounded (`POSITION_STEP`, `PROBABILITY_STEP`), so that a state read from its file equals the one that was written.
    A track that ends at this frame is among them; it is absent from later frames.
    """

    frame: int  # index
    cameras: tuple[str, ...]  # names; a camera's index here is part of the ids of its tracks
    provenance: Provenance
    ids: Tensor  # (P,) int64, ascending
    query: Tensor  # (P, 3) float32: frame index t and pixel x, y at which the track began
    positions: Tensor  # (P, 2) float32 px, centres at +0.5, finite; of hidden tracks the reprojection of their points
    visibility: Tensor  # (P,) float32 in [0, 1]
    confidence: Tensor  # (P,) float32 in [0, 1]: trust in the position; of hidden tracks in the motion of the Gaussians
    ends: Tensor  # (P,) uint8, a TrackEnd
    hidden: Tensor  # (P,) int32 frames since it was last seen; 0: visible
    points: Tensor  # (P, 3) float32 world: the material point
    carriers: Tensor  # (P, k) int32 indices of the Gaussians that carried it where it began; -1: none, or replaced since

    def __post_init__(self) -> None:
        count, carriers = self.ids.numel(), self.carriers.shape[-1]
        shapes = {
            "ids": (count,), "query": (count, 3), "positions": (count, 2), "visibility": (count,), "confidence": (count,),
            "ends": (count,), "hidden": (count,), "points": (count, 3), "carriers": (count, carriers),
        }  # fmt: skip
        for name, shape in shapes.items():
            tensor = getattr(self, name)
            if tuple(tensor.shape) != shape or tensor.device != self.ids.device:
                expected, got = f"{shape} on {self.ids.device}", f"{tuple(tensor.shape)} on {tensor.device}"
                raise ShapeError(f"FollowedTracks.{name} must be {expected}, got {got}.")

    def __len__(self) -> int:
        return self.ids.numel()

    def __getitem__(self, chosen: Tensor) -> FollowedTracks:
        """A subset by boolean mask or ascending indices."""
        if chosen.dtype == torch.bool:
            chosen = chosen.nonzero()[:, 0]  # looked for once, not for each tensor: a GPU waits for it
        return self.with_tensors({name: tensor[chosen] for name, tensor in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        """Field name -> tensor, in declaration order."""
        return {field.name: getattr(self, field.name) for field in fields(self)[3:]}

    def with_tensors(self, tensors: dict[str, Tensor]) -> FollowedTracks:
        """The same frame and cameras, all tensors replaced."""
        return FollowedTracks(self.frame, self.cameras, self.provenance, **tensors)

    @property
    def camera(self) -> Tensor:
        """(P,) int64 indices into ``cameras``."""
        return self.ids >> (CELL_BITS + FRAME_BITS)

    @property
    def alive(self) -> Tensor:
        """(P,) bool: not ended at this frame."""
        return self.ends == TrackEnd.ALIVE

    def to(self, device: torch.device | str) -> FollowedTracks:
        return self.with_tensors({name: tensor.to(device) for name, tensor in self.tensors().items()})


def observations(state: FollowedTracks) -> dict[str, Tracks]:
    """Camera name -> its tracks at the state's frame (F = 1); cameras without tracks have an entry with none."""
    of_camera = state.camera
    result = {}
    for index, name in enumerate(state.cameras):
        part = state[of_camera == index]
        result[name] = Tracks(
            camera=name,
            ids=part.ids,
            query=part.query,
            frames=(state.frame,),
            positions=part.positions[None],
            visibility=part.visibility[None],
            confidence=part.confidence[None],
            ends=part.ends[None],
            provenance=state.provenance,
        )
    return result


def without_replaced(state: FollowedTracks, indices: Tensor) -> FollowedTracks:
    """The state after the Gaussians at ``indices`` (B,) were replaced by others: they carry no track any more.

    A track that loses its last carrier so ends as REPLACED.
    """
    before = (state.carriers >= 0).any(-1)
    carriers = torch.where(is_among(state.carriers, indices.to(state.carriers).sort().values), -1, state.carriers)
    lost = before & (carriers < 0).all(-1) & state.alive
    return replace(state, carriers=carriers, ends=torch.where(lost, int(TrackEnd.REPLACED), state.ends))


def is_among(values: Tensor, ascending: Tensor) -> Tensor:
    """Which of the ``values`` (...) are among those that ascend (K,); on a GPU without waiting for it."""
    if not len(ascending):
        return torch.zeros_like(values, dtype=torch.bool)
    return ascending[torch.searchsorted(ascending, values).clamp_max(len(ascending) - 1)] == values


def round_positions(pixels: Tensor) -> Tensor:
    """Finite positions (..., 2) to multiples of `POSITION_STEP`, float32, at most `POSITION_LIMIT` from 0."""
    return (pixels.clamp(-POSITION_LIMIT, POSITION_LIMIT) / POSITION_STEP).round().float() * POSITION_STEP


def round_probabilities(values: Tensor) -> Tensor:
    """Values in [0, 1] to multiples of `PROBABILITY_STEP`, float32; nan becomes 0."""
    return (values.nan_to_num(0.0).clamp(0, 1) * 255).round().float() / 255


def track_ids(camera: int | Tensor, frame: int, cells: Tensor) -> Tensor:
    """(P,) int64 ids of tracks that start in grid cells (P,) int64 of a camera, or each of its own (P,), ascending with these two.

    Raises ShapeError if a number does not fit into its part of an id.
    """
    largest = int(cells.max()) if cells.numel() else 0
    last = camera if isinstance(camera, int) else int(camera.max()) if camera.numel() else 0
    if not (0 <= last < 1 << CAMERA_BITS and 0 <= frame < 1 << FRAME_BITS and largest < 1 << CELL_BITS):
        raise ShapeError(f"Camera {last}, frame {frame} or grid cell {largest} does not fit into the id of a track.")
    return (camera << (CELL_BITS + FRAME_BITS)) + (frame << CELL_BITS) + cells


def start_frame(track: int) -> int:
    """The index of the frame in which the track of this id began."""
    return (track >> CELL_BITS) & ((1 << FRAME_BITS) - 1)
