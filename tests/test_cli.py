"""The command line as a user meets it: a process, its output, its exit code, and what it leaves on disk."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from forked import Program
from tiny_capture import encode

from trackersplat.cli import main
from trackersplat.store.run import Run

ROOT = Path(__file__).resolve().parents[1]
# Slanted patches alone give enough points here, in a twentieth of the time that "auto" takes for the ground.
PATCHES = ("--points", "patches")
QUICK = ("--first-steps", "40", "--steps", "8", *PATCHES)


def trackersplat(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a process of this command would print and return, in this process: starting one costs seconds."""
    out, err = io.StringIO(), io.StringIO()
    before = Path.cwd(), os.environ.get("COLUMNS"), signal.getsignal(signal.SIGTERM)
    os.environ["COLUMNS"] = "120"
    os.chdir(cwd or before[0])
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main(list(map(str, arguments)))
    finally:
        os.chdir(before[0])
        signal.signal(signal.SIGTERM, before[2])
        os.environ.pop("COLUMNS") if before[1] is None else os.environ.update(COLUMNS=before[1])
    code = end.value.code
    return subprocess.CompletedProcess(list(arguments), code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def process(*arguments: str | Path, cwd: Path | None = None, module: str = "trackersplat.cli") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def clouds(run: Path) -> dict[str, bytes]:
    """The Gaussians of all frames: the compact form, and PLY files of those that a next frame starts from."""
    paths = sorted((*run.rglob("gaussians.tsgf"), *run.rglob("point_cloud.ply")))
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def finished(small_capture_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of four frames, and what the command printed."""
    out = tmp_path_factory.mktemp("runs") / "run"
    result = trackersplat("reconstruct", small_capture_folder, "--frames", "1:4", "--out", out, *QUICK)
    assert result.returncode == 0, result.stderr
    return out, result.stdout


def test_info_says_what_a_capture_is(small_capture_folder: Path) -> None:
    result = process("info", small_capture_folder)
    assert result.returncode == 0
    for fact in ("n3dv", "64x48", "held out  cam00", "cam03"):
        assert fact in result.stdout


@pytest.mark.parametrize(
    ("package", "arguments", "code", "words"),
    [
        ("trackersplat", ("--version",), 0, "trackersplat "),
        ("trackersplat", ("info", "nowhere"), 2, "nowhere"),
        ("viewer", ("--help",), 0, "usage: trackersplat-view "),
        ("viewer", ("nowhere",), 2, "nowhere"),
    ],
)
def test_a_package_can_be_run_as_a_module(package: str, arguments: tuple[str, ...], code: int, words: str, tmp_path: Path) -> None:
    result = process(*arguments, cwd=tmp_path, module=package)
    assert result.returncode == code, result.stderr
    assert words in result.stdout + result.stderr


def test_reconstruct_ends_with_the_table_of_all_frames(finished: tuple[Path, str]) -> None:
    out, printed = finished
    table = printed[printed.index("On the held-out cameras, all pixels") :]
    for heading in ("nothing", "moved", "PSNR", "SSIM", "tracked", "static"):
        assert heading in table
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["frame"] for row in rows] == ["1", "2", "3", "4"]
    for row in rows:
        assert _told(row["psnr"], 2, table)
        assert _told(row["ssim"], 3, table)
    for row in rows[1:]:
        assert _told(row["unmoved_psnr"], 2, table)
        assert _told(row["moved_psnr"], 2, table)


def _told(written: str, digits: int, table: str) -> bool:
    """Whether the table has this number of a file that is itself rounded, to a digit more or so."""
    half = 0.5 * 10.0 ** -len(written.partition(".")[2])
    return any(f"{float(written) + change:.{digits}f}" in table for change in (-half, 0.0, half))


def test_a_run_killed_in_the_middle_loses_no_frame_that_it_said_is_done_and_ends_the_same(
    finished: tuple[Path, str], small_capture_folder: Path, tmp_path: Path
) -> None:
    arguments = ("reconstruct", small_capture_folder, "--frames", "1:4", "--out", tmp_path / "run", *QUICK, "--events", "json")
    with Program("trackersplat.cli", arguments) as process:
        done = 0
        for line in process.stdout:
            event = json.loads(line)
            done += event["event"] == "FrameDone"
            if (event["event"], event.get("frame"), event.get("name")) == ("Stage", 2, "refine"):  # in the middle of the third frame
                break
        process.send_signal(signal.SIGKILL)
        done += process.stdout.read().count('"FrameDone"')  # it went on while its words were on their way here
    present = Run.open(tmp_path / "run").frames()
    assert present == tuple(range(len(present)))
    assert done <= len(present) < 4  # no frame that it said is lost; others may be there unsaid

    again = trackersplat(*arguments)
    assert again.returncode == 0, again.stderr
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert events[0]["frames"] == [frame for frame in range(4) if frame not in present]
    assert clouds(tmp_path / "run") == clouds(finished[0])


def test_a_batch_killed_in_its_middle_ends_the_same(small_capture_folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = ("reconstruct", small_capture_folder, "--frames", "1:4", "--batch", "3", "--out", run, *QUICK, "--events", "json")
    assert trackersplat(*arguments).returncode == 0
    before = clouds(run)
    for number in (3, 4):
        shutil.rmtree(run / "refine" / "base-propagate-dis" / f"frame{number}")
    again = trackersplat(*arguments)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[0])["frames"] == [2, 3]
    assert clouds(run) == before


def test_asking_again_for_finished_frames_does_nothing(finished: tuple[Path, str], small_capture_folder: Path) -> None:
    before = clouds(finished[0])
    result = trackersplat("reconstruct", small_capture_folder, "--frames", "1:4", "--out", finished[0], *QUICK, "--events", "json")
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == ["Started", "Finished"]
    assert clouds(finished[0]) == before


def test_frames_of_a_batch_are_moved_from_one_base(small_capture_folder: Path, tmp_path: Path) -> None:
    arguments = ("--frames", "1:5", "--batch", "3", "--out", tmp_path / "run", *QUICK)
    result = trackersplat("reconstruct", small_capture_folder, *arguments)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert [row["base"] for row in csv.DictReader(file)] == ["", "1", "1", "1", "4"]


def test_what_the_held_out_camera_sees_changes_nothing_in_the_result(
    finished: tuple[Path, str], small_capture_folder: Path, tmp_path: Path
) -> None:
    other = _copy(tmp_path, small_capture_folder)
    noise = np.random.default_rng(0).integers(0, 256, (6, 48, 64, 3), np.uint8)
    encode(other / "cam00.mp4", noise)
    result = trackersplat("reconstruct", other, "--frames", "1:3", "--out", tmp_path / "run", *QUICK)
    assert result.returncode == 0, result.stderr
    found, expected = ({n: c for n, c in clouds(run).items() if n.endswith(".tsgf")} for run in (tmp_path / "run", finished[0]))
    assert len(found) == 3
    assert found == {name: expected[name] for name in found}


def test_terminating_stops_with_a_sentence_and_keeps_what_is_done(small_capture_folder: Path, tmp_path: Path) -> None:
    arguments = ("reconstruct", small_capture_folder, "--out", tmp_path / "run", "--first-steps", "5000", *PATCHES, "--events", "json")
    with Program("trackersplat.cli", arguments, errors=tmp_path / "said") as process:
        for line in process.stdout:
            if json.loads(line)["event"] == "StepDone":
                break
        process.send_signal(signal.SIGTERM)
        process.stdout.read()
        assert process.wait(60) == 130
    assert "Finished frames are kept" in (tmp_path / "said").read_text()
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {"run.json", "metrics.csv"}


def test_a_compacted_run_still_opens(finished: tuple[Path, str], tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    result = trackersplat("compact", tmp_path / "run")
    assert result.returncode == 0, result.stderr
    assert {Path(name).name for name in clouds(finished[0])} == {"gaussians.tsgf", "point_cloud.ply"}
    assert {Path(name).name for name in clouds(tmp_path / "run")} == {"gaussians.tsgf"}
    assert len(Run.open(tmp_path / "run").read_frame(3)) == len(Run.open(finished[0]).read_frame(3))


def test_other_settings_in_the_same_folder_are_refused(finished: tuple[Path, str], small_capture_folder: Path) -> None:
    result = trackersplat("reconstruct", small_capture_folder, "--out", finished[0], "--steps", "9")
    assert result.returncode == 2
    assert "other settings (settings." in result.stderr


Case = Callable[[Path, Path], "list[str | Path]"]


def _missing(tmp: Path, capture: Path) -> list[str | Path]:
    return [tmp / "nowhere"]


def _empty(tmp: Path, capture: Path) -> list[str | Path]:
    (tmp / "empty").mkdir()
    return [tmp / "empty"]


def _not_a_video(tmp: Path, capture: Path) -> list[str | Path]:
    (_copy(tmp, capture) / "cam02.mp4").write_text("no video")
    return [tmp / "copy"]


def _short_video(tmp: Path, capture: Path) -> list[str | Path]:
    encode(_copy(tmp, capture) / "cam02.mp4", np.zeros((3, 48, 64, 3), np.uint8))
    return [tmp / "copy"]


def _zero_bytes(tmp: Path, capture: Path) -> list[str | Path]:
    (_copy(tmp, capture) / "cam02.mp4").write_bytes(b"")
    return [tmp / "copy"]


def _wrong_rows(tmp: Path, capture: Path) -> list[str | Path]:
    (_copy(tmp, capture) / "cam03.mp4").unlink()
    return [tmp / "copy"]


def _unknown_layout(tmp: Path, capture: Path) -> list[str | Path]:
    (tmp / "odd").mkdir()
    (tmp / "odd" / "notes.txt").write_text("hello")
    return [tmp / "odd"]


def _truncated_points(tmp: Path, capture: Path) -> list[str | Path]:
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 1000\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    (_copy(tmp, capture) / "points3D.ply").write_bytes(header.encode() + b"\0" * 50)
    return [tmp / "copy"]


def _unwritable(tmp: Path, capture: Path) -> list[str | Path]:
    (tmp / "a_file").write_text("in the way")
    return [capture, "--out", tmp / "a_file" / "run"]


def _occupied(tmp: Path, capture: Path) -> list[str | Path]:
    (tmp / "mine").mkdir()
    (tmp / "mine" / "thesis.txt").write_text("precious")
    return [capture, "--out", tmp / "mine"]


def _beyond_the_end(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--frames", "3:700"]


def _unknown_tracker(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--tracker", "crystal-ball"]


def _unknown_backend(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--backend", "abacus"]


def _unknown_pipeline(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--pipeline", "guess"]


def _unknown_points(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--points", "stars"]


def _unknown_refinement(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--refinement", "eve"]


def _unknown_densify(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--densify", "fog"]


def _unknown_camera(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--hold-out", "cam99"]


def _negative_seed(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--seed", "-1"]


def _negative_match_rounds(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--match-rounds", "-1"]


def _too_many_match_rounds(tmp: Path, capture: Path) -> list[str | Path]:
    return [capture, "--match-rounds", "11"]


def _copy(tmp: Path, capture: Path) -> Path:
    return Path(shutil.copytree(capture, tmp / "copy"))


CASES = (
    _missing,
    _empty,
    _not_a_video,
    _short_video,
    _zero_bytes,
    _wrong_rows,
    _unknown_layout,
    _truncated_points,
    _unwritable,
    _occupied,
    _beyond_the_end,
    _unknown_tracker,
    _unknown_backend,
    _unknown_pipeline,
    _unknown_points,
    _unknown_refinement,
    _unknown_densify,
    _unknown_camera,
    _negative_seed,
    _negative_match_rounds,
    _too_many_match_rounds,
)


@pytest.fixture
def keep_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("keep_signals")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_bad_input_is_one_sentence_and_exit_code_two_and_nothing_is_written(
    case: Case, tmp_path: Path, small_capture_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(argument) for argument in case(tmp_path, small_capture_folder)]
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", *arguments])
    printed = capsys.readouterr()
    assert stop.value.code == 2, printed.err
    assert printed.err.startswith("error: ")
    assert len(printed.err.strip().splitlines()) == 1
    assert printed.out == ""
    assert list((tmp_path / "work").iterdir()) == []
    (tmp_path / "work").rmdir()
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.usefixtures("keep_signals")
@pytest.mark.parametrize(("options", "rounds"), [((), 1), (("--match-rounds", "0"), 0), (("--match-rounds", "10"), 10)])
def test_the_rounds_of_render_and_match_are_written_down(
    small_capture_folder: Path, tmp_path: Path, options: tuple[str, ...], rounds: int
) -> None:
    quick = ("--frames", "1", "--first-steps", "1", *PATCHES)
    with pytest.raises(SystemExit) as stop:
        main(["reconstruct", str(small_capture_folder), "--out", str(tmp_path / "run"), *quick, *options])
    assert stop.value.code == 0
    assert Run.open(tmp_path / "run").info["settings"]["motion"]["render_and_match"]["match_rounds"] == rounds


def test_bad_input_ends_the_process_with_code_two(tmp_path: Path) -> None:
    result = trackersplat("info", tmp_path / "nowhere")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == f"error: {tmp_path / 'nowhere'} does not exist: give the folder of a capture, or 'demo' for the bundled one.\n"


def test_without_held_out_cameras_the_table_says_why_it_is_empty(small_capture_folder: Path, tmp_path: Path) -> None:
    arguments = ("--hold-out", "", "--frames", "1:2", "--out", tmp_path / "run", *QUICK)
    result = trackersplat("reconstruct", small_capture_folder, *arguments)
    assert result.returncode == 0, result.stderr
    assert "No camera is held out, so quality is not measured" in result.stdout
    assert " dB" not in result.stdout


def test_two_captures_in_folders_of_one_name_get_a_run_each(small_capture_folder: Path, tmp_path: Path) -> None:
    first, second = (Path(shutil.copytree(small_capture_folder, tmp_path / name / "take")) for name in ("a", "b"))
    shutil.copy(second / "cam03.mp4", second / "cam02.mp4")  # the same cameras filmed something else
    options = ("--frames", "1", "--first-steps", "1", *PATCHES)
    assert trackersplat("reconstruct", first, *options, cwd=tmp_path).returncode == 0
    result = trackersplat("reconstruct", second, *options, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    runs = sorted(path.name for path in (tmp_path / "output").iterdir())
    assert runs[0] == "take"
    assert len(runs) == 2
    assert f"note: output/take holds something else than a run of {second}, so this run goes into output/{runs[1]}." in result.stderr
    for capture, folder in ((first, "take"), (second, runs[1])):
        again = trackersplat("reconstruct", capture, *options, "--events", "json", cwd=tmp_path)
        assert [json.loads(line)["event"] for line in again.stdout.splitlines()] == ["Started", "Finished"]
        assert Run.open(tmp_path / "output" / folder).info["capture"]["folder"] == str(capture.relative_to(tmp_path))
    shared = trackersplat("reconstruct", second, *options, "--out", "output/take", cwd=tmp_path)
    assert shared.returncode == 2
    assert shared.stderr == (
        "error: output/take holds a run of take (a/take), not of take (b/take): the image of cam02 in frame 1 is another one; "
        "choose another folder with --out.\n"
    )


def test_a_second_process_on_a_run_is_refused_in_one_sentence_and_the_first_one_ends_well(
    small_capture_folder: Path, tmp_path: Path
) -> None:
    arguments = ("reconstruct", small_capture_folder, "--frames", "1:2", "--out", tmp_path / "run", *QUICK, "--events", "json")
    with Program("trackersplat.cli", arguments) as first:
        assert '"Started"' in first.stdout.readline()
        for command in (arguments, ("compact", tmp_path / "run")):
            second = trackersplat(*command)
            assert second.returncode == 2
            assert second.stderr.startswith(f"error: The run {tmp_path / 'run'} is being written by process {first.pid} on ")
            assert len(second.stderr.splitlines()) == 1
        last = first.stdout.read().splitlines()[-1]
        assert (first.wait(60), json.loads(last)["event"]) == (0, "Finished")
    assert Run.open(tmp_path / "run").frames() == (0, 1)
