from __future__ import annotations

import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.tracking.sample import sample_tracks
from trackersplat.tracking.tracks import DenseTracks, Provenance


def affine(device: str = "cpu") -> DenseTracks:
    """11 x 7 pixels that move by (x / 4, -y / 2) to the first target and by twice that to the second."""
    x, y = torch.meshgrid(torch.arange(11, device=device) + 0.5, torch.arange(7, device=device) + 0.5, indexing="xy")
    shift = torch.stack((x / 4, -y / 2), dim=-1)
    grid = torch.stack((x, y), dim=-1)
    visibility = (x / 20).expand(2, -1, -1)
    return DenseTracks(3, (5, 6), torch.stack((grid + shift, grid + 2 * shift)), visibility, 1 - visibility, 0.1, Provenance("made"))


CUDA = pytest.param("cuda", marks=(pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")))


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_point_between_pixels_has_the_tracks_between_theirs(device: str) -> None:
    at = torch.tensor([(4.5, 2.5), (4.0, 2.75), (9.9, 6.1), (0.5, 6.5)], device=device)
    found = sample_tracks(affine(device), at)
    shift = torch.stack((at[:, 0] / 4, -at[:, 1] / 2), dim=-1)
    torch.testing.assert_close(found.positions, torch.stack((at + shift, at + 2 * shift)), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.visibility, (at[:, 0] / 20).expand(2, -1))
    torch.testing.assert_close(found.confidence, 1 - (at[:, 0] / 20).expand(2, -1))


def test_a_point_on_the_centre_of_a_pixel_has_its_track_to_the_bit() -> None:
    tracks = affine()
    found = sample_tracks(tracks, torch.tensor([(10.5, 0.5), (3.5, 6.5)]))
    assert torch.equal(found.visibility, tracks.visibility[:, [0, 6], [10, 3]])
    torch.testing.assert_close(found.positions, tracks.positions[:, [0, 6], [10, 3]], rtol=0, atol=1e-6)


def test_between_the_border_and_the_first_centres_the_motion_goes_on() -> None:
    found = sample_tracks(affine(), torch.tensor([(0.0, 0.25), (10.9, 6.9)]))
    torch.testing.assert_close(found.positions[0], torch.tensor([(0.125, 0.0), (10.9 + 10.5 / 4, 6.9 - 3.25)]), rtol=0, atol=1e-5)


def test_a_point_outside_the_image_has_no_position_and_is_not_seen() -> None:
    found = sample_tracks(affine(), torch.tensor([(-0.1, 3.0), (11.0, 3.0), (torch.nan, 3.0), (4.5, 3.0)]))
    assert found.positions.isnan().all(-1).tolist() == [[True, True, True, False]] * 2
    assert (found.visibility[:, :3] == 0).all()
    assert (found.confidence[:, :3] == 0).all()


def test_a_pixel_without_a_position_takes_it_from_the_points_beside_it_alone() -> None:
    tracks = affine()
    tracks.positions[0, 3, 5] = torch.nan
    found = sample_tracks(tracks, torch.tensor([(5.4, 3.4), (6.5, 3.5), (4.5, 4.2)]))
    assert found.positions[0].isnan().all(-1).tolist() == [True, False, False]
    assert found.confidence[0, 0] == 0
    assert found.visibility[0, 0] > 0
    assert found.positions[1].isfinite().all()


def test_what_is_no_list_of_points_is_refused() -> None:
    for at in (torch.zeros(2), torch.zeros(3, 3), torch.zeros(3, 2, dtype=torch.long)):
        with pytest.raises(ShapeError, match="Points to sample"):
            sample_tracks(affine(), at)
