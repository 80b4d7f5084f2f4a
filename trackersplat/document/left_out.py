"""What the document of a run deletes is left out of what is reconstructed from its frames.

Its Gaussians keep their rows, so that lineage, tracks and files stay valid, but become so faint that no back end draws them. The
refinement may then use their rows for what appears, as it does with all faint ones.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from trackersplat.document.document import Document
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.pipelines.pipeline import ChainState

LOGIT = -8.0  # opacity 0.0003: a tenth of the least that is drawn (`rendering.rules.ALPHA_MIN`)


def leave_out(document: Document, state: ChainState, frame: int) -> tuple[ChainState, int]:
    """The state without what is deleted in ``frame`` and all later ones, and how many of its Gaussians that makes faint only now."""
    deleted = document.left_out(frame)
    if not len(deleted):
        return state, 0
    rows = torch.from_numpy(deleted.rows(ids_of(document, state))).to(state.gaussians.device)
    new = int((state.gaussians.opacity_logits[rows] > LOGIT).sum())
    origin = state.origin
    if origin is not None:  # also where nothing is new: a run that is continued has read it anew
        ids = Lineage.of_first_frame(origin.frame, len(origin.gaussians)).ids.numpy()
        first = torch.from_numpy(deleted.rows(ids)).to(origin.gaussians.device)
        origin = replace(origin, gaussians=_faint(origin.gaussians, first))
    return replace(state, gaussians=_faint(state.gaussians, rows), origin=origin), new


def ids_of(document: Document, state: ChainState) -> np.ndarray:
    """(N,) int64 lineage ids of a state."""
    return document.original_ids(state.frame) if state.lineage is None else state.lineage.ids.cpu().numpy()


def _faint(gaussians: Gaussians, rows: torch.Tensor) -> Gaussians:
    logits = gaussians.opacity_logits.clone()
    logits[rows] = logits[rows].clamp_max(LOGIT)
    return replace(gaussians, opacity_logits=logits)
