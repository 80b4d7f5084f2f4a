"""Every exporter writes all frames or nothing, says so as it goes, and replaces nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.exporters.exporter import Exported, FrameExported
from trackersplat.gaussians.exporters.registry import EXPORTERS
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.readers.reader import read_gaussians
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence
from trackersplat.registry import Facts

FRAMES = (0, 1, 11)


def scene(frame: int, count: int = 50) -> Gaussians:
    generator = torch.Generator().manual_seed(1)
    shapes = {"means": (count, 3), "quats": (count, 4), "log_scales": (count, 3), "opacity_logits": (count,), "sh": (count, 4, 3)}
    parts = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    parts["means"][:10] += 0.1 * frame
    return Gaussians(**parts)


def frames(numbers: tuple[int, ...] = FRAMES) -> Iterator[tuple[int, Gaussians]]:
    """Can be read once only."""
    return ((frame, scene(frame)) for frame in numbers)


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_the_last_event_tells_what_was_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / "export"
    *events, last = EXPORTERS.load(name)(frames(), path)
    assert events == [FrameExported(frame, done) for done, frame in enumerate(FRAMES, start=1)]
    assert isinstance(last, Exported)
    assert last.path == str(path)
    assert last.frames == FRAMES
    assert list(last.files) == sorted(file.name for file in path.iterdir())
    assert last.bytes == sum(file.stat().st_size for file in path.iterdir())
    assert [entry.name for entry in path.parent.iterdir()] == ["export"]  # nothing temporary is left


def test_plys_are_numbered_from_1_and_hold_the_same_bits(tmp_path: Path) -> None:
    *_, last = EXPORTERS.load("ply")(frames(), tmp_path / "export")
    assert last.files == ("frame00001.ply", "frame00002.ply", "frame00012.ply")
    for frame in FRAMES:
        back = read_gaussians(tmp_path / "export" / f"frame{frame + 1:05d}.ply").gaussians.tensors()
        assert all(torch.equal(back[name], tensor) for name, tensor in scene(frame).tensors().items())


def test_a_sequence_is_that_of_write_sequence_in_whatever_order_the_frames_come(tmp_path: Path) -> None:
    *_, last = EXPORTERS.load("sequence")(frames((11, 0, 1)), tmp_path / "export")
    assert write_sequence(tmp_path / "written", FRAMES, scene) == last.bytes
    assert last.frames == GaussianSequence.open(tmp_path / "export").frames == FRAMES
    for file in last.files:
        assert (tmp_path / "export" / file).read_bytes() == (tmp_path / "written" / file).read_bytes()


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_what_is_at_the_path_is_never_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    (tmp_path / "empty").mkdir()
    for occupied in (tmp_path / "mine", tmp_path / "mine" / "notes.txt"):
        with pytest.raises(InputError, match="There is something at"):
            list(EXPORTERS.load(name)(frames(), occupied))
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    assert isinstance(list(EXPORTERS.load(name)(frames(), tmp_path / "empty"))[-1], Exported)


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_a_cancelled_or_failed_export_leaves_nothing(tmp_path: Path, name: str) -> None:
    running = EXPORTERS.load(name)(frames(), tmp_path / "export")
    assert isinstance(next(running), FrameExported)
    running.close()
    with pytest.raises(InputError, match="Frame 2 is to be exported twice"):
        list(EXPORTERS.load(name)(frames((0, 1, 1)), tmp_path / "export"))
    with pytest.raises(InputError, match="There is no frame to export"):
        list(EXPORTERS.load(name)(iter(()), tmp_path / "export"))
    assert list(tmp_path.iterdir()) == []


def test_frames_of_different_gaussians_do_not_make_a_sequence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Frame 2 has 40 Gaussians"):
        list(EXPORTERS.load("sequence")([(0, scene(0)), (1, scene(1, 40))], tmp_path / "export"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Cannot write to"):
        list(EXPORTERS.load(name)(frames(), tmp_path / "file" / "export"))


def test_an_exporter_is_added_with_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "means_exporter.py").write_text(
        "import numpy as np\n"
        "from trackersplat.gaussians.exporters.exporter import check_target, exported\n"
        "def export_means(frames, path):\n"
        "    check_target(path)\n"
        "    path.mkdir()\n"
        "    written = []\n"
        "    for frame, gaussians in frames:\n"
        "        np.save(path / f'{frame}.npy', gaussians.means.numpy())\n"
        "        written.append(frame)\n"
        "    yield exported(path, written)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(EXPORTERS, "_entries", dict(EXPORTERS._entries))
    EXPORTERS.add(Facts("means", "means alone", "means_exporter:export_means"))
    (done,) = EXPORTERS.load("means")(frames(), tmp_path / "export")
    assert done.files == ("0.npy", "1.npy", "11.npy")
