from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackersplat.diagnosis import diagnosis
from trackersplat.diagnosis.categories import Category, TrackState
from trackersplat.diagnosis.diagnosis import CameraFinding, Diagnosis
from trackersplat.diagnosis.registry import EVIDENCE
from trackersplat.errors import InputError, ShapeError


def made(frames: int = 4, count: int = 3) -> Diagnosis:
    """The first track lives through all frames and fails in the second; the second ends in the third; the last is never there."""
    random = np.random.default_rng(0)
    state = np.zeros((frames, count), np.uint8)
    state[:, 0] = TrackState.VISIBLE
    state[:3, 1] = (TrackState.VISIBLE, TrackState.HIDDEN, TrackState.ENDED)
    there = state != TrackState.ABSENT
    score = np.where(there, np.float32(0.125), np.float32(np.nan))
    score[1, 0] = 0.75
    category = np.zeros((frames, count), np.uint8)
    category[1, 0] = Category.DRIFT

    def numbers(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    return Diagnosis(
        cameras=("cam01", "cam02"),
        frames=(2, 3, 5, 6),
        ids=5 + 2 * np.arange(count),
        camera=np.minimum(np.arange(count), 1).astype(np.int16),
        query=numbers(count, 3),
        carrier=np.arange(count) - 1,
        position=numbers(frames, count, 2),
        reprojected=numbers(frames, count, 2),
        rendered=numbers(frames, count, 2),
        world=numbers(frames, count, 3),
        state=state,
        evidence={"reprojection": np.where(there, np.float32([[1], [2], [3], [6]]), np.float32(np.nan))},
        score=score,
        category=category,
        cameras_found=(CameraFinding("cam02", "turned", 1.0, "degrees", "cam02 is turned.", "Turn it back."),),
        remarks=("No masks.",),
    )


def test_a_summary_says_when_a_track_is_there_and_when_it_is_worst() -> None:
    rows = made().summary()
    assert (rows.first[0], rows.last[0], rows.worst[0]) == (2, 6, 3)
    assert (rows.first[1], rows.last[1]) == (2, 5)
    assert rows.state.tolist() == [TrackState.VISIBLE, TrackState.ENDED, TrackState.ABSENT]
    assert rows.category.tolist() == [Category.DRIFT, Category.NONE, Category.NONE]
    assert rows.max_score[0] == 0.75
    assert rows.mean_score[0] == pytest.approx((0.75 + 3 * 0.125) / 4)
    assert (rows.mean_reprojection[0], rows.max_reprojection[0], rows.max_reprojection[1]) == (3.0, 6.0, 3.0)
    assert np.isnan([rows.max_score[2], rows.mean_reprojection[2], rows.views[0]]).all()
    assert made().counts() == {Category.NONE: 2, Category.DRIFT: 1}


def test_a_diagnosis_comes_back_from_its_file_if_the_key_is_the_same(tmp_path: Path) -> None:
    written, path = made(), tmp_path / "diagnosis.npz"
    assert Diagnosis.from_npz(path) is None
    written.to_npz(path, "a")
    assert Diagnosis.from_npz(path, "b") is None
    read = Diagnosis.from_npz(path, "a")
    assert read is not None
    for name in ("ids", "camera", "query", "carrier", "position", "reprojected", "rendered", "world", "state", "score", "category"):
        assert np.array_equal(getattr(read, name), getattr(written, name), equal_nan=name == "score"), name
        assert getattr(read, name).dtype == getattr(written, name).dtype
    assert np.array_equal(read.evidence["reprojection"], written.evidence["reprojection"], equal_nan=True)
    assert (read.cameras, read.frames, read.cameras_found, read.remarks) == (
        written.cameras, written.frames, written.cameras_found, written.remarks,
    )  # fmt: skip


def test_a_diagnosis_that_is_replaced_while_it_is_read_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, facts_of = tmp_path / "diagnosis.npz", diagnosis._facts
    made(count=3).to_npz(path, "a")
    made(count=5).to_npz(tmp_path / "other.npz", "b")

    def facts(text: np.ndarray) -> dict[str, object]:
        (tmp_path / "other.npz").replace(path)
        return facts_of(text)

    monkeypatch.setattr(diagnosis, "_facts", facts)
    read = Diagnosis.from_npz(path, "a")
    assert read is not None
    assert len(read) == 3


def test_medians_are_those_of_the_numbers_there_are() -> None:
    random = np.random.default_rng(0)
    for shape in ((300, 40), (7, 3), (1, 5), (2, 600)):
        values = random.normal(size=shape).astype(np.float32)
        values[random.random(shape) < 0.4] = np.nan
        values[random.random(shape) < 0.02] = np.inf
        expected = [np.median(column[~np.isnan(column)]) if np.isfinite(column).any() else np.nan for column in values.T]
        assert np.array_equal(diagnosis._median(values), np.array(expected, np.float32), equal_nan=True)
    assert np.isnan(diagnosis._median(np.zeros((0, 2), np.float32))).all()


def test_a_summary_of_many_tracks_is_that_of_each_alone() -> None:
    count = 3 * diagnosis._TRACKS_AT_ONCE // 2
    random = np.random.default_rng(0)
    many = replace(
        made(count=count),
        ids=np.arange(count), camera=np.zeros(count, np.int16), carrier=np.zeros(count, np.int64),
        score=random.random((4, count)).astype(np.float32), category=random.integers(0, 3, (4, count)).astype(np.uint8),
        state=random.integers(0, 4, (4, count)).astype(np.uint8),
        evidence={name: random.random((4, count)).astype(np.float32) for name in ("reprojection", "forward_backward", "views")},
    )  # fmt: skip
    rows = many.summary()
    assert np.array_equal(rows.max_score, many.score.max(0))
    assert np.array_equal(rows.worst, np.array(many.frames)[many.score.argmax(0)])
    assert np.array_equal(rows.category, many.category[many.score.argmax(0), np.arange(count)])
    assert rows.mean_reprojection == pytest.approx(many.evidence["reprojection"].mean(0))
    assert np.array_equal(rows.forward_backward, many.evidence["forward_backward"].max(0))
    assert rows.views == pytest.approx(np.median(many.evidence["views"], axis=0))


def test_evidence_of_a_file_is_the_same_piece_by_piece_and_frame_by_frame(tmp_path: Path) -> None:
    pieces = {name: np.random.default_rng(len(name)).normal(size=(4, 3)).astype(np.float32) for name in EVIDENCE.names()}
    written = replace(made(), evidence=pieces)
    written.to_npz(tmp_path / "diagnosis.npz", "")
    read = Diagnosis.from_npz(tmp_path / "diagnosis.npz")
    assert read is not None
    assert list(read.evidence) == list(pieces)
    assert len(read.evidence) == len(pieces)
    assert read.evidence.get("no such evidence") is None
    kept = {name: values.astype(np.float16).astype(np.float32) for name, values in pieces.items()}
    for row in range(4):
        for name, values in read.evidence_in(row).items():
            assert values.dtype == np.float32
            assert np.array_equal(values, kept[name][row]), name
            assert np.array_equal(written.evidence_in(row)[name], pieces[name][row]), name
    assert all(np.array_equal(read.evidence[name], values) for name, values in kept.items())
    assert read.evidence["views"] is read.evidence["views"]


def test_reading_again_does_not_unpack_evidence_that_nobody_asks_for(tmp_path: Path) -> None:
    frames, tracks = 40, 5000
    pieces = {name: np.zeros((frames, tracks), np.float32) for name in EVIDENCE.names()}
    nothing, there = np.zeros((frames, tracks, 2), np.float32), np.ones((frames, tracks), np.uint8)
    large = Diagnosis(
        ("cam01",), tuple(range(frames)), np.arange(tracks), np.zeros(tracks, np.int16), np.zeros((tracks, 3), np.float32),
        np.arange(tracks), nothing, nothing, nothing, np.zeros((frames, tracks, 3), np.float32), there, pieces, pieces["views"], 0 * there,
    )  # fmt: skip
    large.to_npz(tmp_path / "diagnosis.npz", "")
    size = (tmp_path / "diagnosis.npz").stat().st_size
    tracemalloc.start()
    read = Diagnosis.from_npz(tmp_path / "diagnosis.npz")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert read is not None
    assert held < 0.6 * size  # evidence is half of it, and is read when it is asked for


@pytest.mark.parametrize(
    "change",
    [
        {"camera": np.array([0, 1, 2], np.int16)},
        {"category": np.full((4, 3), 99, np.uint8)},
        {"state": np.full((4, 3), 9, np.uint8)},
        {"frames": (2, 3, 3, 6)},
    ],
)
def test_a_file_that_contradicts_itself_is_one_sentence(tmp_path: Path, change: dict[str, object]) -> None:
    replace(made(), **change).to_npz(tmp_path / "diagnosis.npz", "")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"diagnosis\.npz is damaged"):
        Diagnosis.from_npz(tmp_path / "diagnosis.npz")


def test_a_file_that_was_packed_by_another_program_is_read_as_well(tmp_path: Path) -> None:
    made().to_npz(tmp_path / "diagnosis.npz", "")
    with np.load(tmp_path / "diagnosis.npz") as file:
        np.savez_compressed(tmp_path / "packed.npz", **file)
    plain, packed = (Diagnosis.from_npz(tmp_path / name) for name in ("diagnosis.npz", "packed.npz"))
    assert plain is not None
    assert packed is not None
    assert np.array_equal(plain.evidence["reprojection"], packed.evidence["reprojection"], equal_nan=True)
    assert np.array_equal(plain.evidence_in(2)["reprojection"], packed.evidence_in(2)["reprojection"], equal_nan=True)


@pytest.mark.parametrize("evidence", [np.zeros((1, 4, 2), np.float16), np.zeros((2, 4, 3), np.float16), np.zeros((1, 4, 3), np.int32)])
def test_evidence_that_does_not_fit_is_one_sentence(tmp_path: Path, evidence: np.ndarray) -> None:
    made().to_npz(tmp_path / "diagnosis.npz", "")
    with np.load(tmp_path / "diagnosis.npz") as file:
        np.savez(tmp_path / "diagnosis.npz", **{**file, "evidence": evidence})
    with pytest.raises(InputError, match=r"diagnosis\.npz is damaged \(evidence of type"):
        Diagnosis.from_npz(tmp_path / "diagnosis.npz")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a file of ours"])
def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "diagnosis.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"diagnosis\.npz"):
        Diagnosis.from_npz(tmp_path / "diagnosis.npz")


def test_arrays_of_another_shape_are_refused() -> None:
    with pytest.raises(ShapeError, match="score"):
        replace(made(), score=np.zeros((4, 2), np.float32))
    with pytest.raises(ShapeError, match="views"):
        replace(made(), evidence={"views": np.zeros((3, 3), np.float32)})


def test_every_category_is_told_and_has_an_action() -> None:
    for category in Category:
        assert category.title
        assert category.meaning.endswith(".")
        assert category.action.endswith(".") or category is Category.NONE


def test_every_piece_of_evidence_says_what_it_is() -> None:
    for facts in EVIDENCE:
        assert facts.title
        assert facts.how.endswith(".")
