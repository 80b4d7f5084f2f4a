"""Tracks made from arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trackersplat.tracking.tracks import DenseTracks, Provenance

MADE = Provenance("made")


def made_tracks(
    base: int,
    targets: Sequence[int],
    positions: np.ndarray | Tensor,
    visibility: np.ndarray | Tensor,
    confidence: np.ndarray | Tensor,
    hidden_weight: float = 0.1,
) -> DenseTracks:
    """Float32 tensors of the arrays, positions (F, H, W, 2) and probabilities (F, H, W)."""
    parts = (torch.as_tensor(np.ascontiguousarray(values)).float() for values in (positions, visibility, confidence))
    return DenseTracks(base, tuple(targets), *parts, hidden_weight, MADE)
