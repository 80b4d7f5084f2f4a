"""A diagnosis as text for other programs: one row per track, and the whole in JSON. Frames and cameras as people write them."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

import numpy as np

from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnosis import Diagnosis
from trackersplat.diagnosis.registry import EVIDENCE

COLUMNS = (
    "track", "camera", "query_frame", "query_x", "query_y", "first_frame", "last_frame", "worst_frame", "max_score", "mean_score",
    "category", "action", "state", "mean_reprojection_px", "max_reprojection_px", "forward_backward_px", "views", "gaussian",
)  # fmt: skip


def track_rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """One dictionary per track, the worst first, by the names of `COLUMNS`; None where nothing is known."""
    rows = diagnosis.summary()
    order = np.argsort(-np.nan_to_num(rows.max_score, nan=-1.0), kind="stable")
    return [
        dict(
            zip(
                COLUMNS,
                (
                    int(diagnosis.ids[i]),
                    diagnosis.cameras[diagnosis.camera[i]],
                    int(diagnosis.query[i, 0]) + 1,
                    _number(diagnosis.query[i, 1]),
                    _number(diagnosis.query[i, 2]),
                    int(rows.first[i]) + 1,
                    int(rows.last[i]) + 1,
                    int(rows.worst[i]) + 1,
                    _number(rows.max_score[i]),
                    _number(rows.mean_score[i]),
                    Category(rows.category[i]).title,
                    Category(rows.category[i]).action,
                    TrackState(rows.state[i]).name.lower(),
                    _number(rows.mean_reprojection[i]),
                    _number(rows.max_reprojection[i]),
                    _number(rows.forward_backward[i]),
                    _number(rows.views[i]),
                    int(diagnosis.carrier[i]),
                ),
                strict=True,
            )
        )
        for i in order
    ]


def csv_text(rows: list[dict[str, Any]]) -> str:
    """With a head; cells of unknown numbers are empty. A name that a spreadsheet would take for a formula gets an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(["" if row[name] is None else _cell(row[name]) for name in COLUMNS])
    return file.getvalue()


def to_json(diagnosis: Diagnosis, rows: list[dict[str, Any]], worst: int) -> dict[str, Any]:
    """Counts, cameras, remarks and the worst tracks with all their evidence in the worst frame."""
    at = {int(track): index for index, track in enumerate(diagnosis.ids)}
    frame_row = {frame + 1: row for row, frame in enumerate(diagnosis.frames)}

    def evidence(row: dict[str, Any]) -> dict[str, float | None]:
        where = frame_row[row["worst_frame"]], at[row["track"]]
        return {name: _number(values[where]) for name, values in diagnosis.evidence.items()}

    return {
        "frames": [frame + 1 for frame in diagnosis.frames],
        "tracks": len(diagnosis),
        "categories": {category.title: count for category, count in diagnosis.counts().items()},
        "cameras": camera_rows(diagnosis),
        "findings": [vars(finding) for finding in diagnosis.cameras_found],
        "remarks": list(diagnosis.remarks),
        "evidence": {facts.name: {"title": facts.title, "unit": facts.unit, "how": facts.how} for facts in EVIDENCE},
        "worst": [row | {"evidence": evidence(row)} for row in rows[:worst]],
    }


def camera_rows(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """Per camera: tracks, failed ones, and medians over all frames."""
    summary = diagnosis.summary()
    rows = []
    for index, name in enumerate(diagnosis.cameras):
        chosen = diagnosis.camera == index
        medians = {
            f"median_{piece}_px": _median(diagnosis.evidence[piece][:, chosen])
            for piece in ("leave_one_out", "rendered_gap", "render_offset", "forward_backward")
            if piece in diagnosis.evidence
        }
        failed = int((summary.category[chosen] != Category.NONE).sum())
        rows.append({"camera": name, "tracks": int(chosen.sum()), "failed": failed, **medians})
    return rows


def _median(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return _number(np.median(known)) if known.size else None


def _number(value: Any) -> float | None:
    number = float(value)
    return round(number, 4) if math.isfinite(number) else None


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
