"""Gathers what a tab's document knows about one Gaussian."""

from __future__ import annotations

import logging

import numpy as np

from trackersplat.errors import InputError
from viewer.tab import Tab
from viewer.views.gaussian import Facts, Origin, Seen, attributes, motion_words, opinions, seen_by

log = logging.getLogger(__name__)


def facts(tab: Tab, index: int, frame: int) -> Facts:
    """Raises InputError if the frame has no such Gaussian or cannot be read."""
    document, shared = tab.document, tab.shared
    source = shared.source_of(frame)
    gaussians = document.shown(frame)
    if source is None or gaussians is None or shared.run is None:
        raise InputError("Nothing is reconstructed yet.")
    if index >= len(gaussians):
        raise InputError(f"Gaussian {index} is not in frame {source + 1}, which has {len(gaussians):,}.")
    run = document.runs.get(shared.run)
    lineage = document.runs.lineage(shared.run).of(source)
    origin = None
    if lineage is not None and index < len(lineage.born):
        origin = Origin(lineage.origin, int(lineage.born[index]))
    record, step = shared.records.get(source), None
    if record is not None and record.base is not None and not (origin is not None and origin.born == source):
        before = document.frames.frame(shared.run, record.base)
        if index < len(before):
            step = (record.base, float(np.linalg.norm((gaussians.means[index] - before.means[index]).cpu().numpy())))
    evidence = run.read_evidence(source)
    told = opinions(evidence, index) if evidence is not None and index < evidence.state.shape[1] else ()
    return Facts(attributes(gaussians, index), source, origin, step, motion_words(evidence, index), told)


def views_of(tab: Tab, index: int, frame: int) -> tuple[Seen, ...]:
    """Which cameras see it, and how large the error is there; renders all cameras. Raises InputError."""
    document, shared = tab.document, tab.shared
    rasterizer, gaussians = document.renderer.rasterizer, document.shown(frame)
    if rasterizer is None or gaussians is None or index >= len(gaussians):
        return ()
    own = shared.source_of(frame) == frame  # a frame that stands for another one is not compared with that one's photographs
    found: list[Seen] = []
    for number, camera in enumerate(document.capture.cameras):
        photo = document.capture.image(number, frame) if own else None
        if photo is not None and photo.shape[:2] != (camera.height, camera.width):
            photo = None
        with document.renderer.lock:  # camera by camera: pictures go on in between
            found += seen_by(rasterizer, gaussians, index, [camera], [photo])
    return tuple(sorted(found, key=lambda seen: -seen.weight))
