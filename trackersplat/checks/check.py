"""All checks of a capture, as a stream of what is being done that ends with the report."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence

import numpy as np

from trackersplat.captures.capture import Capture
from trackersplat.checks.colours import check_colours, measure_gains, patch_colours
from trackersplat.checks.events import Checked, CheckEvent, Step
from trackersplat.checks.findings import CameraMeasures, Finding, Report, sort_findings
from trackersplat.checks.frames import Signals, check_frames, read_signals
from trackersplat.checks.matches import Features, choose_pairs, find_features, link, match_pair
from trackersplat.checks.poses import PairDistances, check_poses, distances, measure_poses
from trackersplat.checks.sharpness import blur, check_sharpness
from trackersplat.checks.synchrony import MANY, Offset, check_synchrony, is_off, measure_offsets
from trackersplat.errors import InputError

MATCHED_FRAMES = 3  # in which points are matched
STRETCH = 50  # frames in a row
MOST_FRAMES = 3 * STRETCH  # that are looked at unless said otherwise


def default_frames(frame_count: int) -> tuple[int, ...]:
    """Indices of the frames that are looked at: all of a short clip, else three stretches, at its start, middle and end."""
    if frame_count <= MOST_FRAMES:
        return tuple(range(frame_count))
    middle, last = (frame_count - STRETCH) // 2, frame_count - STRETCH
    return tuple(start + i for start in (0, middle, last) for i in range(STRETCH))


def check_capture(capture: Capture, frames: Sequence[int] | None = None) -> Iterator[CheckEvent]:
    """Checks the frames (ascending indices), by default ``default_frames``. Closing the iterator stops the work.

    An image that cannot be decoded is a finding, not an error.
    """
    began = time.perf_counter()
    chosen = tuple(default_frames(capture.frame_count) if frames is None else frames)
    names = [camera.name for camera in capture.cameras]
    signals = Signals.empty(capture, chosen)
    for done in read_signals(capture, signals):
        yield Step("reading frames", done, len(chosen))
    blurs, pairs, uv, times, colours = yield from _match(capture, signals)

    yield Step("measuring", 0, 1)
    repeated, blank = signals.repeated(), signals.blank()
    fits = measure_poses(capture.cameras, pairs, uv, times)
    gains = measure_gains(colours)
    usable = np.isfinite(signals.change) & ~repeated & ~blank
    usable[[index for index, fit in enumerate(fits) if fit.wrong]] = False  # it would look for the motion in the wrong place
    offsets = measure_offsets(capture.cameras, chosen, signals.motion, usable)
    findings = check_frames(names, signals)
    findings += check_poses(capture.cameras, fits, pairs, _explained(findings))
    findings += check_synchrony(names, offsets, capture.fps, _explained(findings))
    findings += check_sharpness(names, blurs)
    findings += check_colours(names, gains)
    measures = tuple(
        CameraMeasures(
            camera=name,
            frames_read=int(signals.read()[i].sum()),
            unreadable=len(signals.failures[i]),
            blank=int(blank[i].sum()),
            repeated=int(repeated[i].sum()),
            blur=blurs[i],
            matches=fits[i].matches,
            epipolar=fits[i].epipolar,
            reprojection=fits[i].reprojection,
            gain=gains[i],
            offset=_frames(offsets[i]),
        )
        for i, name in enumerate(names)
    )
    yield Checked(Report(capture.name, capture.layout, chosen, measures, sort_findings(findings), time.perf_counter() - began))


def _frames(offset: Offset | None) -> float | None:
    """How far a camera is behind; 0 where a few partners cannot tell a fraction of a frame from nothing."""
    if offset is None:
        return None
    return offset.frames if offset.partners >= MANY or is_off(offset) else 0.0


def _explained(findings: Sequence[Finding]) -> frozenset[str | None]:
    """The cameras (None: all of them) with a problem, which explains why something else could not be checked."""
    return frozenset(finding.camera for finding in findings if finding.severity == "problem")


def _match(
    capture: Capture, signals: Signals
) -> Generator[Step, None, tuple[list[float | None], list[PairDistances], np.ndarray, np.ndarray, np.ndarray]]:
    """Of a few frames: the blur of each camera, epipolar distances, where cameras see the same points
    (T, C, 2), in which frame (T,) and in which colours (T, C, 3)."""
    cameras = capture.cameras
    shows = signals.read() & ~signals.blank()
    positions = _spread_out(shows.sum(axis=0), MATCHED_FRAMES)
    blurs: list[list[float]] = [[] for _ in cameras]
    pairs: list[PairDistances] = []
    uv, times, colours = [np.empty((0, len(cameras), 2))], [np.empty(0, np.int64)], [np.empty((0, len(cameras), 3))]
    for count, position in enumerate(positions):
        features: list[Features] = []
        shades: list[np.ndarray] = []
        capture.prefetch(range(len(cameras)), [signals.frames[position]])
        for index in range(len(cameras)):
            yield Step("matching points", 2 * count * len(cameras) + index, 2 * len(positions) * len(cameras))
            try:
                image = capture.image(index, signals.frames[position]) if shows[index, position] else None
            except InputError:  # it could be decoded before: a disk that went away; the reading pass has said what it saw
                image = None
            features.append(Features.none() if image is None else find_features(image))
            shades.append(np.empty((0, 3)) if image is None else patch_colours(image, features[-1].uv, features[-1].size))
            if image is not None:
                blurs[index].append(blur(image))
        candidates = choose_pairs(features)
        found = []
        for index, (a, b) in enumerate(candidates):
            done = (2 * count + 1) * len(cameras) + index * len(cameras) // len(candidates)
            yield Step("matching points", done, 2 * len(positions) * len(cameras))
            found.append(match_pair(a, b, features))
        matched = [pair for pair in found if pair is not None]
        pairs += distances(cameras, features, matched)
        tracks = link(matched, features)
        uv.append(tracks.uv)
        times.append(np.full(len(tracks.uv), signals.frames[position]))
        colours.append(tracks.look_up(shades))
    medians = [float(np.median(values)) if values else None for values in blurs]
    return medians, pairs, np.concatenate(uv), np.concatenate(times), np.concatenate(colours)


def _spread_out(shown: np.ndarray, count: int) -> list[int]:
    """Positions spread over the clip, each the nearest to its place where most cameras show something. ``shown`` (T,) counts them."""
    places = [round((len(shown) - 1) * (2 * i + 1) / (2 * count)) for i in range(count)]
    best = np.flatnonzero(shown == shown.max())
    return sorted({int(best[np.abs(best - place).argmin()]) for place in places})
