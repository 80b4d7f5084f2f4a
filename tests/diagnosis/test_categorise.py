from __future__ import annotations

from pathlib import Path

import numpy as np
import plate_clip as clip
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.categorise import categorise
from trackersplat.diagnosis.diagnosis import CameraFinding
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import TrackTable
from trackersplat.tracking.tracks import TrackEnd

CAPTURE = Capture("plate", Path("plate"), "test", clip.CAMERAS, 3, 30.0, clip.Film())
GOOD = {
    "image_border": 20.0, "leave_one_out": 0.1, "rendered_gap": 0.1, "forward_backward": 0.1, "visibility_conflict": 0.0, "speed": 1.0,
    "texture": 50.0, "views": 4.0, "parallax": 20.0,
}  # fmt: skip
FAR = {"leave_one_out": 7.5, "rendered_gap": 7.5}


def reasons(*frames: dict[str, float], end: TrackEnd = TrackEnd.ALIVE, found: tuple[CameraFinding, ...] = ()) -> list[int]:
    """The categories of one track with this evidence per frame; the score is high where ``FAR`` is in it."""
    count = len(frames)
    evidence = {facts.name: np.full((count, 1), np.nan) for facts in EVIDENCE}
    for row, frame in enumerate(frames):
        for name, value in (GOOD | frame).items():
            evidence[name][row, 0] = value
    score = np.array([[0.9 if frame.get("leave_one_out", 0) > 1 else 0.1] for frame in frames], np.float32)
    ends = np.zeros((count, 1), np.uint8)
    ends[-1, 0] = end
    ones = np.ones((count, 1), np.float32)
    query, positions = np.zeros((1, 3), np.float32), np.ones((count, 1, 2), np.float32)
    table = TrackTable(("cam1",), tuple(range(count)), np.array([1]), np.zeros(1, np.int16), query, positions, ones, ones, ends)
    state = np.full((count, 1), TrackState.VISIBLE, np.uint8)
    return categorise(evidence, score, state, table, CAPTURE, found, DiagnosisSettings())[:, 0].tolist()


@pytest.mark.parametrize(
    ("evidence", "category"),
    [
        ({}, Category.NONE),
        (FAR, Category.DRIFT),
        (FAR | {"image_border": -1.0}, Category.LEFT_IMAGE),
        (FAR | {"visibility_conflict": 0.9}, Category.OCCLUSION),
        (FAR | {"visibility_conflict": -0.9}, Category.OCCLUSION),
        (FAR | {"texture": 3.0}, Category.TEXTURELESS),
        (FAR | {"forward_backward": 8.0}, Category.IDENTITY_SWAP),
        (FAR | {"forward_backward": 8.0, "speed": 9.0}, Category.TOO_FAST),
        (FAR | {"views": 1.0}, Category.FEW_VIEWS),
        (FAR | {"parallax": 0.5}, Category.FEW_VIEWS),
        ({"rendered_gap": 9.0}, Category.GEOMETRY),
    ],
)
def test_the_plainest_reason_is_given(evidence: dict[str, float], category: Category) -> None:
    slowly = ({"rendered_gap": gap, "leave_one_out": 0.9} for gap in (1.4, 2.8, 4.2, 5.6, 6.9))  # 1.5 px are wrong in an image of 96
    assert reasons(*slowly, evidence)[-1] == category


def test_a_jump_of_the_residual_is_an_identity_swap_and_stays_one_until_it_is_right_again() -> None:
    drifted = [Category.NONE, Category.IDENTITY_SWAP, Category.IDENTITY_SWAP, Category.NONE]
    assert reasons({}, FAR, FAR | {"rendered_gap": 8.0}, {}) == drifted


def test_the_end_of_a_track_has_its_reason() -> None:
    assert reasons({}, {}, end=TrackEnd.LEFT_IMAGE) == [Category.NONE, Category.LEFT_IMAGE]
    assert reasons({}, {}, end=TrackEnd.OCCLUDED) == [Category.NONE, Category.OCCLUSION]
    assert reasons({}, FAR, FAR, end=TrackEnd.UNRELIABLE)[-1] == Category.IDENTITY_SWAP


def test_a_camera_with_a_finding_is_the_reason() -> None:
    found = CameraFinding("cam1", "turned", 1.0, "degrees", "", "")
    assert reasons({}, FAR, found=(found,)) == [Category.NONE, Category.BAD_CAMERA]
