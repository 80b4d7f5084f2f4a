"""What a check finds: findings in words, measures per camera, and the report that holds both."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from trackersplat.words import counted

Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
MAX_RANGES = 4  # that a sentence names


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong ("problem"), may do harm ("warning"), or could not be checked ("note")."""

    check: str  # "frames", "sharpness", "poses", "colours", "synchrony"
    severity: Severity
    camera: str | None  # None: the capture as a whole
    what: str  # one sentence
    advice: str  # one sentence: what to do
    frames: tuple[int, ...] = ()  # indices from 0, ascending; empty: not about particular frames
    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class CameraMeasures:
    """What was measured of one camera; None where it could not be."""

    camera: str
    frames_read: int = 0
    unreadable: int = 0  # frames
    blank: int = 0  # frames that are black or of one colour
    repeated: int = 0  # frames that repeat the one before
    blur: float | None = None  # 0 sharp .. 1 blurred (Crete et al. 2007)
    matches: int = 0  # with other cameras
    epipolar: float | None = None  # pixels, median over those matches
    reprojection: float | None = None  # pixels, median over points that are triangulated from other cameras
    gain: tuple[float, float, float] | None = None  # red, green, blue of the camera over those of the others
    offset: float | None = None  # frames behind the others (negative: ahead)


@dataclass(frozen=True)
class Report:
    """The outcome of all checks of a capture."""

    capture: str
    layout: str
    frames: tuple[int, ...]  # indices from 0 of the frames that were checked
    cameras: tuple[CameraMeasures, ...]
    findings: tuple[Finding, ...]  # the worst first
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict)  # `CheckSettings` as plain values

    def count(self, severity: Severity) -> int:
        return sum(finding.severity == severity for finding in self.findings)

    def verdict(self) -> str:
        """A few words: "2 problems, 1 warning", or that nothing was found."""
        counts = [(severity, self.count(severity)) for severity in SEVERITIES]
        named = [counted(count, severity) for severity, count in counts if count]
        return ", ".join(named) if named else "nothing wrong was found"


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first; those of one severity in the order given."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def to_json(report: Report) -> dict[str, Any]:
    """Plain values. Frames count from 1 there."""
    data = dataclasses.asdict(dataclasses.replace(report, findings=()))
    findings = [{f.name: getattr(finding, f.name) for f in dataclasses.fields(finding)} for finding in report.findings]
    for finding in findings:
        finding["frames"] = [frame + 1 for frame in finding["frames"]]
        finding["numbers"] = {key: value if math.isfinite(value) else None for key, value in finding["numbers"].items()}
    return {**data, "frames": [frame + 1 for frame in report.frames], "findings": findings}


def from_json(data: Mapping[str, Any]) -> Report:
    """The inverse of to_json. Raises ValueError if it is no report."""
    try:
        findings = []
        for entry in data["findings"]:
            if entry["severity"] not in SEVERITIES:
                raise ValueError(f"not a severity: {entry['severity']!r}")
            numbers = {str(key): math.nan if value is None else float(value) for key, value in entry["numbers"].items()}
            findings.append(Finding(**{**entry, "frames": _indices(entry["frames"]), "numbers": numbers}))
        cameras = [CameraMeasures(**{**entry, "gain": entry["gain"] and tuple(entry["gain"])}) for entry in data["cameras"]]
        rest = {key: data[key] for key in ("capture", "layout", "seconds", "settings")}
        return Report(frames=_indices(data["frames"]), cameras=tuple(cameras), findings=tuple(findings), **rest)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not the report of a check: {error}") from error


def name_frames(frames: Sequence[int]) -> str:
    """Indices from 0 as people count: "frame 5", "frames 5 to 7, 12"."""
    stretches: list[list[int]] = []
    for frame in sorted(frames):
        if stretches and frame == stretches[-1][1] + 1:
            stretches[-1][1] = frame
        else:
            stretches.append([frame, frame])
    named = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in stretches[:MAX_RANGES]]
    more = len(frames) - sum(b - a + 1 for a, b in stretches[:MAX_RANGES])
    return ("frame " if len(frames) == 1 else "frames ") + ", ".join(named) + (f" and {more} more" if more else "")


def name_some(names: Sequence[str], most: int = 6) -> str:
    """ "cam01, cam02 and 3 more"."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _indices(frames: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(frame) - 1 for frame in frames)
