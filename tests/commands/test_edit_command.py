"""``trackersplat edit``: from a file of edits to another picture, and back. On the bundled run of the demo, in all of its 30 frames."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.cli import main
from trackersplat.document.document import Document
from trackersplat.rendering.backends.portable import PortableRasterizer

ROOT = Path(__file__).resolve().parents[2]
# Around the ball in the first frame of the central camera.
LASSO = [
    [117.9 + 10.4 * x, 138.6 + 10.4 * y] for x, y in ((1, 0), (0.7, 0.7), (0, 1), (-0.7, 0.7), (-1, 0), (-0.7, -0.7), (0, -1), (0.7, -0.7))
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "assets" / "demo-run", tmp_path / "run"))


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["edit", *arguments])
    return int(stopped.value.code or 0)


def test_one_lasso_in_one_frame_deletes_in_every_frame_and_view(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    selection = {"way": "polygon", "camera": "cam08", "frame": 1, "corners": LASSO}
    file = tmp_path / "edits.json"
    file.write_text(json.dumps([{"edit": "create_group", "name": "ball", "selection": selection}, {"edit": "delete", "group": "ball"}]))
    assert call(str(run), "--apply", str(file)) == 0
    assert "group ball: " in capsys.readouterr().out
    document, plain = Document.open(run), Document.open(ROOT / "assets" / "demo-run")
    ball = document.groups["ball"].selection
    assert 100 < len(ball) < 250
    for frame in range(30):
        keep = ~np.isin(plain.ids(frame), ball.ids)
        assert np.array_equal(document.ids(frame), plain.ids(frame)[keep])
        for name, tensor in document.gaussians(frame).tensors().items():
            assert torch.equal(tensor, plain.gaussians(frame).tensors()[name][torch.from_numpy(keep)])
    pictures = [_picture(each) for each in (document, plain)]
    changed = (pictures[0] != pictures[1]).any(-1)
    rows, columns = np.nonzero(changed)
    assert 100 < changed.sum() < 2000  # of 76,800: around the ball, and bit-identical elsewhere
    assert np.hypot(columns - 117.9, rows - 138.6).max() < 60
    assert call(str(run), "--undo", "2") == 0
    assert "(undone)" in capsys.readouterr().out
    again = Document.open(run)
    assert again.groups == {}
    for name, tensor in again.gaussians(17).tensors().items():
        assert tensor.numpy().tobytes() == plain.original(17).tensors()[name].numpy().tobytes()
    assert call(str(run), "--redo", "1") == 0
    assert list(Document.open(run).groups) == ["ball"]


def _picture(document: Document) -> np.ndarray:
    camera = next(camera for camera in document.cameras if camera.name == "cam08")
    return PortableRasterizer().render(document.gaussians(0), [camera]).color[0].numpy()


@pytest.mark.parametrize(
    ("arguments", "content", "message"),
    [
        (["--undo", "1"], None, "There is no edit to undo"),
        (["--undo", "1", "--redo", "1"], None, "exclude each other"),
        (["--apply", "FILE"], "[", "is not valid JSON"),
        (["--apply", "FILE"], "{}", "must hold a JSON list of edits"),
        (["--apply", "FILE"], '[{"edit": "hide", "selection": {"ids": [1]}}, {"edit": "melt"}]', "Edit 2 of the list: There is no edit"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_document(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], content: str | None, message: str
) -> None:
    file = tmp_path / "edits.json"
    if content is not None:
        file.write_text(content)
    assert call(str(run), *[str(file) if argument == "FILE" else argument for argument in arguments]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (run / "document" / "history.jsonl").exists()


def test_kinds_ways_and_attributes_are_listed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(str(run), "--kinds") == 0
    said = capsys.readouterr().out
    assert all(f"\n  {name}" in said for name in ("hide", "transform", "polygon", "connected", "opacity", "error"))
