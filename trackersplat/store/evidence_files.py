"""``evidence.npz``: what every view said about the motion of every Gaussian at one frame, in one byte per view and Gaussian.

Two bits are the state, six the residual, in 64 logarithmic steps from 0 to 64 px. What is lost: residuals to half a step (at most 0.003 px
at 0, 6 % from 1 px on; larger ones become 64 px); the weight of an inlier, read back as 1, of all others as 0; the variance of a valid
observation, read back as nan. 29,745 Gaussians of the demo in 11 training views take 165 kB per frame, next
to 3.1 MB as a PLY.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import downloaded
from trackersplat.motion.evidence import Evidence, ViewState
from trackersplat.store.compact_arrays import camera_names, read_compact, whole, write_compact

EVIDENCE_FILE = "evidence.npz"
_FORMAT = 1
_MAX_GAUSSIANS = 50_000_000
_MAX_VIEWS = 8192
_MAX_BYTES = 4 << 30
_STEPS = 63  # six bits
_LARGEST_PX = 64.0
_LINEAR_PX = 0.05  # steps are even below, logarithmic above


def write_evidence(path: Path, evidence: Evidence) -> None:
    """Raises InputError if it cannot be written; ShapeError if a state is none."""
    codes = _codes_on_device(evidence) if evidence.state.is_cuda else _codes(evidence)
    write_compact(path, {"format": _FORMAT, "cameras": evidence.cameras, "gaussians": codes.shape[1]}, {"codes": codes})


def _codes(evidence: Evidence) -> np.ndarray:
    state = evidence.state.detach().numpy()
    if (state > max(ViewState)).any():
        raise ShapeError(f"States of evidence go up to {max(ViewState)}, got {state.max()}.")
    residual = evidence.residual_px.detach().double().numpy()
    valid = (state >= ViewState.REJECTED) & ~np.isnan(residual)
    scaled = np.log1p(np.clip(np.where(valid, residual, 0.0), 0.0, _LARGEST_PX) / _LINEAR_PX) / np.log1p(_LARGEST_PX / _LINEAR_PX)
    codes: np.ndarray = (state.astype(np.uint8) << 6) | np.rint(scaled * _STEPS).astype(np.uint8)
    return codes


def _codes_on_device(evidence: Evidence) -> np.ndarray:
    """The same on a GPU: a byte in place of five is copied from there, and no core is busy with logarithms."""
    state, residual = evidence.state.detach(), evidence.residual_px.detach().double()
    valid = (state >= ViewState.REJECTED) & ~residual.isnan()
    scaled = torch.log1p(torch.where(valid, residual, 0.0).clamp(0.0, _LARGEST_PX) / _LINEAR_PX) / np.log1p(_LARGEST_PX / _LINEAR_PX)
    codes = (state.byte() << 6) | (scaled * _STEPS).round().byte()
    found = downloaded({"codes": codes, "largest": state.flatten().amax(dim=0, keepdim=True) if state.numel() else state.flatten()})
    if (found["largest"] > max(ViewState)).any():
        raise ShapeError(f"States of evidence go up to {max(ViewState)}, got {int(found['largest'])}.")
    return np.asarray(found["codes"].numpy())


def read_evidence(path: Path) -> Evidence:
    """The evidence, on the CPU, as far as it is kept. Raises InputError if the file is missing, damaged or not one of ours."""
    return read_compact(path, ("codes",), _MAX_BYTES, _evidence)


def _evidence(facts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Evidence:
    if facts["format"] != _FORMAT:
        raise ValueError(f"format {facts['format']!r}; this version reads {_FORMAT}")
    cameras = camera_names(facts["cameras"], _MAX_VIEWS)
    codes, shape = arrays["codes"], (len(cameras), whole(facts["gaussians"], 0, _MAX_GAUSSIANS))
    if codes.shape != shape:
        raise ValueError(f"codes of shape {codes.shape} instead of {shape}")
    state = codes >> 6
    table = _LINEAR_PX * np.expm1(np.arange(_STEPS + 1) / _STEPS * np.log1p(_LARGEST_PX / _LINEAR_PX))
    valid = state >= ViewState.REJECTED
    residual = np.where(valid, table.astype(np.float32)[codes & _STEPS], np.float32(np.nan))
    return Evidence(
        cameras=cameras,
        residual_px=torch.from_numpy(residual),
        variance_px2=torch.from_numpy(np.where(valid, np.float32(np.nan), np.float32(np.inf))),
        weight=torch.from_numpy((state == ViewState.INLIER).astype(np.float32)),
        state=torch.from_numpy(state),
    )
