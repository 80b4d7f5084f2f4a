"""All checks of a capture, as one stream of events that ends with the report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.checks.colours import check_colours, measure_gains, patch_colours
from trackersplat.checks.contradictions import PairDistances, distances
from trackersplat.checks.events import Checked, Step
from trackersplat.checks.findings import CameraMeasures, Finding, Report, sort_findings
from trackersplat.checks.frames import Signals, SignalsRead, check_frames, read_signals
from trackersplat.checks.matches import Features, choose_pairs, find_features, link, match_pair
from trackersplat.checks.poses import check_poses, measure_poses
from trackersplat.checks.settings import DEFAULTS, CheckSettings, SynchronySettings
from trackersplat.checks.sharpness import blur, check_sharpness
from trackersplat.checks.synchrony import Offset, check_synchrony, is_off, measure_offsets
from trackersplat.errors import InputError
from trackersplat.events import Event


def default_frames(frame_count: int, settings: CheckSettings = DEFAULTS) -> tuple[int, ...]:
    """Indices of the frames that are checked: all of a short clip, else three stretches, at its start, middle and end."""
    if frame_count <= settings.max_frames:
        return tuple(range(frame_count))
    stretch = settings.max_frames // 3
    middle, last = (frame_count - stretch) // 2, frame_count - stretch
    return tuple(start + i for start in (0, middle, last) for i in range(stretch))


def check_capture(capture: Capture, frames: Sequence[int] | None = None, settings: CheckSettings = DEFAULTS) -> Iterator[Event]:
    """Checks the frames (ascending indices), by default ``default_frames``: `Step` events, then `Checked`.

    Closing the iterator stops the work. An image that cannot be decoded is a finding, not an error.
    """
    began = time.perf_counter()
    chosen = tuple(default_frames(capture.frame_count, settings) if frames is None else frames)
    names = [camera.name for camera in capture.cameras]
    for event in read_signals(capture, chosen, settings.frames):
        if isinstance(event, SignalsRead):
            signals = event.signals
        else:
            yield event
    for event in _match(capture, signals, settings):
        if isinstance(event, _Matched):
            matched = event
        else:
            yield event

    yield Step("measuring", 0, 1)
    repeated, blank = signals.repeated(), signals.blank()
    fits = measure_poses(capture.cameras, matched.pairs, matched.uv, matched.frames, settings.poses)
    gains = measure_gains(matched.colours, settings.colours)
    usable = np.isfinite(signals.change) & ~repeated & ~blank
    usable[[index for index, fit in enumerate(fits) if fit.wrong]] = False  # its epipolar planes are wrong too
    offsets = measure_offsets(capture.cameras, chosen, signals.motion, usable, settings.synchrony)
    findings = check_frames(names, signals)
    findings += check_poses(capture.cameras, fits, matched.pairs, _explained(findings), settings.poses)
    findings += check_synchrony(names, offsets, capture.fps, _explained(findings), settings.synchrony)
    findings += check_sharpness(names, matched.blurs, settings.sharpness)
    findings += check_colours(names, gains, settings.colours)
    measures = tuple(
        CameraMeasures(
            camera=name,
            frames_read=int(signals.read()[i].sum()),
            unreadable=len(signals.failures[i]),
            blank=int(blank[i].sum()),
            repeated=int(repeated[i].sum()),
            blur=matched.blurs[i],
            matches=fits[i].matches,
            epipolar=fits[i].epipolar,
            reprojection=fits[i].reprojection,
            gain=gains[i],
            offset=_frames(offsets[i], settings.synchrony),
        )
        for i, name in enumerate(names)
    )
    yield Checked(
        Report(
            capture=capture.name,
            layout=capture.layout,
            frames=chosen,
            cameras=measures,
            findings=sort_findings(findings),
            seconds=time.perf_counter() - began,
            settings=dataclasses.asdict(settings),
        )
    )


@dataclass(frozen=True)
class PosesChecked(Event):
    """The last event of `find_wrong_poses`."""

    findings: list[Finding]


def find_wrong_poses(capture: Capture, frame: int, settings: CheckSettings = DEFAULTS) -> Iterator[Event]:
    """What `check_capture` finds about poses in one frame (an index from 0), without what is measured of sharpness and colours.

    `Step` events, then `PosesChecked`. Closing the iterator stops the work.
    """
    for event in read_signals(capture, (frame,), settings.frames):
        if isinstance(event, SignalsRead):
            signals = event.signals
        else:
            yield event
    for event in _match(capture, signals, settings, poses_alone=True):
        if isinstance(event, _Matched):
            matched = event
        else:
            yield event
    fits = measure_poses(capture.cameras, matched.pairs, matched.uv, matched.frames, settings.poses)
    unread = check_frames([camera.name for camera in capture.cameras], signals)
    yield PosesChecked(check_poses(capture.cameras, fits, matched.pairs, _explained(unread), settings.poses))


def _frames(offset: Offset | None, settings: SynchronySettings) -> float | None:
    """How far a camera is behind; 0 where it has too few partners to tell a fraction of a frame from none."""
    if offset is None:
        return None
    return offset.frames if offset.partners >= settings.many_partners or is_off(offset, settings) else 0.0


def _explained(findings: Sequence[Finding]) -> frozenset[str | None]:
    """The cameras (None: all of them) with a problem, which explains why something else could not be checked."""
    return frozenset(finding.camera for finding in findings if finding.severity == "problem")


@dataclass(frozen=True, eq=False)
class _Matched(Event):
    """The last event of `_match`. T points of all matched frames, C cameras; NaN where a camera does not see a point."""

    blurs: list[float | None]  # per camera; None where no image could be read
    pairs: list[PairDistances]
    uv: np.ndarray  # (T, C, 2) pixels
    frames: np.ndarray  # (T,) indices
    colours: np.ndarray  # (T, C, 3) levels


def _match(capture: Capture, signals: Signals, settings: CheckSettings, poses_alone: bool = False) -> Iterator[Event]:
    """Matches points in a few frames and measures their colours and blur, unless ``poses_alone``: `Step` events, then `_Matched`."""
    cameras = capture.cameras
    shows = signals.read() & ~signals.blank()
    positions = _spread_out(shows.sum(axis=0), settings.matches.frames)
    blurs: list[list[float]] = [[] for _ in cameras]
    pairs: list[PairDistances] = []
    uv, frames, colours = [np.empty((0, len(cameras), 2))], [np.empty(0, np.int64)], [np.empty((0, len(cameras), 3))]
    for count, position in enumerate(positions):
        features: list[Features] = []
        shades: list[np.ndarray] = []
        capture.prefetch(range(len(cameras)), [signals.frames[position]])
        for index in range(len(cameras)):
            yield Step("matching points", 2 * count * len(cameras) + index, 2 * len(positions) * len(cameras))
            try:
                image = capture.image(index, signals.frames[position]) if shows[index, position] else None
            except InputError:  # it could be decoded before, so the disk may be gone; `check_frames` reports what was read before
                image = None
            features.append(Features.none() if image is None else find_features(image, settings.matches))
            if image is None or poses_alone:
                shades.append(np.full((len(features[-1].uv), 3), np.nan))
            else:
                shades.append(patch_colours(image, features[-1].uv, features[-1].size))
                blurs[index].append(blur(image, settings.sharpness))
        candidates = choose_pairs(features, cameras, settings.matches)
        found = []
        for index, (a, b) in enumerate(candidates):
            done = (2 * count + 1) * len(cameras) + index * len(cameras) // len(candidates)
            yield Step("matching points", done, 2 * len(positions) * len(cameras))
            found.append(match_pair(a, b, features, settings.matches))
        matched = [pair for pair in found if pair is not None]
        pairs += distances(cameras, features, matched, settings.poses)
        tracks = link(matched, features)
        uv.append(tracks.uv)
        frames.append(np.full(len(tracks.uv), signals.frames[position]))
        colours.append(tracks.look_up(shades))
    yield _Matched(
        blurs=[float(np.median(values)) if values else None for values in blurs],
        pairs=pairs,
        uv=np.concatenate(uv),
        frames=np.concatenate(frames),
        colours=np.concatenate(colours),
    )


def _spread_out(shown: np.ndarray, count: int) -> list[int]:
    """Positions spread over the clip, each the nearest at which most cameras have an image. ``shown`` (T,) counts those cameras."""
    places = [round((len(shown) - 1) * (2 * i + 1) / (2 * count)) for i in range(count)]
    best = np.flatnonzero(shown == shown.max())
    return sorted({int(best[np.abs(best - place).argmin()]) for place in places})
