"""The measures of each camera as text, for the command line and the page."""

from __future__ import annotations

import math

from trackersplat.checks.findings import CameraMeasures

COLUMNS = ("camera", "frames", "broken", "blur", "points", "epipolar", "reproj.", "light", "offset")
CAPTION = (
    "points: matches with other cameras; epipolar: their distance from the epipolar lines, pixels; reproj.: distance from the points of "
    "the other cameras, pixels; light: brightness relative to the other cameras; offset: frames behind (+) or ahead (-) of them"
)


def cells(measures: CameraMeasures) -> tuple[str, ...]:
    """One row of the table, as ``COLUMNS`` says."""
    broken = measures.unreadable + measures.blank + measures.repeated
    light = None if measures.gain is None else math.exp(sum(map(math.log, measures.gain)) / 3)
    return (
        measures.camera,
        str(measures.frames_read),
        str(broken) if broken else "-",
        _number(measures.blur, 2),
        str(measures.matches),
        _number(measures.epipolar, 2),
        _number(measures.reprojection, 2),
        _number(light, 2),
        "-" if measures.offset is None else f"{round(measures.offset, 1) + 0.0:+.1f}",
    )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
