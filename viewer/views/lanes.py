"""The lanes of the timeline: what is known about every frame, as rows over time. Frames are indices from 0."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trackersplat.events import FrameDone
from trackersplat.store.record import FrameRecord

if TYPE_CHECKING:
    from trackersplat.diagnosis.diagnosis import Diagnosis

Kind = Literal["line", "state", "count"]
Better = Literal["high", "low", "none"]
FrameState = Literal["todo", "running", "done", "failed", "stale"]

# Of Okabe and Ito, told apart by the colour-blind too; those of the page by their CSS names.
BLUE, ORANGE, YELLOW, VERMILION, GREEN, PURPLE = "#56B4E9", "#E69F00", "#F0E442", "#D55E00", "#009E73", "#CC79A7"
MUTED = "--muted"

NOT_MEASURED = "No frame has been measured yet"
NOT_DIAGNOSED = "Not known before the tracks of the run are diagnosed"


@dataclass(frozen=True)
class Series:
    """One value per frame; None where there is none."""

    label: str
    values: tuple[float | None, ...]
    colour: str  # "#rrggbb" or the name of a CSS variable of the page, "--accent"
    faint: bool = False  # drawn thin and dashed, without a number at the current frame; it may lie beyond the scale


@dataclass(frozen=True)
class Lane:
    """A row of the timeline."""

    key: str
    title: str
    unit: str
    kind: Kind
    series: tuple[Series, ...] = ()
    better: Better = "none"
    low: float = 0.0  # ends of the scale; greater values are marked as being beyond it
    high: float = 1.0
    states: tuple[FrameState, ...] = ()  # per frame, for the kind "state"
    warn_below: float | None = None  # frames whose first series is below it are hatched
    digits: int = 0  # after the decimal point, for people
    note: str = ""  # shown where there is no value at all


@dataclass(frozen=True)
class LaneSettings:
    """What the lanes call too few, and how tracks are judged."""

    error: str = "reprojection"  # name of the evidence that is shown as the track error
    least_tracks: float = 8.0  # per camera; fewer are hatched
    least_views: int = 3  # two determine a point, the third checks it
    crowding: float = 8.0  # values of more than so many times the median are left out of the scale


@dataclass(frozen=True)
class Work:
    """How far the frames are: those on disk, and what the present job and an edit mean for them."""

    done: Collection[int] = ()
    running: int | None = None
    failed: Collection[int] = ()
    stale: Collection[int] = ()  # on disk, but made before the last edit


@dataclass(frozen=True, eq=False)
class TrackValues:
    """What is shown of all tracks, in each of F frames."""

    frames: tuple[int, ...]
    cameras: int  # that have tracks at all
    followed: np.ndarray  # (F,) tracks with a measured position
    lost: np.ndarray  # (F,) tracks that started in this frame or earlier and have none
    views: np.ndarray  # (F,) cameras with a followed track
    mean_error: np.ndarray  # (F,) nan where no track has an error
    error: np.ndarray  # (F, P)


_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0)
_NOTHING = np.zeros(0)
_NO_TRACKS = TrackValues((), 0, _NOTHING, _NOTHING, _NOTHING, _NOTHING, np.zeros((0, 0)))


def track_values(diagnosis: Diagnosis, settings: LaneSettings | None = None) -> TrackValues:
    """To be computed once per diagnosis: it goes through all of its arrays."""
    settings = settings or LaneSettings()
    frames = np.asarray(diagnosis.frames, dtype=np.int64)
    measured = np.isfinite(diagnosis.position[..., 0]) & np.isfinite(diagnosis.position[..., 1])  # `all` over so short an axis is slow
    started = diagnosis.query[:, 0] <= frames[:, None]
    cameras = np.unique(diagnosis.camera)
    views = [measured[:, diagnosis.camera == camera].any(axis=1) for camera in cameras]
    error = diagnosis.evidence.get(settings.error, np.full(measured.shape, np.nan, dtype=np.float32))
    known = np.isfinite(error)
    count = known.sum(axis=1)
    total = np.where(known, error, 0.0).sum(axis=1, dtype=np.float64)
    return TrackValues(
        frames=tuple(int(frame) for frame in frames),
        cameras=len(cameras),
        followed=measured.sum(axis=1),
        lost=(~measured & started).sum(axis=1),
        views=np.sum(views, axis=0) if views else np.zeros(len(frames), dtype=np.int64),
        mean_error=np.where(count > 0, total / np.maximum(count, 1), np.nan),
        error=error,
    )


def lanes(
    frame_count: int,
    records: Mapping[int, FrameDone],
    training: Mapping[int, float],
    work: Work,
    tracks: TrackValues | None = None,
    selection: Collection[int] = (),
    settings: LaneSettings | None = None,
) -> tuple[Lane, ...]:
    """Every lane, the most important first (the page drops the last ones where there is no room).

    ``training`` is what `training_psnr` gives, ``tracks`` what `track_values` gives, ``selection`` the selected columns of the diagnosis.
    """
    settings = settings or LaneSettings()
    return (
        state_lane(frame_count, work),
        psnr_lane(frame_count, records, training),
        *track_lanes(frame_count, tracks, selection, settings),
        _lane(
            "gaussians",
            "Gaussians",
            "",
            "line",
            [Series("Gaussians", _by_frame(frame_count, {f: done.gaussians for f, done in records.items()}), BLUE)],
            note=NOT_MEASURED,
        ),
        _lane(
            "seconds",
            "Time",
            "s",
            "count",
            [Series("time", _by_frame(frame_count, {f: done.total_seconds for f, done in records.items()}), MUTED)],
            better="low",
            digits=1,
            note=NOT_MEASURED,
            crowding=settings.crowding,
        ),
    )


def state_lane(frame_count: int, work: Work) -> Lane:
    """The frame in work counts as running whatever else it is, a failed one as failed although an older result is there."""
    states: list[FrameState] = ["todo"] * frame_count
    marks: tuple[tuple[Iterable[int], FrameState], ...] = (
        (work.done, "done"),
        (work.stale, "stale"),
        (work.failed, "failed"),
        (() if work.running is None else (work.running,), "running"),
    )
    for frames, state in marks:
        for frame in frames:
            if 0 <= frame < frame_count:
                states[frame] = state
    return Lane("state", "State", "", "state", states=tuple(states))


def psnr_lane(frame_count: int, records: Mapping[int, FrameDone], training: Mapping[int, float]) -> Lane:
    """Held-out and training cameras; the frame before, shown without change, is faint and does not set the scale."""
    held_out = {frame: done.scores.get("psnr") for frame, done in records.items()}
    unmoved = {frame: done.scores.get("unmoved_psnr") for frame, done in records.items()}
    series = [
        Series("held out", _by_frame(frame_count, held_out), BLUE),
        Series("training", _by_frame(frame_count, training), ORANGE),
        Series("doing nothing", _by_frame(frame_count, unmoved), MUTED, faint=True),
    ]
    return _lane("psnr", "PSNR", "dB", "line", series, better="high", digits=2, note=NOT_MEASURED)


def training_psnr(records: Mapping[int, FrameRecord], held_out: Collection[str]) -> dict[int, float]:
    """Frame -> mean PSNR over the cameras that are not held out; frames without one are left out."""
    means = {}
    for frame, record in records.items():
        values = [value for camera, value in record.scores.get("psnr", {}).items() if camera not in held_out]
        if values:
            means[frame] = sum(values) / len(values)
    return means


def track_lanes(frame_count: int, tracks: TrackValues | None, selection: Collection[int], settings: LaneSettings) -> tuple[Lane, ...]:
    """Track error, lost tracks, tracks and views of every diagnosed frame."""

    def per_frame(values: np.ndarray) -> tuple[float | None, ...]:
        return _by_frame(frame_count, dict(zip(known.frames, values.tolist(), strict=True)))

    known = tracks or _NO_TRACKS
    errors = [Series("mean of all", per_frame(known.mean_error), BLUE)]
    if selection and known.frames:
        errors.append(Series("maximum of the selection", per_frame(np.fmax.reduce(known.error[:, sorted(selection)], axis=1)), YELLOW))
    note = NOT_DIAGNOSED if tracks is None else "No track has been measured"
    fewest = settings.least_tracks * known.cameras if known.cameras else None
    least_views = float(min(settings.least_views, known.cameras)) if known.cameras else None
    return (
        _lane("error", "Track error", "px", "line", errors, better="low", zero=True, digits=2, note=note, crowding=settings.crowding),
        _lane("lost", "Lost tracks", "", "count", [Series("lost", per_frame(known.lost), VERMILION)], better="low", note=note),
        _lane(
            "tracks",
            "Tracks",
            "",
            "count",
            [Series("followed", per_frame(known.followed), BLUE)],
            better="high",
            warn_below=fewest,
            note=note,
        ),
        _lane(
            "views",
            "Views",
            "",
            "count",
            [Series("cameras with tracks", per_frame(known.views), GREEN)],
            better="high",
            warn_below=least_views,
            note=note,
        ),
    )


def delta_lane(frame_count: int, shown: Mapping[int, FrameDone], other: Mapping[int, FrameDone]) -> Lane:
    """By how much the run shown is better than the other, per frame that both have measured."""
    values = {
        frame: shown[frame].scores["psnr"] - other[frame].scores["psnr"]
        for frame in shown.keys() & other.keys()
        if "psnr" in shown[frame].scores and "psnr" in other[frame].scores
    }
    series = Series("this run minus the other", _by_frame(frame_count, values), PURPLE)
    greatest = _nice(max((abs(value) for value in series.values if value is not None and math.isfinite(value)), default=1.0))
    return Lane(
        "delta", "PSNR change", "dB", "line", (series,), "high", -greatest, greatest, digits=2, note="The two runs share no measured frame"
    )


# -- private ----------------------------------------------------------------------------------------------------------


def _by_frame(frame_count: int, values: Mapping[int, float | None]) -> tuple[float | None, ...]:
    found = (values.get(frame) for frame in range(frame_count))
    return tuple(None if value is None or math.isnan(value) else float(value) for value in found)


def _lane(
    key: str,
    title: str,
    unit: str,
    kind: Kind,
    series: Sequence[Series],
    *,
    better: Better = "none",
    zero: bool = False,
    digits: int = 0,
    warn_below: float | None = None,
    note: str = "",
    crowding: float = math.inf,
) -> Lane:
    """A lane whose scale holds its values (but those that would crowd the others): from zero for counts, rounded outward."""
    low, high = _scale([value for one in series if not one.faint for value in one.values if value is not None], crowding)
    if kind == "count" or zero:
        low, high = 0.0, _nice(max(high, 1.0 if kind == "count" else 0.0))
    return Lane(key, title, unit, kind, tuple(series), better, low, high, warn_below=warn_below, digits=digits, note=note)


def _scale(values: Sequence[float], crowding: float) -> tuple[float, float]:
    finite = np.array([value for value in values if math.isfinite(value)])
    if not len(finite):
        return 0.0, 1.0
    most = crowding * float(np.median(finite))
    usual = finite[finite <= most] if most > 0 else finite
    low, high = float(usual.min()), float(usual.max())
    step = _nice((high - low) / 8 or max(abs(high) * 0.01, 0.01))
    first, last = math.floor(low / step), math.ceil(high / step)
    return (first * step, last * step) if last > first else ((first - 1) * step, (last + 1) * step)


def _nice(value: float) -> float:
    """The least round number that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(times * power for times in _ROUND if times * power >= value * (1 - 1e-9))
