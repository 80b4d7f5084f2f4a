"""Tracks from a file move a real surface: the quad of the tiny capture, rendered from Gaussians on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_capture import FRAMES, HEIGHT, WIDTH, write_tiny_capture
from tiny_truth import write_tiny_points, write_tiny_truth

from trackersplat.captures.capture import Capture
from trackersplat.captures.registry import open_capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.rendering.registry import choose_rasterizer
from trackersplat.tracking.files.formats import tapvid, tapvid3d
from trackersplat.tracking.sources import reachable_targets, track_source
from trackersplat.tracking.trackers.file import FileTracks, FileTrackSettings
from trackersplat.tracking.tracks import Provenance, Tracks
from trackersplat.tracking.truth_tracks import truth_tracks
from trackersplat.training.first_frame.initialise import gaussians_from_points


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Capture:
    return open_capture(str(write_tiny_points(write_tiny_truth(write_tiny_capture(tmp_path_factory.mktemp("captures") / "tiny")))))
