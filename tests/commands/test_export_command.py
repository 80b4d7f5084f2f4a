"""``trackersplat export`` as a user meets it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trackersplat.captures.capture import Capture
from trackersplat.cli import main
from trackersplat.document.document import Document
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.lineage import Lineage
from trackersplat.gaussians.ply import write_ply
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence
from trackersplat.jobs.export_events import EVENTS
from trackersplat.jobs.reconstruct import frame_done
from trackersplat.pipelines.pipeline import ChainState, FrameResult
from trackersplat.store.run import Run

FRAMES = (0, 1, 3)  # frame 3, counted from 1, is not there


def gaussians(frame: int) -> Gaussians:
    random = torch.Generator().manual_seed(0)
    shapes = {"means": (20, 3), "quats": (20, 4), "log_scales": (20, 3), "opacity_logits": (20,), "sh": (20, 4, 3)}
    made = Gaussians(**{name: torch.randn(shape, generator=random) for name, shape in shapes.items()})
    return replace(made, means=made.means + frame)


@pytest.fixture
def folder(small_capture: Capture, tmp_path: Path) -> Path:
    """A run of three frames."""
    run = Run.create(tmp_path / "run", small_capture, {"settings": {"pipeline": "train-base", "tracker": "dis", "metrics": ["psnr"]}})
    lineage = Lineage.of_first_frame(0, 20)
    for frame in FRAMES:
        state = ChainState(frame, gaussians(frame), lineage)
        result = FrameResult(state, 0 if frame else None, None, torch.zeros(0, dtype=torch.long), 7, {}, {}, {"refine": 1.0})
        run.write_frame(result, frame_done(result, small_capture), small_capture)
    return run.path


def export(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(["export", *map(str, arguments)])
    assert isinstance(end.value.code, int)
    return end.value.code


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_by_default_all_frames_become_numbered_plys_of_the_same_bits(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, before = tmp_path / "plys", contents(folder)
    assert export(folder, "--out", out) == 0
    assert sorted(path.name for path in out.iterdir()) == ["frame00001.ply", "frame00002.ply", "frame00004.ply"]
    for frame in FRAMES:
        exported = read_gaussians(out / f"frame{frame + 1:05d}.ply").gaussians
        assert all(torch.equal(tensor, gaussians(frame).tensors()[name]) for name, tensor in exported.tensors().items())
    size = sum(path.stat().st_size for path in out.iterdir())
    assert capsys.readouterr().out == (
        f"{out}: 3 frames, {size / 1e6:.2f} MB, {size / 3e3:,.0f} kB per frame\nread back: frames 1, 2, 4 show exactly what the run shows\n"
    )
    assert contents(folder) == before


def test_one_frame_is_told_in_the_singular(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plys"
    assert export(folder, "--out", out, "--frames", "4") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{out}: 1 frame, ")
    assert second == "read back: frame 4 shows exactly what the run shows"


def test_infinite_opacities_of_another_program_are_clamped_and_said_by_export_and_compact(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cloud,) = (folder / "frame1").rglob("point_cloud.ply")
    opaque = gaussians(0)
    opaque.opacity_logits[3:5] = torch.inf
    write_ply(cloud, opaque)
    assert export(folder, "--out", tmp_path / "plys") == 0
    assert torch.isfinite(read_gaussians(tmp_path / "plys" / "frame00001.ply").gaussians.opacity_logits).all()
    says = "2 of 20 Gaussians have an infinite opacity value"
    assert says in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit) as end:
        main(["compact", str(folder)])
    assert end.value.code == 0
    assert says in " ".join(capsys.readouterr().out.split())
    assert torch.isfinite(Run.open(folder).read_frame(0).opacity_logits).all()


def test_chosen_frames_become_a_compact_sequence(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "sequence"
    assert export(folder, "--format", "sequence", "--frames", "1:2", "--out", out) == 0
    sequence = GaussianSequence.open(out)
    assert tuple(sequence.frames) == (0, 1)
    torch.testing.assert_close(sequence.read(1).means, gaussians(1).means, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--frames", "1:4"), "has no frame 3: choose among those that are there"),
        (("--frames", "3"), "has no frame 3: choose among those that are there"),
        (("--frames", "5"), "frames 1 to 4"),
        (("--frames", "two"), "'two' are not understood"),
        (("--format", "vhs"), "There is no exporter named 'vhs'; choose one of ply, zip,"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_nothing_is_written(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path)
    assert export(folder, "--out", tmp_path / "out", *arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert words in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""
    assert not (tmp_path / "out").exists()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("format", ["ply", "sequence"])
@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "the run"])
def test_what_is_there_is_not_replaced(folder: Path, tmp_path: Path, kind: str, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder if kind == "the run" else tmp_path / "there"
    if kind == "file":
        out.write_text("precious")
    elif kind != "the run":
        out.mkdir()
    if kind == "folder":
        (out / "thesis.txt").write_text("precious")
    before = contents(tmp_path)
    assert export(folder, "--format", format, "--out", out) == 2
    assert f"{out} is there already: choose a new name with --out." in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_one_file_needs_its_ending(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, "--format", "zip", "--out", tmp_path / "clip") == 2
    assert "The format zip is one file: give a name that ends with .zip instead of 'clip'." in capsys.readouterr().err
    assert export(folder, "--format", "zip", "--out", tmp_path / "clip.zip") == 0


def test_fewer_harmonics_are_smaller_and_their_cost_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, "--sh-degree", "0", "--out", tmp_path / "plys") == 0
    assert read_gaussians(tmp_path / "plys" / "frame00001.ply").gaussians.sh.shape == (20, 1, 3)
    assert "dB" in capsys.readouterr().out
    assert export(folder, "--sh-degree", "1", "--out", tmp_path / "all") == 0
    assert torch.equal(read_gaussians(tmp_path / "all" / "frame00001.ply").gaussians.sh, gaussians(0).sh)
    assert export(folder, "--sh-degree", "4", "--out", tmp_path / "more") == 2
    assert "There are spherical harmonics of degree 0 to 3, not 4" in capsys.readouterr().err


def test_without_the_cameras_nothing_is_compared_and_that_is_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in folder.rglob("cameras.json"):
        file.unlink()
    assert export(folder, "--out", tmp_path / "plys") == 0
    assert "nothing is compared: the run has no cameras.json" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("text", ["{", "[1]", '[{"width": 1000000000, "height": 1}]', "[" * 100_000, '[{"width": 4, "height": NaN}]'])
def test_damaged_cameras_are_one_sentence(folder: Path, tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for file in folder.rglob("cameras.json"):
        file.write_text(text)
    assert export(folder, "--out", tmp_path / "plys") == 2
    error = capsys.readouterr().err
    assert "does not hold the cameras of a run" in error
    assert len(error.splitlines()) == 1


def test_frames_that_the_clip_leaves_out_are_not_written_and_that_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Document.open(folder).apply([{"edit": "trim", "frames": "1:2"}])
    assert export(folder, "--out", tmp_path / "none", "--frames", "4") == 2
    expected = (
        "Frame 4 is not in the clip as it is edited (trimmed or retimed), so not written. Choose others with --frames, or give --no-edits."
    )
    assert expected in capsys.readouterr().err
    Document.open(folder).apply([{"edit": "trim", "frames": "2:4"}])
    assert export(folder, "--out", tmp_path / "some", "--frames", "1:2") == 0
    assert "Frame 1 is not in the clip as it is edited (trimmed or retimed), so not written." in capsys.readouterr().out.replace("\n", " ")
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["frame00002.ply"]


def test_without_a_run_or_frames_there_is_nothing_to_export(
    small_capture: Capture, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tmp_path / "nowhere", "--out", tmp_path / "out") == 2
    assert "There is no run at" in capsys.readouterr().err
    Run.create(tmp_path / "empty", small_capture, {"settings": {}})
    assert export(tmp_path / "empty", "--out", tmp_path / "out") == 2
    assert "has no frames to export" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_format_of_one_page_says_its_size_and_what_it_loses(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, "--format", "html", "--fps", "12", "--prune", "0.02", "--out", tmp_path / "scene.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'scene.html'}: 3 frames, ")
    assert lines[1].startswith("pruned: ")
    assert lines[2].startswith("read back: frames 1, 2, 4 show what the run shows with at least ")
    assert '"frames_per_second": 12.0' in (tmp_path / "scene.html").read_text()


def test_the_rate_of_the_capture_is_known_and_others_are_said(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = json.loads((folder / "run.json").read_text())
    assert info["capture"].pop("fps") == 30.0
    (folder / "run.json").write_text(json.dumps(info))
    assert export(folder, "--format", "html", "--frames", "1", "--out", tmp_path / "scene.html") == 0
    assert "30 frames per second are assumed; --fps gives another" in " ".join(capsys.readouterr().out.split())
    info["capture"]["fps"] = 2000.0  # as a capture may have
    (folder / "run.json").write_text(json.dumps(info))
    assert export(folder, "--format", "html", "--frames", "1", "--out", tmp_path / "fast.html") == 0
    assert '"frames_per_second": 2000.0' in (tmp_path / "fast.html").read_text()


@pytest.mark.parametrize("format", ["colmap", "colmap-text", "transforms"])
def test_cameras_are_exported_with_the_gaussians_as_points(
    folder: Path, tmp_path: Path, format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folder, "--format", format, "--out", tmp_path / "cameras") == 0
    assert capsys.readouterr().out.splitlines()[1] == "read back: all 4 cameras are the same"
    assert export(folder, "--format", format, "--out", tmp_path / "cameras") == 2
    assert "There is something at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"img_name": "../../cam"}, "must be a plain name"),
        ({"img_name": "half \ud800"}, "must be a plain name"),
        ({"rotation": [[1.0003, 0, 0], [0, 1, 0], [0, 0, 1]]}, "its pose is no exact rotation"),
    ],
)
@pytest.mark.parametrize("format", ["colmap", "colmap-text", "transforms"])
def test_cameras_that_a_format_does_not_keep_are_refused(
    folder: Path, tmp_path: Path, format: str, change: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in folder.rglob("cameras.json"):
        entries = json.loads(file.read_text())
        entries[1].update(change)
        file.write_text(json.dumps(entries))
    assert export(folder, "--format", format, "--out", tmp_path / "cameras") == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "cameras").exists()


@pytest.mark.parametrize(
    ("arguments", "words"), [(("--prune", "0.9"), "from 0 to 0.5"), (("--fps", "0"), "more than 0"), (("--prune", "nan"), "from 0 to 0.5")]
)
def test_options_out_of_range_are_one_sentence(
    folder: Path, tmp_path: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(folder, *arguments, "--out", tmp_path / "out") == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_events_are_json_lines_that_can_be_read_back(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(folder, "--events", "json", "--prune", "0.01", "--out", tmp_path / "plys") == 0
    *events, last = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert last["event"] == "Finished"
    read = [EVENTS.from_json(event) for event in events]
    assert [EVENTS.to_json(event) for event in read] == events
    kinds = [type(event).__name__ for event in read]
    assert kinds == ["ExportStarted", *["FrameWeighed"] * 3, "Pruned", *["FrameWritten"] * 3, *["FrameCompared"] * 3, "FileDone"]
