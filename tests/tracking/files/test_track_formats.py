"""Every format of tracks: conventions are converted where a file is read, and a point that is asymmetric in all axes shows it."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import making_track_files as made
import numpy as np
import pytest
import torch

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError
from trackersplat.tracking.files.formats import tapvid, tapvid3d
from trackersplat.tracking.files.registry import TRACK_FORMATS, read_tracks_of
from trackersplat.tracking.tracks import Provenance
from trackersplat.tracking.tracks3d import Tracks3D

SPACE = [facts.name for facts in TRACK_FORMATS if facts.dimensions == 3]
IMAGE = [facts.name for facts in TRACK_FORMATS if facts.dimensions == 2]


@pytest.mark.parametrize("form", SPACE)
def test_points_in_space_are_read_in_the_world(form: str, tmp_path: Path) -> None:
    file = read_tracks_of(made.write(tmp_path / "a.npz", form))
    assert file.format == form
    tracks = file.tracks3d
    assert tracks is not None
    known = tracks.known
    np.testing.assert_allclose(tracks.positions[known], made.WORLD[known], atol=1e-5)
    assert (tracks.visibility[known] == made.VISIBLE[known]).all()
    before = np.arange(made.FRAMES)[:, None] < made.QUERY_FRAMES
    # MVTracker writes zeros before the query; the others may follow points back.
    assert (known == (~before if form == "mvtracker" else True)).all()
    np.testing.assert_allclose(tracks.query, made.queries(), atol=1e-5)


@pytest.mark.parametrize("form", ["tapip3d", "spatracker2", "tapvid3d"])
def test_the_camera_of_a_file_projects_a_point_where_ours_does(form: str, tmp_path: Path) -> None:
    camera = read_tracks_of(made.write(tmp_path / "a.npz", form)).camera
    assert camera is not None
    ours = Camera("own", *made.SIZE, made.K, made.POSE)
    seen = camera.in_camera(made.WORLD)
    np.testing.assert_allclose(seen, made.local(), atol=1e-5)
    np.testing.assert_allclose(camera.in_world(seen), made.WORLD, atol=1e-5)
    pixels = (seen[2, 1] @ camera.K[2].T)[:2] / seen[2, 1, 2]
    np.testing.assert_allclose(pixels, ours.project(made.WORLD[2, 1:2])[0][0], atol=1e-4)


def test_poses_from_camera_to_world_are_not_mistaken_for_the_inverse(tmp_path: Path) -> None:
    """They are rigid, too, and so cannot be told apart: the file's convention is what its program writes, world to camera."""
    turned = np.broadcast_to(np.linalg.inv(made.POSE), (made.FRAMES, 4, 4))
    camera = read_tracks_of(made.write(tmp_path / "a.npz", "tapip3d", extrinsics=turned)).camera
    assert camera is not None
    assert (camera.in_camera(made.WORLD)[..., 2] < 0).any()  # behind the camera


@pytest.mark.parametrize("form", IMAGE)
def test_points_in_images_have_pixel_centres_at_a_half(form: str, tmp_path: Path) -> None:
    file = read_tracks_of(made.write(tmp_path / "a.npz", form))
    tracks = file.tracks2d
    assert tracks is not None
    known = torch.isfinite(tracks.positions).all(-1)
    np.testing.assert_allclose(tracks.positions[known], made.PIXELS[known], atol=1e-5)
    before = np.arange(made.FRAMES)[:, None] < made.QUERY_FRAMES
    assert (known.numpy() == (~before if form == "cotracker" else True)).all()
    assert (tracks.visibility.numpy() == (made.VISIBLE & known.numpy())).all()
    first = made.PIXELS[made.QUERY_FRAMES, np.arange(made.TRACKS)]
    np.testing.assert_allclose(tracks.query, np.concatenate((made.QUERY_FRAMES[:, None], first), axis=1), atol=1e-5)


def test_tensors_of_cotracker_are_read_without_running_what_a_file_holds(tmp_path: Path) -> None:
    tracks = read_tracks_of(made.write_tensors(tmp_path / "a.pt")).tracks2d
    assert tracks is not None
    np.testing.assert_allclose(tracks.positions, made.PIXELS, atol=1e-5)
    torch.save({"pred_tracks": torch.from_numpy(made.arrays("cotracker")["pred_tracks"])}, tmp_path / "b.pt")
    file = read_tracks_of(tmp_path / "b.pt")
    assert "no visibility" in file.remarks[0]

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"pred_tracks": Hostile()}, tmp_path / "c.pt")
    with pytest.raises(InputError, match=r"c\.pt cannot be read as plain tensors"):
        read_tracks_of(tmp_path / "c.pt")
    (tmp_path / "d.pt").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InputError, match=r"d\.pt cannot be read"):
        read_tracks_of(tmp_path / "d.pt")
    (tmp_path / "e.pkl").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(InputError, match="runs code"):
        read_tracks_of(tmp_path / "e.pkl")
    assert not (tmp_path / "ran").exists()


def test_an_evaluation_of_mvtracker_has_truth_and_prediction_in_upscaled_lengths(tmp_path: Path) -> None:
    per_view = np.stack([made.VISIBLE & False, made.VISIBLE])[None]
    np.savez(
        tmp_path / "a.npz",
        gt_trajectories_3d=made.WORLD[None],
        gt_visibilities_any_view=made.VISIBLE[None],
        gt_visibilities_per_view=per_view,
        pred_trajectories_3d=made.WORLD[None] + 1,
        pred_visibilities_any_view=~made.VISIBLE[None],
        query_points_2d=np.array(None, object),
        query_points_3d=made.queries()[None],
        track_upscaling_factor=2.0,
    )
    truth = read_tracks_of(tmp_path / "a.npz", truth=True).tracks3d
    found = read_tracks_of(tmp_path / "a.npz").tracks3d
    assert truth is not None
    assert found is not None
    np.testing.assert_allclose(truth.positions, 2 * made.WORLD)
    np.testing.assert_allclose(found.positions[1], 2 * (made.WORLD[1] + 1))
    assert truth.view_visibility is not None
    assert (truth.view_visibility[1] == made.VISIBLE).all()
    assert (found.visibility[1] == ~made.VISIBLE[1]).all()


def tracks() -> Tracks3D:
    return Tracks3D(
        ids=np.arange(made.TRACKS),
        query=made.queries(),
        frames=tuple(range(made.FRAMES)),
        positions=made.WORLD,
        visibility=made.VISIBLE.astype(np.float32),
        confidence=np.ones(made.VISIBLE.shape),
        provenance=Provenance("made"),
    )


def test_tracks_written_as_tapvid3d_read_back_with_camera_size_and_queries(tmp_path: Path) -> None:
    camera = Camera("own", *made.SIZE, made.K, made.POSE)
    images = [np.full((made.SIZE[1], made.SIZE[0], 3), 40 * frame, np.uint8) for frame in range(made.FRAMES)]
    tapvid3d.write(tmp_path / "a.npz", tracks(), camera, images)
    file = read_tracks_of(tmp_path / "a.npz")
    assert file.size == made.SIZE
    assert file.tracks3d is not None
    np.testing.assert_allclose(file.tracks3d.positions, made.WORLD, atol=1e-5)
    np.testing.assert_allclose(file.tracks3d.query, made.queries(), atol=1e-5)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as written:
        first = camera.project(made.queries()[:, 1:])[0]
        np.testing.assert_allclose(written["queries_xyt"][:, :2], first, rtol=1e-5)
        np.testing.assert_allclose(written["tracks_XYZ"], made.local(), atol=1e-5)
        third = cv2.imdecode(np.frombuffer(written["images_jpeg_bytes"][2], np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(third.mean()) - 80) <= 1


def test_tracks_of_one_view_written_as_tapvid_read_back(tmp_path: Path) -> None:
    source = read_tracks_of(made.write(tmp_path / "a.npz", "cotracker", queries=None)).tracks2d
    assert source is not None
    tapvid.write(tmp_path / "b.npz", source, made.SIZE)
    again = read_tracks_of(tmp_path / "b.npz")
    assert (again.format, again.size) == ("tapvid", made.SIZE)
    assert again.tracks2d is not None
    np.testing.assert_allclose(again.tracks2d.positions, made.PIXELS, atol=1e-4)
    assert (again.tracks2d.visibility.numpy() == made.VISIBLE).all()


@pytest.mark.parametrize(
    ("form", "changes", "message"),
    [
        ("tapip3d", {"coords": np.zeros((4, 3, 2), np.float32)}, "coords of shape"),
        ("tapip3d", {"coords": np.full((4, 3, 3), np.inf)}, "at most"),
        ("tapip3d", {"visibs": np.zeros((4, 2), bool)}, "visibs of shape"),
        ("tapip3d", {"visibs": np.full((4, 3), 2.0)}, "probability"),
        ("tapip3d", {"visibs": np.full((4, 3), np.nan)}, "probability"),
        ("tapip3d", {"query_points": np.full((3, 4), 9.0)}, "t from 0 to 3"),
        ("tapip3d", {"query_points": np.full((3, 4), np.nan)}, "finite"),
        ("tapip3d", {"extrinsics": np.full((4, 4, 4), 2.0)}, "rigid"),
        ("tapip3d", {"extrinsics": np.diag((1.0, 1, -1, 1))}, "reflection"),
        ("tapip3d", {"intrinsics": np.zeros((4, 3, 3))}, "positive focal"),
        ("tapvid3d", {"queries_xyt": np.array(["a", "b", "c"])}, "one query"),
        ("tapvid", {"video": None}, "size"),
        ("tapvid", {"points": np.zeros((3, 0, 2)), "occluded": np.zeros((3, 0), bool)}, "without a frame"),
        ("mvtracker", {"vis_e": np.array([None] * 3, object)}, "Python objects"),
        ("mvtracker", {"track_upscaling_factor": -1.0}, "positive"),
        ("cotracker", {"pred_tracks": np.zeros((2, 4, 3, 2))}, "3 dimensions"),
        ("cotracker", {"pred_tracks": np.zeros((1, 4, 3, 2), complex)}, "floating"),
    ],
)
def test_arrays_that_do_not_fit_give_one_sentence(form: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_tracks_of(made.write(tmp_path / "bad.npz", form, **changes))
    assert "bad.npz" in str(caught.value)


def test_a_file_of_no_known_format_is_told_by_its_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", something=np.zeros(3))
    with pytest.raises(InputError, match="something, which are those of no known format"):
        read_tracks_of(tmp_path / "a.npz")
    with pytest.raises(InputError, match="There is no file"):
        read_tracks_of(tmp_path / "b.npz")


def test_an_array_that_claims_more_than_memory_has_is_refused_before_it_is_read(tmp_path: Path) -> None:
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": (1 << 20, 1 << 20, 3)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("coords.npy", head.getvalue())
        archive.writestr("visibs.npy", head.getvalue())
    with pytest.raises(InputError, match="claim more than"):
        read_tracks_of(tmp_path / "a.npz")
