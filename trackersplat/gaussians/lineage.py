"""Which Gaussian is which through time: indices stay, but a faint Gaussian may make way for another at its index."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

INDEX_BITS = 32  # of a global id; the frame of birth is above them


@dataclass(frozen=True, eq=False)
class Lineage:
    """Of N Gaussians: the fitted frame that they descend from, and the frame in which each was born."""

    origin: int  # index of the frame that was fitted from scratch
    born: Tensor  # (N,) int64 frame indices, ``origin`` for those that were there from the start

    @staticmethod
    def of_first_frame(frame: int, count: int) -> Lineage:
        return Lineage(frame, torch.full((count,), frame, dtype=torch.int64))

    def with_replaced(self, indices: Tensor, frame: int) -> Lineage:
        """After the Gaussians at these indices made way for others in ``frame``. Indices outside are ignored: a file may be of
        another run."""
        indices = indices[indices < len(self.born)]
        return replace(self, born=self.born.index_fill(0, indices.to(self.born.device), frame)) if len(indices) else self

    @property
    def ids(self) -> Tensor:
        """(N,) int64 global ids: the same number is the same Gaussian in every frame of a run."""
        return (self.born << INDEX_BITS) + torch.arange(len(self.born), device=self.born.device)

    @property
    def replaced(self) -> Tensor:
        """(B,) int64, ascending: indices that hold other Gaussians than the origin does."""
        return torch.nonzero(self.born != self.origin)[:, 0]

    def to(self, device: torch.device | str) -> Lineage:
        return replace(self, born=self.born.to(device))
