"""``tracks.npz``: the followed tracks of all cameras at one frame, exactly.

Numbers are kept as whole steps (`motion.followed_tracks`) and byte planes, positions relative to the start of the track; the start frame
and the camera are in the ids. 1,800 tracks of the demo (11 training cameras, 320 x 240) take 41 kB per frame, next to 3.1 MB that its
29,745 Gaussians take as a PLY.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trackersplat.errors import ShapeError
from trackersplat.geometry.devices import downloaded
from trackersplat.motion.followed_tracks import (
    CAMERA_BITS,
    CELL_BITS,
    FRAME_BITS,
    POSITION_LIMIT,
    POSITION_STEP,
    FollowedTracks,
    observations,
    round_probabilities,
)
from trackersplat.store.compact_arrays import camera_names, from_planes, read_compact, to_planes, whole, write_compact
from trackersplat.tracking.tracks import Provenance, TrackEnd, Tracks

TRACKS_FILE = "tracks.npz"
_FORMAT = 1
_MAX_TRACKS = 4_000_000
_MAX_CARRIERS = 64
_MAX_BYTES = 1 << 30
_ARRAYS = ("ids", "query", "positions", "visibility", "confidence", "ends", "hidden", "points", "carriers")


def write_tracks(folder: Path, state: FollowedTracks) -> None:
    """Writes the state to `TRACKS_FILE` in the folder. Raises InputError if it cannot be written; ShapeError if it is not rounded."""
    probabilities = {"visibility": state.visibility, "confidence": state.confidence}
    parts = {name: (values * 255).round().byte() for name, values in probabilities.items()}
    rounded = torch.stack([(round_probabilities(values) == values).all() for values in probabilities.values()])
    found = downloaded({**state.tensors(), **parts, "rounded": rounded})
    values = {name: tensor.numpy() for name, tensor in found.items()}
    query, positions = (_steps(values[name]) for name in ("query", "positions"))
    if not np.array_equal(values["query"][:, 0].astype(np.int64), (values["ids"] >> CELL_BITS) & ((1 << FRAME_BITS) - 1)):
        raise ShapeError("The start frames of tracks do not fit their ids.")
    if not values["rounded"].all():
        raise ShapeError("Visibility and confidence of tracks must be rounded before they are written.")
    arrays = {
        "ids": np.diff(values["ids"], prepend=0),
        "query": np.diff(query[1:], prepend=0).astype(np.int32),
        "positions": positions - query[1:],
        "visibility": values["visibility"],
        "confidence": values["confidence"],
        "ends": values["ends"],
        "hidden": values["hidden"],
        "points": values["points"].T,
        "carriers": values["carriers"].T,
    }
    facts = {
        "format": _FORMAT,
        "frame": state.frame,
        "cameras": state.cameras,
        "tracks": len(state),
        "carriers": state.carriers.shape[1],
        "provenance": asdict(state.provenance),
    }
    write_compact(folder / TRACKS_FILE, facts, {name: to_planes(array) for name, array in arrays.items()})


def read_state(path: Path) -> FollowedTracks:
    """The state as it was written, on the CPU. Raises InputError if the file is missing, damaged or not one of ours."""
    return read_compact(path, _ARRAYS, _MAX_BYTES, _state)


def read_tracks(path: Path) -> dict[str, Tracks]:
    """Camera name -> its tracks at the frame (F = 1). Raises what `read_state` raises."""
    return observations(read_state(path))


def _steps(values: np.ndarray) -> np.ndarray:
    """(P, D) positions to (D, P) int32 steps."""
    steps = values.T.astype(np.float64) / POSITION_STEP
    if not (np.abs(steps) <= POSITION_LIMIT / POSITION_STEP).all() or (steps != np.rint(steps)).any():
        raise ShapeError("Positions of tracks must be rounded before they are written.")
    return steps.astype(np.int32)


def _state(facts: dict[str, Any], planes: dict[str, np.ndarray]) -> FollowedTracks:
    if facts["format"] != _FORMAT:
        raise ValueError(f"format {facts['format']!r}; this version reads {_FORMAT}")
    frame = whole(facts["frame"], 0, (1 << FRAME_BITS) - 1)
    cameras = camera_names(facts["cameras"], 1 << CAMERA_BITS)
    count, carriers = whole(facts["tracks"], 0, _MAX_TRACKS), whole(facts["carriers"], 0, _MAX_CARRIERS)
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {
        "ids": ("i8", (count,)), "query": ("i4", (2, count)), "positions": ("i4", (2, count)), "visibility": ("u1", (count,)),
        "confidence": ("u1", (count,)), "ends": ("u1", (count,)), "hidden": ("i4", (count,)), "points": ("f4", (3, count)),
        "carriers": ("i4", (carriers, count)),
    }  # fmt: skip
    values = {name: from_planes(planes[name], kind, *shape) for name, (kind, shape) in kinds.items()}
    ids = np.cumsum(values["ids"])
    start = (ids >> CELL_BITS) & ((1 << FRAME_BITS) - 1)
    if (np.diff(ids) <= 0).any() or (ids < 0).any() or (ids >> (CELL_BITS + FRAME_BITS) >= len(cameras)).any() or (start > frame).any():
        raise ValueError("the ids of its tracks")
    query = np.cumsum(values["query"].astype(np.int64), axis=1)
    positions = query + values["positions"]
    if max(np.abs(query).max(initial=0), np.abs(positions).max(initial=0)) > POSITION_LIMIT / POSITION_STEP:
        raise ValueError("positions far from any image")
    if (values["ends"] > max(TrackEnd)).any() or (values["hidden"] < 0).any() or (values["carriers"] < -1).any():
        raise ValueError("how its tracks end, are hidden or carried")
    if not np.isfinite(values["points"]).all():
        raise ValueError("points that are not finite")
    pixels = [torch.from_numpy(steps.T.astype(np.float32)) * POSITION_STEP for steps in (query, positions)]
    return FollowedTracks(
        frame=frame,
        cameras=cameras,
        provenance=_provenance(facts["provenance"]),
        ids=torch.from_numpy(ids),
        query=torch.cat((torch.from_numpy(start.astype(np.float32))[:, None], pixels[0]), dim=1),
        positions=pixels[1],
        visibility=torch.from_numpy(values["visibility"]).float() / 255,
        confidence=torch.from_numpy(values["confidence"]).float() / 255,
        ends=torch.from_numpy(values["ends"]),
        hidden=torch.from_numpy(values["hidden"]),
        points=torch.from_numpy(values["points"].T.copy()),
        carriers=torch.from_numpy(values["carriers"].T.copy()),
    )


def _provenance(facts: Any) -> Provenance:
    texts = {name: facts[name] for name in ("tracker", "version", "weights", "licence")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("where its tracks come from")
    size = facts["size"]
    if size is not None:
        width, height = size
        size = (whole(width, 1, POSITION_LIMIT), whole(height, 1, POSITION_LIMIT))
    return Provenance(**texts, size=size)
