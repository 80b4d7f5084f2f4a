"""Followed tracks on the disk: exactly what was in memory, or an error that names the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackersplat.errors import InputError, ShapeError
from trackersplat.motion.followed_tracks import FollowedTracks, round_positions, round_probabilities, track_ids
from trackersplat.store import track_files
from trackersplat.store.compact_arrays import to_planes
from trackersplat.store.track_files import TRACKS_FILE, read_state, read_tracks, write_tracks
from trackersplat.tracking.tracks import Provenance

FRAME = 7


def some_state(count: int = 60, carriers: int = 4, seed: int = 0) -> FollowedTracks:
    """Tracks of two of three cameras, begun at several frames."""
    rng = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=rng)

    frames = torch.randint(0, FRAME + 1, (count,), generator=rng)
    cells = torch.randperm(max(count, 1), generator=rng)[:count]
    ids = torch.cat([track_ids(2 * (index % 2), int(frames[index]), cells[index : index + 1]) for index in range(count)] or [cells])
    ids = ids.sort().values
    query = torch.cat((((ids >> 20) & 0xFFFFF)[:, None].float(), round_positions(random(count, 2) * 300)), dim=1)
    return FollowedTracks(
        frame=FRAME,
        cameras=("cam00", "dôme 2", "cam10"),
        provenance=Provenance("dis", "1.2", "", "Apache-2.0", (320, 240)),
        ids=ids,
        query=query,
        positions=round_positions(query[:, 1:] + 40 * (random(count, 2) - 0.5)),
        visibility=round_probabilities(random(count)),
        confidence=round_probabilities(random(count)),
        ends=torch.randint(0, 6, (count,), generator=rng).byte(),
        hidden=torch.randint(0, 500, (count,), generator=rng).int(),
        points=torch.randn(count, 3, generator=rng) * 10,
        carriers=torch.randint(-1, 30_000, (count, carriers), generator=rng).int(),
    )


def assert_equal(one: FollowedTracks, other: FollowedTracks) -> None:
    assert (one.frame, one.cameras, one.provenance) == (other.frame, other.cameras, other.provenance)
    for name, tensor in one.tensors().items():
        assert tensor.dtype == other.tensors()[name].dtype, name
        assert torch.equal(tensor, other.tensors()[name]), name


@pytest.mark.parametrize(("count", "carriers"), [(60, 4), (1, 1), (0, 4), (5, 0)])
def test_a_state_is_read_exactly_as_it_was_written(tmp_path: Path, count: int, carriers: int) -> None:
    state = some_state(count, carriers)
    write_tracks(tmp_path, state)
    assert [path.name for path in tmp_path.iterdir()] == [TRACKS_FILE]
    assert_equal(read_state(tmp_path / TRACKS_FILE), state)


def test_every_camera_has_its_tracks(tmp_path: Path) -> None:
    state = some_state()
    write_tracks(tmp_path, state)
    tracks = read_tracks(tmp_path / TRACKS_FILE)
    assert list(tracks) == ["cam00", "dôme 2", "cam10"]
    assert [len(part) for part in tracks.values()] == [30, 0, 30]
    assert torch.equal(tracks["cam10"].positions[0], state.positions[state.camera == 2])
    assert tracks["cam10"].frames == (FRAME,)


def test_a_run_goes_on_from_its_file_as_from_memory(tmp_path: Path) -> None:
    import passing_plate as plate

    from trackersplat.motion.follow_tracks import follow_tracks
    from trackersplat.motion.followed_tracks import FollowSettings
    from trackersplat.motion.start_tracks import start_tracks

    def following(state: FollowedTracks) -> FollowedTracks:
        base, target = state.frame, state.frame + 1
        move = (plate.scene(base), plate.motion(1), plate.scene(target), plate.all_tracks(base, target))
        return follow_tracks(state, *move, target, plate.CAMERAS, plate.RASTERIZER, FollowSettings())

    state = start_tracks(plate.CAMERAS, plate.scene(4), plate.RASTERIZER, 4, FollowSettings(), plate.EXACT)
    for _ in range(3):
        write_tracks(tmp_path, state)
        resumed = read_state(tmp_path / TRACKS_FILE)
        assert_equal(resumed, state)
        state = following(state)
        assert_equal(following(resumed), state)


def test_values_that_are_not_rounded_are_a_defect_of_ours(tmp_path: Path) -> None:
    state = some_state()
    for wrong in (
        replace(state, positions=state.positions + 0.001),
        replace(state, visibility=state.visibility * 0.999),
        replace(state, query=state.query + 1),
    ):
        with pytest.raises(ShapeError):
            write_tracks(tmp_path, wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("tracks")
    write_tracks(folder, some_state())
    return (folder / TRACKS_FILE).read_bytes()


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, whole: bytes, share: float) -> None:
    path = tmp_path / TRACKS_FILE
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=TRACKS_FILE):
        read_state(path)


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), min_size=1, max_size=3))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bits_are_noticed_or_change_nothing(tmp_path: Path, whole: bytes, flips: list[tuple[float, int]]) -> None:
    data = bytearray(whole)
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    path = tmp_path / TRACKS_FILE
    path.write_bytes(bytes(data))
    try:
        state = read_state(path)
    except InputError as error:
        said = str(error)
    else:
        assert_equal(state, some_state())
        return
    assert str(path) in said


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="missing"):
        read_state(tmp_path / TRACKS_FILE)


def changed(path: Path, facts: dict[str, Any] | None = None, **arrays: np.ndarray) -> None:
    """Writes other facts or arrays in place of those of the file, with right sums."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    known = json.loads(content["facts"].tobytes())
    content["facts"] = np.frombuffer(json.dumps({**known, **(facts or {})}).encode(), np.uint8)
    np.savez_compressed(path, **{**content, **arrays})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "facts",
    [
        {"format": 2}, {"frame": -1}, {"frame": 3}, {"frame": 1.5}, {"frame": True}, {"cameras": ["a"]}, {"cameras": ["a", "a", "b"]},
        {"cameras": "abc"}, {"cameras": [1, 2, 3]}, {"tracks": 10**15}, {"tracks": 59}, {"carriers": 3}, {"provenance": None},
        {"provenance": {"tracker": "dis"}},
        {"provenance": {"tracker": 1, "version": "", "weights": "", "licence": "", "size": None}},
        {"provenance": {"tracker": "", "version": "", "weights": "", "licence": "", "size": [1]}},
        {"provenance": {"tracker": "", "version": "", "weights": "", "licence": "", "size": [0, 5]}},
    ],
    ids=str,
)  # fmt: skip
def test_facts_that_cannot_be_are_refused(tmp_path: Path, whole: bytes, facts: dict[str, Any]) -> None:
    path = tmp_path / TRACKS_FILE
    path.write_bytes(whole)
    changed(path, facts)
    with pytest.raises(InputError, match=TRACKS_FILE):
        read_state(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("ids", np.zeros(60, np.int64)),
        ("ids", np.full(60, -1, np.int64)),
        ("ids", np.full(60, 1 << 40, np.int64)),
        ("ids", np.zeros(59, np.int64)),
        ("ends", np.full(60, 7, np.uint8)),
        ("hidden", np.full(60, -1, np.int32)),
        ("carriers", np.full((4, 60), -2, np.int32)),
        ("points", np.full((3, 60), np.nan, np.float32)),
        ("positions", np.full((2, 60), 1 << 30, np.int32)),
        ("query", np.full((2, 60), 1 << 30, np.int32)),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path: Path, whole: bytes, name: str, values: np.ndarray) -> None:
    path = tmp_path / TRACKS_FILE
    path.write_bytes(whole)
    changed(path, **{name: to_planes(values)})
    with pytest.raises(InputError, match=TRACKS_FILE):
        read_state(path)


def test_nothing_is_unpickled(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / TRACKS_FILE
    path.write_bytes(whole)
    changed(path, ends=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=TRACKS_FILE):
        read_state(path)


def test_a_file_that_claims_too_much_is_refused(tmp_path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / TRACKS_FILE
    path.write_bytes(whole)
    monkeypatch.setattr(track_files, "_MAX_BYTES", 4000)
    with pytest.raises(InputError, match="claims"):
        read_state(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        write_tracks(tmp_path / "nowhere", some_state())
