"""``trackersplat diagnose`` on a run of the smallest capture, and tracks from files."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trackersplat.captures.capture import Capture
from trackersplat.captures.demo import demo_run
from trackersplat.cli import main
from trackersplat.commands.diagnose import capture_of
from trackersplat.diagnosis.diagnosis import Diagnosis
from trackersplat.diagnosis.settings import DiagnosisSettings
from trackersplat.diagnosis.tables import COLUMNS, csv_text
from trackersplat.errors import InputError
from trackersplat.jobs.diagnose import key_of
from trackersplat.jobs.read_tracks import read_track_file
from trackersplat.jobs.reconstruct import reconstruct
from trackersplat.jobs.run_tracks import run_tracks
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.store.run import Run

FRAMES = 3
ONE, TWO = ({"positions": np.ones((3, n, 2)), "visibility": np.ones((3, n)), "camera": np.zeros(n, int)} for n in (1, 2))  # tracks


@pytest.fixture(scope="module")
def run_folder(small_capture: Capture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    plain = ReconstructSettings.for_device("cpu")
    first = replace(plain.first, steps=40, points=replace(plain.first.points, strategy="patches"))
    settings = replace(plain, first=first, refine=replace(plain.refine, steps=2), metrics=("psnr",))
    run = Run.create(folder, small_capture, {"settings": settings.to_json()})
    list(reconstruct(small_capture, run, range(FRAMES), settings, PortableRasterizer()))
    return folder


def failed(arguments: list[str]) -> int:
    with pytest.raises(SystemExit) as error:
        main(arguments)
    return int(error.value.code or 0)  # type: ignore[arg-type]


def plain_file(path: Path, run: Run, **changes: np.ndarray) -> Path:
    table = run_tracks(run, run.frames())
    arrays: dict[str, np.ndarray] = {
        "cameras": np.array(table.cameras),
        "camera": table.camera,
        "frames": np.array(table.frames),
        "positions": table.positions,
        "visibility": table.visibility,
    }
    np.savez(path, **(arrays | changes))  # type: ignore[arg-type]
    return path


def test_a_run_is_diagnosed_and_written_as_table_report_and_cache(
    run_folder: Path, small_capture: Capture, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failed(["diagnose", str(run_folder), "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    run = Run.open(run_folder)
    table = run_tracks(run, run.frames())
    assert "what helps" in text
    assert all(camera in text for camera in table.cameras)
    rows = list(csv.DictReader((run_folder / "diagnosis.csv").read_text(encoding="utf-8").splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert sorted(int(row["track"]) for row in rows) == table.ids.tolist()
    scores = [float(row["max_score"] or -1) for row in rows]
    assert scores == sorted(scores, reverse=True)
    report = json.loads((run_folder / "diagnosis.json").read_text(encoding="utf-8"))
    assert report["tracks"] == len(table) == sum(report["categories"].values())
    assert report["frames"] == [1, 2, 3]

    kept = Diagnosis.from_npz(run_folder / "diagnosis.npz", key_of(run, DiagnosisSettings()))
    assert kept is not None
    assert kept.frames == (0, 1, 2)


def test_tracks_from_a_plain_file_are_diagnosed_in_place_of_the_runs_own(run_folder: Path, tmp_path: Path) -> None:
    file = plain_file(tmp_path / "mine.npz", Run.open(run_folder))
    assert failed(["diagnose", str(run_folder), "--tracks", str(file), "--out", str(tmp_path), "--frames", "1:2"]) == 0
    assert (tmp_path / "diagnosis-mine.csv").is_file()
    assert json.loads((tmp_path / "diagnosis-mine.json").read_text(encoding="utf-8"))["frames"] == [1, 2]
    assert not (tmp_path / "diagnosis.npz").exists()


def test_a_run_without_tracks_gets_new_ones_and_says_so(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run_folder, copy)
    for file in copy.rglob("tracks.npz"):
        file.unlink()
    assert failed(["diagnose", str(copy), "--frames", "1:2"]) == 0
    assert "tracked anew" in " ".join(capsys.readouterr().out.split())


def test_a_copy_of_the_run_of_the_program_is_known_to_be_of_the_demo(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(demo_run(), copy, ignore=shutil.ignore_patterns("refine"))
    assert capture_of(Run.open(demo_run())) == capture_of(Run.open(copy)) == "demo"


def test_tracks_of_a_run_come_back_from_all_kinds_of_files(run_folder: Path, small_capture: Capture, tmp_path: Path) -> None:
    run = Run.open(run_folder)
    own = run_tracks(run, run.frames())
    assert own.frames == (0, 1, 2)
    for frame in own.frames:
        for name, part in run.read_tracks(frame).items():
            columns = np.searchsorted(own.ids, part.ids.numpy())
            assert np.array_equal(own.positions[frame, columns], part.positions[0].numpy())
            assert (own.camera[columns] == own.cameras.index(name)).all()
    plain = read_track_file(plain_file(tmp_path / "a.npz", run), small_capture)
    assert np.array_equal(plain.positions, own.positions, equal_nan=True)
    assert np.array_equal(plain.query[:, 1:][own.query[:, 0] == 0], own.query[:, 1:][own.query[:, 0] == 0])
    assert np.isnan(plain.confidence).all()
    assert np.array_equal(read_track_file(run_folder, small_capture).ids, own.ids)
    one = read_track_file(run_folder / "frame1" / "tracks.npz", small_capture)
    assert one.frames == (0,)
    assert np.array_equal(one.ids, own.ids[np.isfinite(own.positions[0, :, 0])])


def test_positions_before_the_query_are_left_out(run_folder: Path, small_capture: Capture, tmp_path: Path) -> None:
    run = Run.open(run_folder)
    own = run_tracks(run, run.frames())
    query = own.query.copy()
    query[:, 0] = 1
    read = read_track_file(plain_file(tmp_path / "a.npz", run, query=query), small_capture)
    assert np.isnan(read.positions[0]).all()
    assert np.array_equal(read.positions[1:], own.positions[1:], equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cameras": np.array(["cam01", "cam02", "moon"])}, "moon"),
        ({"cameras": np.array(["cam01", "cam01", "cam02"])}, "cameras"),
        ({"camera": np.array([0])}, "positions"),
        ({"frames": np.array([0, 2, 1])}, "frames"),
        ({"frames": np.array([0, 1, 99])}, "frame 100"),
        ({"positions": np.zeros((3, 4, 3), np.float32)}, "positions"),
        (
            ONE | {"positions": np.full((3, 1, 2), 1e9)},
            "pixels",
        ),
        (ONE | {"visibility": np.full((3, 1), 2.0)}, "visibility"),
        (TWO | {"ids": np.array([4, 4])}, "ids"),
        (
            ONE | {"query": np.full((1, 3), np.nan)},
            "query",
        ),
        ({"positions": np.array([{}])}, "cannot be read"),
    ],
)
def test_tracks_that_contradict_themselves_are_one_sentence(
    run_folder: Path, small_capture: Capture, tmp_path: Path, changes: dict[str, np.ndarray], words: str
) -> None:
    file = plain_file(tmp_path / "bad.npz", Run.open(run_folder), **changes)
    with pytest.raises(InputError, match=rf"bad\.npz.*{words}"):
        read_track_file(file, small_capture)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"text"])
def test_a_file_that_is_no_npz_is_one_sentence(small_capture: Capture, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.npz"):
        read_track_file(tmp_path / "bad.npz", small_capture)
    with pytest.raises(InputError, match="no file"):
        read_track_file(tmp_path / "absent.npz", small_capture)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--worst", "-1"], "--worst"),
        (["--out", "/nowhere/at/all"], "--out"),
        (["--frames", "9"], "frame"),
        (["--tracks", "/nowhere.npz"], "/nowhere.npz"),
        (["--capture", "demo"], "not a run of demo"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    out = [] if "--out" in options else ["--out", str(tmp_path)]
    assert failed(["diagnose", str(run_folder), *options, *out]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_does_not_say_where_its_capture_is_asks_for_it(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(run_folder, copy)
    info = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    info["capture"]["folder"] = str(tmp_path / "gone")
    (copy / "run.json").write_text(json.dumps(info), encoding="utf-8")
    assert failed(["diagnose", str(copy)]) == 2
    assert "--capture" in capsys.readouterr().err


def test_names_are_never_formulas_in_the_table() -> None:
    row = dict.fromkeys(COLUMNS) | {"track": -3, "camera": "=1+1", "query_x": -2.5}
    assert csv_text([row]).splitlines()[1].startswith("-3,'=1+1,,-2.5,")
