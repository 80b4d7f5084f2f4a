"""What is known about every track in every frame, and the findings about cameras; kept in one file beside the run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from trackersplat.captures.arrays import ArrayFile, ArrayLayout, StoredArray
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.errors import InputError, ShapeError
from trackersplat.events import Event
from trackersplat.files import NPZ_DAMAGE, atomic_file

DIAGNOSIS_FILE = "diagnosis.npz"
CameraFault = Literal["turned", "out of step", "out of focus", "biased"]
_FORMAT = 1
_TRACKS_AT_ONCE = 512  # that are summarised together: their numbers stay in the cache
_FACTS_BYTES = 8 << 20  # of the JSON text in a file


@dataclass(frozen=True)
class CameraFinding:
    """One thing that is wrong with a camera, as the tracks and the rendering show it."""

    camera: str
    kind: CameraFault
    amount: float  # in the unit
    unit: str  # "degrees", "frames", "px" or "" for a plain number
    sentence: str
    action: str


@dataclass(frozen=True, eq=False)
class TrackSummary:
    """One row per track, (P,) each; nan where nothing is known."""

    first: np.ndarray  # int32 frame index: the first with a position
    last: np.ndarray  # int32
    worst: np.ndarray  # int32: of the highest score
    max_score: np.ndarray  # float32
    mean_score: np.ndarray
    mean_reprojection: np.ndarray  # px
    max_reprojection: np.ndarray  # px
    forward_backward: np.ndarray  # px, the largest
    views: np.ndarray  # float32, the median number of supporting views
    state: np.ndarray  # uint8, a TrackState: in its last frame
    category: np.ndarray  # uint8, a Category: that of the worst frame


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """P tracks of all cameras over F frames. Pixels have centres at +0.5; nan where there is nothing."""

    cameras: tuple[str, ...]
    frames: tuple[int, ...]  # F frame indices, ascending
    ids: np.ndarray  # (P,) int64
    camera: np.ndarray  # (P,) int16 index into ``cameras``
    query: np.ndarray  # (P, 3) float32: frame index and pixel x, y at which the track began
    carrier: np.ndarray  # (P,) int64 index of the Gaussian that carries it most; -1: none
    position: np.ndarray  # (F, P, 2) float32 px, measured
    reprojected: np.ndarray  # (F, P, 2) float32 px: the point that all views agree on
    rendered: np.ndarray  # (F, P, 2) float32 px: the material point, carried by the Gaussians
    world: np.ndarray  # (F, P, 3) float32 scene units: the point that all views agree on
    state: np.ndarray  # (F, P) uint8, a TrackState
    evidence: Mapping[str, np.ndarray]  # (F, P) float32 by the names of `registry.EVIDENCE`
    score: np.ndarray  # (F, P) float32 in [0, 1]: probability that the position is wrong
    category: np.ndarray  # (F, P) uint8, a Category
    cameras_found: tuple[CameraFinding, ...] = ()
    remarks: tuple[str, ...] = ()  # sentences: what could not be told, and why

    def __post_init__(self) -> None:
        count, frames = len(self.ids), len(self.frames)
        shapes: dict[str, tuple[int, ...]] = {
            "camera": (count,), "query": (count, 3), "carrier": (count,), "position": (frames, count, 2),
            "reprojected": (frames, count, 2), "rendered": (frames, count, 2), "world": (frames, count, 3),
            "state": (frames, count), "score": (frames, count), "category": (frames, count),
        }  # fmt: skip
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ShapeError(f"Diagnosis.{name} must have shape {shape}, got {getattr(self, name).shape}.")
        if isinstance(self.evidence, _Packed):
            return  # one array of the right shape; to look at each would unpack it
        for name, values in self.evidence.items():
            if values.shape != (frames, count):
                raise ShapeError(f"Evidence {name} must have shape {(frames, count)}, got {values.shape}.")

    def __len__(self) -> int:
        return len(self.ids)

    def summary(self) -> TrackSummary:
        """One row per track."""
        if not self.frames:
            raise ShapeError("A diagnosis of no frames has no summary.")
        starts = range(0, max(len(self), 1), _TRACKS_AT_ONCE)
        parts = [vars(self._summary(slice(start, start + _TRACKS_AT_ONCE))) for start in starts]
        return TrackSummary(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def _summary(self, tracks: slice) -> TrackSummary:
        all_state, all_score, frames = self.state[:, tracks], self.score[:, tracks], np.array(self.frames, np.int32)
        there = (all_state == TrackState.VISIBLE) | (all_state == TrackState.HIDDEN) | (all_state == TrackState.ENDED)
        first, last, columns = there.argmax(0), len(frames) - 1 - there[::-1].argmax(0), np.arange(all_state.shape[1])
        worst = np.where(np.isnan(all_score), -1.0, all_score).argmax(0)
        unknown = np.broadcast_to(np.float32(np.nan), self.score.shape)
        residual, backward, views = (self.evidence.get(name, unknown)[:, tracks] for name in ("reprojection", "forward_backward", "views"))
        return TrackSummary(
            first=frames[first],
            last=frames[last],
            worst=frames[worst],
            max_score=_max(all_score),
            mean_score=_mean(all_score),
            mean_reprojection=_mean(residual),
            max_reprojection=_max(residual),
            forward_backward=_max(backward),
            views=_median(views),
            state=np.where(there.any(0), all_state[last, columns], TrackState.ABSENT).astype(np.uint8),
            category=self.category[:, tracks][worst, columns],
        )

    def evidence_in(self, row: int) -> dict[str, np.ndarray]:
        """All evidence in one frame, (P,) float32 each; ``row`` is the index of the frame in ``frames``."""
        if isinstance(self.evidence, _Packed):
            return self.evidence.of_frame(row)
        return {name: values[row] for name, values in self.evidence.items()}

    def counts(self) -> dict[Category, int]:
        """Tracks by the category of their worst frame, in the order of the categories; those without any are absent."""
        found = Counter(self.summary().category.tolist())
        return {category: found[category] for category in Category if found[category]}

    def by_camera(self, name: str) -> np.ndarray:
        """(C, F) median over the tracks of each camera of a piece of evidence, or of "score"; nan where there is none.

        A camera that is wrong is a stripe in it.
        """
        values = self.score if name == "score" else self.evidence[name]
        return np.stack([_median(values[:, self.camera == index].T) for index in range(len(self.cameras))])

    def to_npz(self, path: Path, key: str) -> None:
        """Writes the file at once or not at all. ``key`` says what it was made from (see `from_npz`).

        Scores and evidence are kept to three digits. Raises InputError if it cannot be written.
        """
        facts = {
            "format": _FORMAT, "key": key, "cameras": self.cameras, "frames": self.frames, "evidence": list(self.evidence),
            "found": [vars(finding) for finding in self.cameras_found], "remarks": self.remarks,
        }  # fmt: skip
        shape = self.score.shape
        with np.errstate(over="ignore"):
            evidence = np.stack(list(self.evidence.values())).astype(np.float16) if self.evidence else np.zeros((0, *shape), np.float16)
            arrays = {name: getattr(self, name) for name in _ARRAYS} | {"score": self.score.astype(np.float16), "evidence": evidence}
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez(file, facts=text, **arrays)

    @staticmethod
    def from_npz(path: Path, key: str | None = None) -> Diagnosis | None:
        """The diagnosis in that file; None if there is no such file, or it was made from something else than ``key`` says.

        Raises InputError if the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            with ArrayFile(path) as file:
                facts = _facts(file.read({"facts": _LAYOUT["facts"]})["facts"])  # first: of another key nothing else is read
                if facts["format"] != _FORMAT or (key is not None and facts["key"] != key):
                    return None
                return _diagnosis(facts, *_arrays(file))
        except (*NPZ_DAMAGE, RecursionError) as error:
            raise InputError(f"{path} is damaged ({str(error)[:120]}): remove it and diagnose the run again.") from error


class _Packed(Mapping[str, np.ndarray]):
    """Evidence as a file has it, (E, F, P) float16: what is asked for is read and unpacked then, and kept. Most of it never is."""

    def __init__(self, names: Sequence[str], values: np.ndarray | StoredArray) -> None:
        self._rows = {name: row for row, name in enumerate(names)}
        self._values = values
        self._unpacked: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        found = self._unpacked.get(name)
        if found is None:
            found = self._unpacked[name] = self._values[self._rows[name],].astype(np.float32)
        return found

    def of_frame(self, frame: int) -> dict[str, np.ndarray]:
        return {name: self._values[row, frame].astype(np.float32) for name, row in self._rows.items()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class FrameExamined(Event):
    """All evidence about the tracks in one frame is there."""

    frame: int
    done: int  # frames
    total: int


@dataclass(frozen=True)
class DiagnosisDone(Event):
    """The last event of a diagnosis."""

    diagnosis: Diagnosis


_LAYOUT: ArrayLayout = {
    "facts": ("u", ("bytes",)), "ids": ("i", ("P",)), "camera": ("i", ("P",)), "query": ("f", ("P", 3)), "carrier": ("i", ("P",)),
    "position": ("f", ("F", "P", 2)), "reprojected": ("f", ("F", "P", 2)), "rendered": ("f", ("F", "P", 2)),
    "world": ("f", ("F", "P", 3)), "state": ("u", ("F", "P")), "category": ("u", ("F", "P")), "score": ("f", ("F", "P")),
    "evidence": ("f", ("E", "F", "P")),
}  # fmt: skip
_ARRAYS = tuple(name for name in _LAYOUT if name not in ("facts", "score", "evidence"))


def _facts(text: np.ndarray) -> dict[str, Any]:
    if text.size > _FACTS_BYTES:
        raise ValueError(f"{text.size:,} bytes of facts")
    facts = json.loads(text.tobytes())
    if not isinstance(facts, dict):
        raise ValueError("its facts are not a JSON object")
    return facts


def _arrays(file: ArrayFile) -> tuple[dict[str, np.ndarray], np.ndarray | StoredArray]:
    """All but the facts and the evidence, and the evidence (E, F, P). Raises InputError."""
    stored = file.stored("evidence")
    apart = {"facts"} if stored is None else {"facts", "evidence"}
    arrays = file.read({name: layout for name, layout in _LAYOUT.items() if name not in apart})
    return (arrays, arrays.pop("evidence")) if stored is None else (arrays, stored)


def _diagnosis(facts: dict[str, Any], arrays: dict[str, np.ndarray], values: np.ndarray | StoredArray) -> Diagnosis:
    cameras, names, frames = facts["cameras"], facts["evidence"], facts["frames"]
    if not all(isinstance(name, str) for name in (*cameras, *names, *facts["remarks"])):
        raise ValueError("names that are no text")
    if not all(isinstance(frame, int) and not isinstance(frame, bool) and frame >= 0 for frame in frames) or frames != sorted(set(frames)):
        raise ValueError("frames that do not ascend")
    if values.dtype.kind != "f" or values.shape != (len(names), *arrays["score"].shape):
        raise ValueError(f"evidence of type {values.dtype} and shape {values.shape}")
    if len(frames) != len(arrays["score"]) or not set(names) <= set(EVIDENCE.names()):
        raise ValueError("evidence or frames that do not fit its arrays")
    if (arrays["camera"] < 0).any() or (arrays["camera"] >= len(cameras)).any():
        raise ValueError("tracks of unknown cameras")
    if (arrays["category"] > max(Category)).any() or (arrays["state"] > max(TrackState)).any():
        raise ValueError("an unknown category or state")
    found = tuple(_finding(values) for values in facts["found"])
    evidence = _Packed(tuple(names), values)
    score = arrays.pop("score").astype(np.float32)
    return Diagnosis(
        tuple(cameras), tuple(frames), evidence=evidence, score=score, cameras_found=found, remarks=tuple(facts["remarks"]), **arrays
    )


def _finding(values: dict[str, Any]) -> CameraFinding:
    finding = CameraFinding(**values)
    texts = (finding.camera, finding.unit, finding.sentence, finding.action)
    if finding.kind not in get_args(CameraFault) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a finding of an unknown kind")
    return CameraFinding(**(values | {"amount": float(finding.amount)}))


def _mean(values: np.ndarray) -> np.ndarray:
    """Over the frames, of the numbers there are."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: np.ndarray = (np.where(known, values, 0).sum(0) / np.where(known.any(0), known.sum(0), np.nan)).astype(np.float32)
    return mean


def _max(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    largest: np.ndarray = np.where(known.any(0), np.where(known, values, -np.inf).max(0), np.nan).astype(np.float32)
    return largest


def _median(values: np.ndarray) -> np.ndarray:
    """Of the numbers in each column; nan for columns without a finite one."""
    if not len(values):
        return np.full(values.shape[1], np.nan, np.float32)
    rows = np.ascontiguousarray(values.T)
    finite = np.isfinite(rows).any(1)
    rows.sort(axis=1)  # nan last
    count = rows.shape[1] - np.isnan(rows).sum(1)
    middle = np.stack([np.maximum(count - 1, 0) // 2, np.minimum(count // 2, rows.shape[1] - 1)], axis=1)
    with np.errstate(invalid="ignore"):  # of both infinities
        median = np.take_along_axis(rows, middle, axis=1).mean(axis=1)
    return np.where(finite, median, np.nan).astype(np.float32)
