"""The whole diagnosis of a clip in which everything is known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import plate_clip as clip
import pytest
from flying_plate import RASTERIZER

from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnose import diagnose_tracks
from trackersplat.diagnosis.diagnosis import Diagnosis, DiagnosisDone
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tracked import Scene, TrackTable
from trackersplat.gaussians.gaussians import Gaussians

JUMP, AT = 9.0, 3  # px to the right that one track jumps, and the frame in which it does


@cache
def with_a_jump() -> tuple[TrackTable, int, Diagnosis]:
    """Exact tracks but one, of the wall, which goes on with another point."""
    tracks = clip.exact_tracks()
    middle = np.abs(tracks.positions[0] - (48, 36)).max(axis=1) < 26
    chosen = int(np.flatnonzero(middle & ~clip.on_plate(tracks) & (tracks.visibility.min(axis=0) == 1))[5])
    positions = tracks.positions.copy()
    positions[AT:, chosen, 0] += JUMP
    spoilt = replace(tracks, positions=positions)
    return spoilt, chosen, clip.diagnosed(spoilt)


def test_exact_tracks_have_next_to_no_residuals_and_a_low_score() -> None:
    tracks, chosen, found = with_a_jump()
    others = np.arange(len(tracks)) != chosen
    seen = (found.state == TrackState.VISIBLE) & others
    for name, largest in (("rendered_gap", 0.05), ("leave_one_out", 0.5), ("reprojection", 0.5), ("render_offset", 0.1)):
        values = found.evidence[name][1:][seen[1:]]
        assert np.nanquantile(values, 0.9) < largest, name
    assert np.nanquantile(found.score[1:][seen[1:]], 0.9) < 0.2


def test_a_jump_shows_in_every_residual_by_its_length() -> None:
    _, chosen, found = with_a_jump()
    for name in ("rendered_gap", "leave_one_out"):
        values = found.evidence[name][:, chosen]
        assert values[1:AT].max() < 0.5, name
        assert values[AT:] == pytest.approx(JUMP, abs=0.5), name
    assert found.evidence["speed"][AT, chosen] == pytest.approx(JUMP, abs=0.01)
    assert found.evidence["forward_backward"][AT, chosen] == pytest.approx(JUMP, abs=1.0)
    assert found.evidence["loop"][-1, chosen] == pytest.approx(JUMP, abs=1.5)
    assert found.evidence["ncc_query"][AT, chosen] < found.evidence["ncc_query"][AT - 1, chosen]


def test_a_jump_is_told_in_its_frame_and_stays_the_reason() -> None:
    _, chosen, found = with_a_jump()
    assert (found.score[1:AT, chosen] < 0.5).all()
    assert (found.score[AT:, chosen] > 0.5).all()
    reason = found.category[:, chosen]
    assert set(reason[AT:].tolist()) <= {Category.IDENTITY_SWAP, Category.TOO_FAST}
    assert (reason[:AT] == Category.NONE).all()
    assert found.summary().category[chosen] == reason[AT]


def test_all_evidence_is_there_and_finite_where_a_track_is() -> None:
    _, _, found = with_a_jump()
    assert set(found.evidence) == set(EVIDENCE.names())
    for name in ("forward_backward", "ncc_previous", "ncc_query", "rendered_gap", "speed", "views", "texture", "image_border"):
        assert np.isfinite(found.evidence[name][1:]).mean() > 0.9, name
    assert np.isnan(found.evidence["mask_border"]).all()  # there are no masks, which is said
    assert any("masks" in remark for remark in found.remarks)
    assert ((found.score >= 0) & (found.score <= 1)).all()
    assert (found.score[0] == 0).all()


def test_supporting_views_and_parallax_are_those_of_the_cameras() -> None:
    _, _, found = with_a_jump()
    views, parallax = found.evidence["views"][1], found.evidence["parallax"][1]
    assert np.nanmax(views) == len(clip.CAMERAS) - 1
    centres = np.stack([camera.center for camera in clip.CAMERAS])
    rays = (0, 0, 1.2) - centres
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    widest = np.degrees(np.arccos((rays @ rays.T).clip(-1, 1).min()))
    assert np.nanmedian(parallax) == pytest.approx(widest, rel=0.25)


def test_gaussians_that_stay_behind_are_geometry_and_not_the_tracker() -> None:
    """The images and the tracks are right; the plate of the Gaussians stops in frame 1."""
    tracks = clip.exact_tracks()
    chosen = clip.on_plate(tracks) & (tracks.visibility.min(axis=0) == 1)

    def stuck(frame: int) -> Gaussians:
        return clip.scene(min(frame, 1))

    found = clip.diagnosed(tracks, gaussians=stuck)
    last = found.category[-1, chosen]
    good = found.evidence["leave_one_out"][-1, chosen] < 0.75
    assert good.mean() > 0.5
    assert np.nanmedian(found.evidence["rendered_gap"][-1, chosen]) > 5
    assert (last[good] == Category.GEOMETRY).mean() > 0.9


def test_a_turned_and_a_blurred_camera_are_named_and_the_turned_one_is_a_stripe() -> None:
    cameras = tuple(clip.turned(camera, 1.0) if index == 2 else camera for index, camera in enumerate(clip.CAMERAS))
    tracks = clip.exact_tracks().at((0, 1, 2))
    found = clip.diagnosed(tracks, clip.capture_of(clip.Film(blurred=4), cameras))
    named = {finding.camera: finding for finding in found.cameras_found}
    assert set(named) == {"cam2", "cam4"}
    assert (named["cam2"].kind, named["cam4"].kind) == ("turned", "out of focus")
    assert named["cam2"].amount == pytest.approx(1.0, abs=0.1)
    stripe = found.by_camera("render_offset")
    assert (stripe[2] > 1.2).all()
    assert stripe[[0, 1, 3, 5]].max() < 0.2


def test_a_camera_two_frames_late_is_named() -> None:
    tracks = clip.exact_tracks().at((0, 1, 2, 3))
    found = clip.diagnosed(tracks, clip.capture_of(clip.Film(late=3)))
    assert [(finding.camera, finding.kind) for finding in found.cameras_found] == [("cam3", "out of step")]
    assert found.cameras_found[0].amount == pytest.approx(2.0, abs=0.3)
    assert "behind" in found.cameras_found[0].sentence


def test_gaussians_that_are_others_are_not_followed() -> None:
    """Where no Gaussian stays the same, the point is lifted anew, and the rendered point says nothing for a frame."""
    tracks = clip.exact_tracks().at((0, 1))
    scene = Scene(clip.capture_of(), clip.scene, lambda frame, earlier: None)
    *_, done = diagnose_tracks(tracks, scene, RASTERIZER, DiagnosisSettings())
    assert isinstance(done, DiagnosisDone)
    assert np.isnan(done.diagnosis.evidence["rendered_gap"]).all()
    assert done.diagnosis.rendered[1] == pytest.approx(tracks.positions[1], abs=1e-3, nan_ok=True)
