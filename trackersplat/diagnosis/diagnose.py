"""From tracks and a scene to a diagnosis."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trackersplat.diagnosis.cameras import CameraWatch
from trackersplat.diagnosis.categories import TrackState
from trackersplat.diagnosis.categorise import categorise
from trackersplat.diagnosis.diagnosis import Diagnosis, DiagnosisDone, FrameExamined
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.diagnosis.score import failure_score
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import Scene, TrackTable
from trackersplat.diagnosis.walk import walk
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.rendering.rasterizer import Rasterizer

MOST_VALUES = 1 << 31  # numbers of a diagnosis, for memory: 8 GB


def diagnose_tracks(table: TrackTable, scene: Scene, rasterizer: Rasterizer, settings: DiagnosisSettings) -> Iterator[Event]:
    """Yields a `FrameExamined` per frame, and last a `DiagnosisDone`.

    Raises InputError if there are too many tracks for one diagnosis, or an image cannot be decoded.
    """
    shape = (len(table.frames), len(table))
    if shape[0] * shape[1] * (len(EVIDENCE.names()) + 10) > MOST_VALUES:
        raise InputError(f"{shape[1]:,} tracks in {shape[0]:,} frames are too many for one diagnosis: choose fewer frames with --frames.")
    pieces = {name: EVIDENCE.load(name) for name in EVIDENCE.names()}
    evidence = {name: np.full(shape, np.nan, np.float32) for name in pieces}
    reprojected, rendered = (np.full((*shape, 2), np.nan, np.float32) for _ in range(2))
    world = np.full((*shape, 3), np.nan, np.float32)
    carrier = np.full(len(table), -1, np.int64)
    watch = CameraWatch(table, scene.capture, settings.cameras)
    for row, visited in enumerate(walk(table, scene, rasterizer, settings)):
        moment = visited.moment
        yield FrameExamined(moment.frame, row + 1, len(table.frames))
        for name, piece in pieces.items():
            evidence[name][row] = piece(moment)
        reprojected[row], world[row] = moment.points.reprojected, moment.points.world
        rendered[row] = moment.material.pixels
        carrier = np.where(visited.carrier >= 0, visited.carrier, carrier)
        watch.add(row, visited)
    found = watch.findings()
    state = states(table, settings)
    score = failure_score(evidence, state, table, scene.capture, settings.score)
    diagnosis = Diagnosis(
        cameras=table.cameras,
        frames=table.frames,
        ids=table.ids,
        camera=table.camera,
        query=table.query,
        carrier=carrier,
        position=table.positions,
        reprojected=reprojected,
        rendered=rendered,
        world=world,
        state=state,
        evidence=evidence,
        score=score,
        category=categorise(evidence, score, state, table, scene.capture, found, settings),
        cameras_found=found,
        remarks=_remarks(table, scene, evidence),
    )
    yield DiagnosisDone(diagnosis)


def states(table: TrackTable, settings: DiagnosisSettings) -> np.ndarray:
    """(F, P) uint8, a TrackState."""
    here = np.isfinite(table.positions[..., 0])
    claimed = np.where(table.visibility >= settings.views.visible, TrackState.VISIBLE, TrackState.HIDDEN)
    return np.where(table.ended, TrackState.ENDED, np.where(here, claimed, TrackState.ABSENT)).astype(np.uint8)


def _remarks(table: TrackTable, scene: Scene, evidence: dict[str, np.ndarray]) -> tuple[str, ...]:
    """What could not be told."""
    remarks = list(table.remarks)
    if not any(scene.capture.has_masks(scene.capture.camera_index(name)) for name in table.cameras):
        remarks.append("The capture has no masks, so there is no distance to a mask's border.")
    if len(table.frames) == 1:
        remarks.append("One frame alone shows no motion: most of the evidence compares frames.")
    if not np.isfinite(evidence["rendered_gap"]).any():
        remarks.append("No track lies on a rendered surface: are these tracks of this scene?")
    return tuple(remarks)
