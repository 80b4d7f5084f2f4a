"""Points carried by the Gaussians of a reconstruction: a plate that flies before a wall."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flying_plate import BASE, PLATE_ALONE, RASTERIZER, film, scene

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.motion.lifting.carried import carried_by_shared, carried_tracks
from trackersplat.motion.lifting.queries import RenderedScene
from trackersplat.motion.settings import CarryPointsSettings

STEP = np.array((0.12, -0.05, 0.03))  # of the plate, per frame
ON_PLATE, ON_WALL, BEHIND_PLATE = (0.1, -0.1, 0.0), (1.5, 1.0, 1.2), (0.0, 0.0, 1.2)
QUERY = np.array([(BASE, *ON_PLATE), (BASE, *ON_WALL), (BASE, *BEHIND_PLATE), (BASE + 1, *(ON_PLATE + STEP))])
FRAMES = (BASE, BASE + 1, BASE + 3)
DESCENT = Lineage.of_first_frame(0, len(PLATE_ALONE))


def test_points_move_as_the_gaussians_around_them_from_their_query_on(tmp_path: Path) -> None:
    tracks = carried_tracks(film(tmp_path), QUERY, FRAMES, RenderedScene(scene, RASTERIZER), lambda _: DESCENT)
    expected = np.stack([[ON_PLATE + (frame - BASE) * STEP, ON_WALL, BEHIND_PLATE, ON_PLATE + (frame - BASE) * STEP] for frame in FRAMES])
    expected[0, 3] = np.nan  # before its query
    np.testing.assert_allclose(tracks.positions, expected, rtol=0, atol=1e-4)
    assert tracks.confidence[:, 3].tolist() == [0.0, 1.0, 1.0]
    assert tracks.cameras == ("cam1", "cam2", "cam3")
    assert tracks.view_visibility is not None
    assert tracks.view_visibility[:, 0, 1].all()
    assert tracks.visibility[0].tolist() == [1.0, 1.0, 0.0, 0.0]  # the plate is before the third


def test_what_made_way_for_others_carries_nothing_and_frames_of_another_origin_are_gaps(tmp_path: Path) -> None:
    wrong = torch.nonzero(PLATE_ALONE)[:, 0]
    wrong = wrong[torch.arange(len(wrong)) % 3 > 0]  # most: if they carried, points would go with them

    def gaussians(frame: int) -> Gaussians | None:
        found = scene(frame)
        if frame == FRAMES[1]:
            found = replace(found, means=found.means.index_add(0, wrong, torch.full((len(wrong), 3), 0.3)))
        return None if frame == 2 * FRAMES[2] else found

    def descent(frame: int) -> Lineage | None:
        return (
            DESCENT.with_replaced(wrong, frame)
            if frame == FRAMES[1]
            else Lineage.of_first_frame(3, len(PLATE_ALONE))
            if frame > 3
            else DESCENT
        )

    frames = (*FRAMES, 2 * FRAMES[2])
    tracks = carried_tracks(film(tmp_path, 10), QUERY[:1], frames, RenderedScene(gaussians, RASTERIZER), descent)
    np.testing.assert_allclose(tracks.positions[1, 0], ON_PLATE + STEP, rtol=0, atol=1e-4)
    assert tracks.known[:, 0].tolist() == [True, True, False, False]


def test_gaussians_are_known_by_their_ids_in_whatever_order_they_are() -> None:
    far = torch.tensor([[0.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    alike = scene(BASE)[torch.zeros(3, dtype=torch.long)]
    before = replace(alike[:2], means=far)
    after = replace(alike, means=torch.tensor([[51.0, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 2.0, 0.0]]))
    found = carried_by_shared(far.double(), before, np.array([9, 5]), after, np.array([5, 7, 9]), CarryPointsSettings(neighbours=1))
    np.testing.assert_allclose(found, [[0.0, 2.0, 0.0], [51.0, 0.0, 0.0]], rtol=0, atol=1e-5)
    none = carried_by_shared(far.double(), before, np.array([9, 5]), after, np.array([1, 2, 3]), CarryPointsSettings())
    assert np.isnan(none).all()


def test_a_frame_that_cannot_carry_points_is_told(tmp_path: Path) -> None:
    for there, known in ((scene, lambda _: None), (lambda _: None, lambda _: DESCENT)):
        with pytest.raises(InputError, match="Points start in frame 2, which has no Gaussians of known descent"):
            carried_tracks(film(tmp_path), QUERY[:1], FRAMES, RenderedScene(there, RASTERIZER), known)
