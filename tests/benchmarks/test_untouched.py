"""Whether an edit changes anything but what is selected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from trackersplat.benchmarks.editing import measure_time, room_camera
from trackersplat.benchmarks.made_run import write_made_run
from trackersplat.benchmarks.moving_scene import room_in_motion
from trackersplat.benchmarks.untouched import Untouched, delete_and_undo, same_bits
from trackersplat.document.document import Document
from trackersplat.document.selection import Selection
from trackersplat.gaussians.gaussians import Gaussians

FRAMES = 3


@pytest.fixture
def document(tmp_path: Path) -> Document:
    scene = room_in_motion(500)
    return Document.open(write_made_run(tmp_path / "run", [scene.at(frame) for frame in range(FRAMES)], [room_camera()]))


def test_deleting_leaves_the_bits_of_all_others_and_undo_brings_back_those_of_all(document: Document) -> None:
    count = len(document.original(0))
    assert delete_and_undo(document, Selection.of(range(40))) == Untouched(FRAMES * 40, FRAMES * (count - 40), 0, 0)


def test_a_bit_that_changes_elsewhere_is_counted(document: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    truly = Document.gaussians

    def spoiled(self: Document, frame: int) -> Gaussians:
        found = truly(self, frame)
        means = found.means.clone()
        means[-1, 2] = torch.nextafter(means[-1, 2], torch.tensor(9.0))
        return replace(found, means=means)

    monkeypatch.setattr(Document, "gaussians", spoiled)
    found = delete_and_undo(document, Selection.of(range(40)))
    assert (found.changed, found.not_undone) == (FRAMES, FRAMES)


def test_zeros_of_either_sign_are_different_bits(document: Document) -> None:
    one = document.original(0)
    assert same_bits(one, one)
    zeros = torch.zeros_like(one.sh)
    assert not same_bits(replace(one, sh=zeros), replace(one, sh=-zeros))


def test_the_measurement_of_a_carried_lasso_finds_newborns_and_nothing_changed(tmp_path: Path) -> None:
    rows, compared = measure_time(3000, FRAMES, tmp_path)
    assert [row[0] for row in rows] == ["lasso through", "carried, frames read from the disk", "carried, again"]
    assert compared.deleted > 0
    assert (compared.changed, compared.not_undone) == (0, 0)
