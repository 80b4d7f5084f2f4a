"""The document: what is done is there, is undone to the same bytes, and is on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_scene import CAMERAS, FRAMES, IN_THE_BALL, REPLACED, scene_frames

from trackersplat.benchmarks.made_run import write_made_run
from trackersplat.document.document import Document
from trackersplat.document.kinds.clip import Retime, Trim
from trackersplat.document.kinds.crop import Crop
from trackersplat.document.kinds.delete import Delete, Restore
from trackersplat.document.kinds.freeze import Freeze
from trackersplat.document.kinds.groups import CreateGroup, DissolveGroup, RenameGroup
from trackersplat.document.kinds.hide import Hide, Show
from trackersplat.document.kinds.look import Opacity, Tint
from trackersplat.document.kinds.transform import Transform
from trackersplat.document.region import Box, Sphere
from trackersplat.document.registry import SCENE_EDITS, make_scene_edit
from trackersplat.document.scene_edit import SceneEdit, Target
from trackersplat.document.selection import Selection
from trackersplat.edits.frame_range import FrameRange
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import SH_C0, Gaussians
from trackersplat.gaussians.lineage import INDEX_BITS
from trackersplat.geometry.quaternions import quaternion_to_matrix
from trackersplat.rendering.sh import sh_basis
from trackersplat.store.run import Run

BALL = Selection.of(np.flatnonzero(IN_THE_BALL))
SOME = Target.of(BALL)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return write_made_run(tmp_path_factory.mktemp("made") / "run", scene_frames(), CAMERAS, REPLACED)


@pytest.fixture
def document(made: Run, tmp_path: Path) -> Document:
    """The made run in a folder of its own, through links: documents are written beside, never into a frame."""
    folder = tmp_path / "run"
    folder.mkdir()
    for child in made.path.iterdir():
        (folder / child.name).symlink_to(child)
    return Document.open(folder)


def same(first: Gaussians, second: Gaussians) -> bool:
    return all(torch.equal(tensor, second.tensors()[name]) for name, tensor in first.tensors().items())


def only(document: Document, frame: int, changed: str) -> np.ndarray:
    """Rows of the frame in which the named parameters, and nothing else, differ from the run's."""
    rows = set[int]()
    for name, tensor in document.gaussians(frame).tensors().items():
        differs = (tensor != document.original(frame).tensors()[name]).reshape(len(tensor), -1).any(1)
        assert not differs.any() or name in changed.split(), name
        rows |= set(torch.nonzero(differs)[:, 0].tolist())
    return np.array(sorted(rows))


def test_what_is_deleted_in_one_frame_is_gone_in_all_and_the_rest_is_bit_identical(document: Document) -> None:
    document.do(Delete(SOME))
    for frame in range(FRAMES):
        keep = ~BALL.mask(document.original_ids(frame))
        assert 0 < keep.sum() < len(keep)
        assert same(document.gaussians(frame), document.original(frame)[torch.from_numpy(keep)])
        assert np.array_equal(document.ids(frame), document.original_ids(frame)[keep])
    document.undo()
    assert all(document.gaussians(frame) is document.original(frame) for frame in range(FRAMES))


def test_an_edit_acts_in_its_frames_alone(document: Document) -> None:
    document.do(Hide(SOME, FrameRange(1, 2)))
    document.do(Delete(SOME, FrameRange(3)))
    counts = [len(document.original(frame)) - len(document.gaussians(frame)) for frame in range(FRAMES)]
    there = [len(BALL.rows(document.original_ids(frame))) for frame in range(FRAMES)]
    assert counts == [0, *there[1:]]
    document.do(Show(SOME, FrameRange(2, 2)))
    document.do(Restore(SOME))
    assert [len(document.original(frame)) - len(document.gaussians(frame)) for frame in range(FRAMES)] == [0, there[1], 0, 0, 0]


def test_a_replaced_gaussian_is_another_one(document: Document) -> None:
    """A row that was of the ball belongs to something else from the frame on in which it was replaced."""
    index = REPLACED[3][0]
    assert IN_THE_BALL[index]
    document.do(Delete(Target.of(Selection.of([index]))))
    assert [len(document.gaussians(frame)) - len(document.original(frame)) for frame in range(FRAMES)] == [-1, -1, -1, 0, 0]
    document.undo()
    document.do(Delete(Target.of(Selection.of([(3 << INDEX_BITS) + index]))))
    assert [len(document.gaussians(frame)) - len(document.original(frame)) for frame in range(FRAMES)] == [0, 0, 0, -1, -1]


def test_history_is_walked_and_a_new_edit_ends_what_was_undone(document: Document) -> None:
    for size in (1, 2, 3):
        document.do(Hide(Target.of(Selection.of(range(size)))))
    document.go_to(1)
    assert document.history.labels == ("Hide 1 Gaussian in all frames", "Hide 2 Gaussians in all frames", "Hide 3 Gaussians in all frames")
    assert len(document.original(0)) - len(document.gaussians(0)) == 1
    document.redo(2)
    assert len(document.original(0)) - len(document.gaussians(0)) == 3
    document.undo(3)
    with pytest.raises(InputError, match="There is no edit to undo"):
        document.undo()
    document.do(Delete(SOME))
    assert (len(document.history.entries), document.history.position) == (1, 1)
    with pytest.raises(InputError, match="no undone edit to redo"):
        document.redo()


def test_another_process_sees_what_was_done_and_undone(document: Document) -> None:
    document.do(Delete(SOME))
    document.do(Trim(FrameRange(1, 3)))
    document.undo()
    other = Document.open(document.run.path)
    assert (other.history.labels, other.history.position) == (document.history.labels, 1)
    assert same(other.gaussians(2), document.gaussians(2))
    other.redo()
    assert document.refresh()
    assert document.frames == (1, 2, 3)
    document.undo(2)
    other.do(Hide(SOME))  # takes up the undo first
    assert other.history.labels == ("Hide 60 Gaussians in all frames",)


def test_groups_keep_their_name_and_edits_of_a_group_act_on_it(document: Document) -> None:
    document.do(CreateGroup("ball", BALL))
    document.do(Delete(Target.of("ball")))
    document.do(RenameGroup("ball", "toy"))
    document.do(CreateGroup("ball", Selection.of([0])))
    assert {name: len(group.selection) for name, group in document.groups.items()} == {"toy": 60, "ball": 1}
    assert len(document.original(0)) - len(document.gaussians(0)) == 60  # those that were the ball when it was deleted
    document.do(DissolveGroup("toy"))
    with pytest.raises(InputError, match=r"no group named 'toy'; there are ball"):
        document.do(Hide(Target.of("toy")))
    with pytest.raises(InputError, match="a group named 'ball' already"):
        document.do(CreateGroup("ball", BALL))
    assert len(document.history.entries) == 5


def test_trim_and_retime_order_frames_of_the_run(document: Document) -> None:
    document.do(Trim(FrameRange(1, 4)))
    assert document.frames == (1, 2, 3, 4)
    document.do(Retime(0.5))
    assert document.frames == (1, 1, 2, 2, 3, 3, 4, 4)
    document.do(Retime(2.0, backwards=True))
    assert document.frames == (4, 3, 2, 1)
    with pytest.raises(InputError, match="None of frame 1 is in the clip"):
        document.do(Trim(FrameRange(0, 0)))


def test_crop_deletes_by_where_things_are_in_each_frame(document: Document) -> None:
    region = Sphere((0.0, 0.0, 0.0), 0.9)
    document.do(Crop(region))
    for frame in (0, 4):
        inside = document.original(frame).means.norm(dim=1) <= 0.9
        assert 0 < inside.sum() < len(inside)
        assert same(document.gaussians(frame), document.original(frame)[inside])
    document.undo()
    turned = Box((0.1, 0.0, 0.0), (2.0, 0.2, 4.0), (0.9238795, 0.0, 0.0, 0.3826834))  # by 45 degrees about z
    points = torch.tensor([[0.1 + 0.6, 0.6, 0.0], [0.1 + 0.6, -0.6, 0.0], [0.75, 0.7, 0.0]])
    assert turned.contains(points).tolist() == [True, False, True]
    document.do(Crop(turned, "outside", FrameRange(2, 2)))
    assert same(document.gaussians(2), document.original(2)[~turned.contains(document.original(2).means)])
    assert document.gaussians(1) is document.original(1)


def test_a_move_changes_places_alone_and_undo_brings_the_bytes_back(document: Document) -> None:
    document.do(Transform(SOME, translation=(0.5, -0.25, 0.125)))
    rows = only(document, 1, "means")
    assert np.array_equal(rows, BALL.rows(document.original_ids(1)))
    moved = document.gaussians(1).means[rows] - document.original(1).means[rows]
    assert torch.allclose(moved, torch.tensor([0.5, -0.25, 0.125]), atol=1e-6)


def test_a_rotation_turns_shapes_and_colours_with_the_surface(document: Document) -> None:
    turn = (0.7071068, 0.0, 0.0, 0.7071068)  # x to y
    document.do(Transform(SOME, rotation=turn, scale=2.0, center=(1.0, 0.0, 0.0)))
    rows = only(document, 2, "means quats log_scales sh")
    before, after = document.original(2)[torch.from_numpy(rows)], document.gaussians(2)[torch.from_numpy(rows)]
    matrix = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    center = torch.tensor([1.0, 0, 0])
    assert torch.allclose(after.means, center + 2 * (before.means - center) @ matrix.T, atol=1e-5)
    assert torch.allclose(quaternion_to_matrix(after.quats), matrix @ quaternion_to_matrix(before.quats), atol=1e-5)
    assert torch.allclose(after.scales, 2 * before.scales, rtol=1e-5)
    direction = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.8]]), dim=1)
    seen = torch.einsum("k,nkc->nc", sh_basis(direction, 1)[0], before.sh)
    turned = torch.einsum("k,nkc->nc", sh_basis(direction @ matrix.T, 1)[0], after.sh)
    assert torch.allclose(seen, turned, atol=1e-5)


def test_tint_and_opacity_change_looks_alone(document: Document) -> None:
    document.do(Tint(SOME, colour=(1.0, 0.0, 0.5), strength=1.0))
    rows = only(document, 0, "sh")
    sh = document.gaussians(0).sh[rows]
    assert torch.allclose(sh[:, 0] * SH_C0 + 0.5, torch.tensor([1.0, 0.0, 0.5]), atol=1e-6)
    assert not sh[:, 1:].any()
    document.undo()
    document.do(Tint(SOME, colour=(1.0, 0.0, 0.5), strength=0.25))
    own = document.original(0).sh[rows]
    assert torch.allclose(document.gaussians(0).sh[rows], own + 0.25 * (sh - own), atol=1e-6)
    document.undo()
    document.do(Opacity(SOME, factor=0.5))
    rows = only(document, 0, "opacity_logits")
    assert torch.allclose(document.gaussians(0).opacities[rows], 0.5 * document.original(0).opacities[rows], atol=1e-6)


def test_frozen_things_are_in_every_frame_as_in_one(document: Document) -> None:
    document.do(Freeze(SOME, FrameRange(2), at=1))
    still = document.gaussians(1)[torch.from_numpy(BALL.rows(document.ids(1)))]
    for frame in range(2, FRAMES):
        rows = BALL.rows(document.ids(frame))
        order = np.argsort(document.ids(frame)[rows])
        assert same(document.gaussians(frame)[torch.from_numpy(rows[order])], still)
        others = document.gaussians(frame)[torch.from_numpy(~BALL.mask(document.ids(frame)))]
        assert same(others, document.original(frame)[torch.from_numpy(~BALL.mask(document.original_ids(frame)))])
    assert document.gaussians(0) is document.original(0)


def test_what_is_not_there_in_the_frame_of_a_freeze_is_not_there_later(document: Document) -> None:
    newborn = Selection.of([(3 << INDEX_BITS) + index for index in REPLACED[3]])
    document.do(Freeze(Target.of(BALL.union(newborn)), at=1))
    for frame in (3, 4):
        assert len(newborn.rows(document.original_ids(frame))) == len(newborn)
        assert len(newborn.rows(document.ids(frame))) == 0
        assert len(BALL.rows(document.ids(frame))) == len(BALL)


def test_what_is_deleted_for_good_is_what_reconstruction_leaves_out(document: Document) -> None:
    document.do(Delete(Target.of(Selection.of(range(10)))))
    document.do(Delete(Target.of(Selection.of(range(10, 20))), FrameRange(3)))
    document.do(Delete(Target.of(Selection.of(range(20, 30))), FrameRange(0, 4)))
    document.do(Restore(Target.of(Selection.of(range(5))), FrameRange(4)))
    document.do(Restore(Target.of(Selection.of(range(5, 7))), FrameRange(0, 1)))
    document.do(Restore(Target.of(Selection.of(range(10, 12))), FrameRange(2, 4)))
    assert document.left_out(2).ids.tolist() == [5, 6, 7, 8, 9]
    assert document.left_out(4).ids.tolist() == [*range(5, 10), *range(12, 20)]
    assert document.left_out(5).ids.tolist() == [*range(5, 20)]


EVERY_KIND: tuple[SceneEdit, ...] = (
    Hide(SOME, FrameRange(1, 3)),
    Show(Target.of("g")),
    Delete(SOME),
    Restore(SOME, FrameRange(2)),
    Crop(Box((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (0.6, 0.8, 0.0, 0.0)), "outside", FrameRange(1, 2)),
    Crop(Sphere((1.0, 2.0, 3.0), 0.5)),
    CreateGroup("g", BALL),
    RenameGroup("g", "h"),
    DissolveGroup("h"),
    Freeze(SOME, FrameRange(1, 2), at=3),
    Tint(SOME, colour=(0.1, 0.2, 0.3), strength=0.25),
    Opacity(SOME, FrameRange(1), factor=0.75),
    Transform(SOME, translation=(1.0, 2.0, 3.0), rotation=(0.6, 0.0, 0.8, 0.0), scale=1.5, center=(4.0, 5.0, 6.0)),
    Trim(FrameRange(1, 2)),
    Retime(0.5, backwards=True),
)


def test_every_kind_comes_back_from_its_json() -> None:
    assert {edit.kind for edit in EVERY_KIND} == set(SCENE_EDITS.names())
    for edit in EVERY_KIND:
        data = json.loads(json.dumps(edit.to_json()))
        assert make_scene_edit(edit.kind, data, lambda named: BALL) == edit
        assert edit.label


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"edit": "melt"}, "no edit of the scene named 'melt'"),
        ({"edit": "hide"}, "hide needs the argument selection"),
        ({"edit": "hide", "selection": {"ids": []}}, "nothing is selected"),
        ({"edit": "hide", "selection": {"ids": [-1]}}, "whole numbers from 0"),
        ({"edit": "hide", "selection": {"ids": [1]}, "colour": 3}, "hide has no argument 'colour'"),
        ({"edit": "hide", "selection": {"way": "sniff"}}, "no way of selecting named 'sniff'"),
        ({"edit": "hide", "selection": {"stored": "../../x"}}, "names no stored selection"),
        ({"edit": "hide", "group": "nobody"}, "no group named 'nobody'"),
        ({"edit": "hide", "selection": {"ids": [1]}, "frames": "9:"}, "frames up to 5"),
        ({"edit": "opacity", "selection": {"ids": [1]}, "factor": float("nan")}, "a number from 0 to 100"),
        ({"edit": "transform", "selection": {"ids": [1]}, "rotation": [0, 0, 0, 0]}, "a quaternion w, x, y, z that is not 0"),
        ({"edit": "transform", "selection": {"ids": [1]}, "translation": [0, 0]}, "3 numbers from"),
        ({"edit": "freeze", "selection": {"ids": [1]}, "at": 0}, "a whole number from 1"),
        ("delete all", "is no edit"),
        ({"edit": "hide", "selection": {"way": "click", "camera": {"width": 10**9, "height": 2}, "frame": 1, "x": 1, "y": 1}}, "camera"),
    ],
)
def test_what_is_wrong_is_refused_and_changes_nothing(document: Document, data: Any, message: str) -> None:
    good = {"edit": "hide", "selection": {"ids": [0]}}
    with pytest.raises(InputError, match=message):
        document.apply([good, data])
    assert not document.history.entries
    assert Document.open(document.run.path).history.entries == ()


def test_frames_that_were_made_again_with_others_are_told_and_their_ids_not_applied(made: Run, tmp_path: Path) -> None:
    frames = scene_frames()
    run = write_made_run(tmp_path / "run", frames, CAMERAS, REPLACED)
    born = Selection.of([(3 << INDEX_BITS) + index for index in REPLACED[3]])
    document = Document.open(run)
    document.do(Delete(Target.of(Selection.of([7]).union(born))))
    assert len(document.gaussians(3)) == len(frames[3]) - 1 - len(REPLACED[3])
    again = [*frames[:3], replace(frames[3], means=frames[3].means.roll(5, 0)), frames[4]]
    write_made_run(run.path, again, CAMERAS, REPLACED, 2.0)
    assert document.refresh()
    assert len(document.gaussians(3)) == len(frames[3]) - 1
    assert document.warnings == (
        f"Edit 1 (Delete {1 + len(born)} Gaussians in all frames): {len(born)} of its {1 + len(born)} Gaussians are of frame 4, which was "
        "made again with other Gaussians; it does not act on them.",
    )
    write_made_run(run.path, frames, CAMERAS, {}, 3.0)  # now nobody was born in frame 4
    assert "of frame 4, which was made again" in Document.open(run.path).warnings[0]
    write_made_run(run.path, frames, CAMERAS, REPLACED, 4.0)
    assert Document.open(run.path).warnings == ()


def test_ids_that_no_frame_has_are_counted_and_told(document: Document) -> None:
    document.do(Hide(Target.of(Selection.of([0, 10**6, (9 << INDEX_BITS) + 1])), FrameRange(0, 8)))
    assert document.warnings == (
        "Edit 1 (Hide 3 Gaussians in frames 1-9) names frames up to 9, the run has frames up to 5.",
        "Edit 1 (Hide 3 Gaussians in frames 1-9): 1 of its 3 Gaussians do not exist any more.",
        "Edit 1 (Hide 3 Gaussians in frames 1-9): 1 of its 3 Gaussians are of frame 10, which is not in the run.",
    )
