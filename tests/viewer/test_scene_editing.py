"""Selecting and editing Gaussians by the commands of the page, on a run of five Gaussians on disk; the page itself is not needed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from waiting import wait_for

import viewer.camera_paths
import viewer.editing
import viewer.notes
from trackersplat.camera_paths.path import CameraPath, Key
from trackersplat.captures.capture import Capture
from trackersplat.document import carrying
from trackersplat.document.selection import Selection
from trackersplat.edits.registry import make_edit
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.ply import write_ply
from trackersplat.rendering.registry import choose_rasterizer
from viewer import history
from viewer.camera_paths import CameraPaths
from viewer.commands.gaussians import frames_of, without_strays
from viewer.commands.registry import COMMANDS
from viewer.components.select_tool import Outline, read_outline
from viewer.edit_log import RunEdits
from viewer.editing import Editing
from viewer.frame_cache import FrameCache
from viewer.notes import Notes
from viewer.pane_source import TabPanes, _of_rows
from viewer.panels.edit import selection_words
from viewer.panels.edit_clip import clip_words
from viewer.panels.edit_select import BINS, histogram
from viewer.runs import Runs
from viewer.shared_rasterizer import SharedRasterizer
from viewer.stage.marks import zone_strokes
from viewer.state import Pane, Shared, Store, View, Zone
from viewer.tab import Tab
from viewer.views.highlight import COLOUR, MOST_DRAWN, coverage, highlighted, standing_in

FRAMES = 3


def _gaussians(frame: int) -> Gaussians:
    """Four around the middle of the view and a fifth behind the first one, as cam01 sees it; the first one moves to the right."""
    means = torch.tensor([[-0.4 + 0.02 * frame, -0.3, 0.0], [0.4, -0.3, 0.0], [-0.4, 0.3, 0.0], [0.4, 0.3, 0.0], [-0.26, -0.28, 0.56]])
    sizes = torch.tensor([0.06] * 4 + [0.015])
    return Gaussians(
        means=means, quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(5, 1), log_scales=sizes.log()[:, None].repeat(1, 3),
        opacity_logits=torch.tensor([6.0] * 4 + [-4.0]), sh=torch.ones(5, 1, 3),
    )  # fmt: skip


class Desk:
    """A tab on a run on disk."""

    def __init__(self, capture: Capture, run: Path) -> None:
        for frame in range(FRAMES):
            parent = run if frame == 0 else run / "refine" / "base-propagate-dot"
            folder = parent / f"frame{frame + 1}" / "point_cloud" / "iteration_1"
            folder.mkdir(parents=True)
            write_ply(folder / "point_cloud.ply", _gaussians(frame))
        self.run = run
        self.store = Store(Shared(FRAMES, out=run, run=run, reconstructed=tuple(range(FRAMES)), ready=True))
        self.store.open_tab("t", View(panes=(Pane(1), Pane(2))))
        renderer = SharedRasterizer()
        renderer.use(choose_rasterizer(backend="portable"))
        runs = Runs(capture, self.store, run)
        self.frames = FrameCache(self.store, runs)
        self.edits = RunEdits(self.store)
        self.editing = Editing(capture, self.store, runs, self.frames, renderer)
        document: Any = SimpleNamespace(
            capture=capture, edits=self.edits, editing=self.editing, scene=self.editing.frame, shown=self.frames.shown, viewpoints={},
            framing=SimpleNamespace(extent=2.0), frames=self.frames, runs=runs, renderer=renderer, diagnosis=lambda: None,
            tracks=lambda path=None: None,
        )  # fmt: skip
        self.tab = Tab("t", self.store, document)
        self.camera = capture.cameras[1]

    def do(self, command: str, **arguments: Any) -> None:
        """Runs a command and waits until it is done."""
        self.tab.do(command, **arguments)
        wait_for(lambda: not self.editing.busy)

    def around(self, *indices: int, frame: int = 0, radius: float = 3.0) -> tuple[tuple[float, float], ...]:
        """Corners of a rectangle in the picture of the first pane around the centres of Gaussians."""
        pixels = self.camera.project(_gaussians(frame).means.numpy()[list(indices)].astype(float))[0]
        low, high = pixels.min(axis=0) - radius, pixels.max(axis=0) + radius
        return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))

    def draw(self, *indices: int, mode: Any = "replace") -> None:
        self.do("select.drawn", outline=Outline("rectangle", mode, self.around(*indices)), pane=0)

    def selected(self) -> list[int]:
        """Rows in frame 1."""
        found = self.tab.view.selected
        return [] if found is None else found.rows(self.editing.document().original_ids(0)).tolist()

    def rows(self, frame: int) -> list[int]:
        """Rows of the run's frame that are shown."""
        found = self.editing.frame(frame)
        assert found is not None
        return list(range(5)) if found.rows is None else found.rows.tolist()

    def problems(self) -> list[str]:
        return [sentence for source, sentence in self.store.shared.problems if source != "scene edits"]

    def close(self) -> None:
        self.editing.close()
        self.frames.close()


@pytest.fixture
def desk(small_capture: Capture, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(small_capture, tmp_path / "run")
    yield made
    made.close()


def test_what_is_drawn_in_a_pane_is_selected_by_what_is_seen_or_through_and_the_keys_combine(desk: Desk) -> None:
    desk.draw(0)
    assert desk.selected() == [0]
    assert desk.tab.view.answered == 1
    desk.do("tool.through")
    desk.draw(0)
    assert desk.selected() == [0, 4]
    desk.draw(1, mode="add")
    assert desk.selected() == [0, 1, 4]
    desk.draw(0, mode="subtract")
    assert desk.selected() == [1]
    desk.draw(0, 1, mode="intersect")
    assert desk.selected() == [1]
    desk.draw(3, mode="intersect")
    assert desk.tab.view.selected is None
    desk.do("select.drawn", outline=Outline("click", "replace", (desk.around(2, radius=0)[0],)), pane=0)
    assert desk.selected() == [2]
    desk.do("select.drawn", outline=Outline("brush", "replace", desk.around(2, 3, radius=0), 2.0), pane=0)
    assert desk.selected() == [2, 3]
    assert desk.problems() == []


def test_what_is_drawn_is_carried_to_other_frames_if_asked_unless_the_selection_changes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carried(found: Selection, frame: int, frames: tuple[int, ...], read: Any, settings: Any) -> Selection:
        read(frame)
        if not desk.tab.view.carrying:
            raise AssertionError("the page does not say that it looks")
        return found.union(Selection.of([4]))

    monkeypatch.setattr(carrying, "carried", carried)
    desk.do("tool.time")
    desk.draw(0)
    assert desk.selected() == [0, 4]
    assert (desk.tab.view.carried, desk.tab.view.carrying) == (1, False)
    desk.draw(0, mode="subtract")
    assert desk.tab.view.selected is None

    def cleared(found: Selection, frame: int, frames: tuple[int, ...], read: Any, settings: Any) -> Selection:
        desk.tab.set(selected=None)
        read(frame)
        raise AssertionError("it went on")

    monkeypatch.setattr(carrying, "carried", cleared)
    desk.draw(0)
    assert (desk.tab.view.selected, desk.tab.view.carrying) == (None, False)
    desk.do("tool.time")
    desk.draw(0)
    assert desk.selected() == [0]
    assert desk.problems() == []


def test_naming_groups_does_not_make_the_scene_an_edited_one(desk: Desk) -> None:
    desk.draw(0)
    desk.do("group.create", group="ball")
    assert desk.editing.document().history.labels
    assert not desk.editing.is_edited
    desk.do("gaussians.delete")
    assert desk.editing.is_edited


def test_what_cannot_be_drawn_is_said_and_the_outline_is_answered(desk: Desk) -> None:
    desk.do("select.drawn", outline=Outline("click", "replace", ((-5.0, 3.0),)), pane=0)
    assert desk.problems() == ["This is beside the picture: click into it."]
    desk.tab.set_pane(0, compare="other")
    desk.draw(0)
    assert "only the run on the screen is edited" in desk.problems()[0]
    desk.do("select.drawn", outline=Outline("rectangle", "replace", ((0.0, 0.0), (1.0, 1.0))))
    assert "The 3D stage is not there yet." in desk.problems()[0]
    assert desk.tab.view.answered == 3
    assert desk.tab.view.selected is None


def test_how_many_were_carried_is_forgotten_with_their_selection(desk: Desk) -> None:
    desk.do("select.all")
    desk.tab.set(selected=desk.tab.view.selected, carried=3)
    assert desk.tab.view.carried == 3
    desk.do("select.invert")
    assert desk.tab.view.carried == 0


def test_a_tab_that_is_closed_meanwhile_is_no_problem_but_any_other_missing_key_is(desk: Desk) -> None:
    desk.editing.run("Select", lambda: desk.store.view("closed"))
    wait_for(lambda: not desk.editing.busy)
    assert desk.problems() == []
    desk.editing.run("Select", lambda: {}["x"])
    wait_for(lambda: not desk.editing.busy)
    assert desk.problems() == ["Select: this failed (KeyError: 'x'); the terminal shows where."]


def test_the_stage_s_outline_is_in_shares_of_its_picture(desk: Desk) -> None:
    view = desk.camera.resized(128, 96)
    desk.tab.document.viewpoints["t"] = lambda: view
    (x0, y0), (x1, y1) = ((x / desk.camera.width, y / desk.camera.height) for x, y in desk.around(3))
    desk.do("select.drawn", outline=Outline("rectangle", "replace", ((x0, y0), (x1, y1))))
    assert desk.selected() == [3]
    middle = ((0.5 * (x0 + x1), 0.5 * (y0 + y1)),)
    desk.do("select.drawn", outline=Outline("brush", "replace", middle, 0.05))
    assert desk.selected() == [3]
    desk.do("tool.through")
    desk.do("select.drawn", outline=Outline("brush", "replace", middle, 2.0))  # twice the height of the picture
    assert desk.selected() == [0, 1, 2, 3, 4]


def test_delete_pressed_right_after_drawing_deletes_what_was_drawn_in_all_frames_and_undo_shows_the_run_s_own_frame(desk: Desk) -> None:
    own = desk.editing.frame(2)
    assert own is not None
    desk.tab.do("select.drawn", outline=Outline("rectangle", "replace", desk.around(1)), pane=0)
    desk.tab.do("gaussians.delete")
    wait_for(lambda: not desk.editing.busy)
    assert [desk.rows(frame) for frame in range(FRAMES)] == [[0, 2, 3, 4]] * 3
    assert desk.tab.view.selected is None
    assert desk.editing.is_edited
    desk.do("act.undo")
    again = desk.editing.frame(2)
    assert again is not None
    assert again.gaussians is own.gaussians
    assert not again.edited
    desk.do("act.redo")
    assert desk.rows(1) == [0, 2, 3, 4]
    desk.do("gaussians.restore")
    assert desk.rows(1) == [0, 1, 2, 3, 4]
    assert desk.selected() == [1]


def test_an_edit_acts_in_the_frames_of_the_scope(desk: Desk) -> None:
    desk.tab.set(frame=1)
    expected = {"all": "all", "onwards": "2:", "frame": "2"}
    assert {scope: frames_of(desk.tab, scope) for scope in expected} == expected  # type: ignore[arg-type]
    desk.do("edit.scope", scope="range")
    desk.draw(2)
    desk.do("gaussians.hide")
    assert desk.problems() == ["No range is set: I and O on the timeline set its ends."]
    desk.tab.set(first=1, last=1)
    desk.do("gaussians.hide")
    assert [desk.rows(frame) for frame in range(FRAMES)] == [[0, 1, 2, 3, 4], [0, 1, 3, 4], [0, 1, 2, 3, 4]]
    desk.do("edit.scope", scope="all")
    desk.do("gaussians.show_all")
    assert desk.rows(1) == [0, 1, 2, 3, 4]


def test_undo_takes_back_what_was_done_last_be_it_of_tracks_or_of_the_scene(desk: Desk) -> None:
    desk.draw(0)
    desk.do("gaussians.hide")
    desk.edits.add([make_edit("rerun", {"frames": "1:2"})])
    steps = history.steps(desk.tab.document)
    assert {(step.of, step.done) for step in steps} == {("scene", True), ("tracks", True)}
    last, first = steps[-1].of, steps[0].of
    desk.do("act.undo")
    assert [step.of for step in history.steps(desk.tab.document) if step.done] == [first]
    desk.do("act.undo")
    assert not any(step.done for step in history.steps(desk.tab.document))
    assert COMMANDS["act.undo"].enabled(desk.tab) == "There is no edit to undo."
    desk.do("act.redo")
    assert [step.of for step in history.steps(desk.tab.document) if step.done] == [first]
    desk.do("act.go_to", count=2)
    assert {step.of for step in history.steps(desk.tab.document) if step.done} == {first, last}
    desk.do("act.go_to", count=0)
    assert not any(step.done for step in history.steps(desk.tab.document))
    assert desk.rows(0) == [0, 1, 2, 3, 4]
    desk.do("act.go_to", count=7)
    assert desk.problems() == ["There are 2 edits, 7 cannot be in effect."]


def test_groups_are_made_selected_renamed_frozen_and_dissolved(desk: Desk) -> None:
    desk.do("group.create", group="ball")
    assert "No Gaussian is selected" in desk.problems()[0]
    desk.draw(0)
    desk.do("group.create", group="ball")
    desk.draw(2, 3)
    desk.do("group.create", group="table")
    desk.do("group.select", group="ball")
    assert desk.selected() == [0]
    assert selection_words(SimpleNamespace(tab=desk.tab), desk.tab.view.selected, 0) == "20 % of the 5 in frame 1. In groups: 1 of ball."  # type: ignore[arg-type]
    desk.do("group.rename", group="ball", to=" toy ")
    desk.do("gaussians.freeze", group="toy")
    frozen = desk.editing.frame(2)
    assert frozen is not None
    assert torch.equal(frozen.gaussians.means[0], _gaussians(0).means[0])
    desk.do("gaussians.delete", group="table")
    assert desk.rows(2) == [0, 1, 4]
    desk.do("group.show", group="table")
    desk.do("group.dissolve", group="toy")
    assert list(desk.editing.document().groups) == ["table"]
    assert desk.problems() == []


def test_colour_opacity_and_place_of_what_is_selected_are_changed(desk: Desk) -> None:
    desk.draw(1)
    desk.do("gaussians.tint", colour="#ff0000", strength=1.0)
    desk.do("gaussians.opacity", factor=0.5)
    desk.do("gaussians.transform", move=(0.0, 1.0, 0.0), turn=(0.0, 0.0, 90.0), scale=2.0)
    found = desk.editing.frame(0)
    assert found is not None
    assert torch.allclose(0.5 + 0.28209479 * found.gaussians.sh[1, 0], torch.tensor([1.0, 0.0, 0.0]), atol=1e-5)
    assert float(found.gaussians.opacities[1]) == pytest.approx(0.5 * float(torch.sigmoid(torch.tensor(6.0))), rel=1e-4)
    assert torch.allclose(found.gaussians.means[1], torch.tensor([0.4, 0.7, 0.0]), atol=1e-6)
    assert float(found.gaussians.scales[1, 0]) == pytest.approx(0.12, rel=1e-4)
    assert torch.equal(found.gaussians.means[0], _gaussians(0).means[0])
    desk.do("gaussians.tint", colour="red")
    assert desk.problems() == ["'red' is no colour: expected #rrggbb."]


def test_a_box_is_fitted_around_what_lies_together_without_strays() -> None:
    ball = np.random.default_rng(0).normal(size=(200, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    strays = np.array([[0.0, 40.0, 0.0], [0.0, -30.0, 2.0]])
    assert np.array_equal(without_strays(np.concatenate((ball, strays))), ball)
    plane = np.stack(np.meshgrid(np.arange(9.0), np.arange(3.0), [0.0]), axis=-1).reshape(-1, 3)
    assert np.array_equal(without_strays(plane), plane)


def test_a_handle_on_the_stage_moves_what_is_selected_and_goes_on_from_there(desk: Desk) -> None:
    desk.draw(1)
    desk.do("place.handle")
    placing = desk.tab.view.placing
    assert placing is not None
    np.testing.assert_allclose(placing.center, (0.4, -0.3, 0.0), atol=1e-6)
    desk.tab.set(placing=replace(placing, translation=(0.0, 0.5, 0.0), rotation=(0.0, 0.0, 0.0, 1.0)))
    desk.do("place.apply")
    for frame in range(FRAMES):
        found = desk.editing.frame(frame)
        assert found is not None
        np.testing.assert_allclose(found.gaussians.means[1].numpy(), (0.4, 0.2, 0.0), atol=1e-6)
    assert desk.editing.document().history.labels[-1].startswith("Move by 0, 0.5, 0 and rotate by 180 degrees")
    desk.do("place.follow")
    placing = desk.tab.view.placing
    assert placing is not None
    np.testing.assert_allclose(placing.center, (0.4, 0.2, 0.0), atol=1e-6)
    assert not placing.moved
    desk.tab.set(selected=None)
    desk.do("place.follow")
    assert desk.tab.view.placing is None


def test_a_box_is_fitted_selects_and_crops(desk: Desk) -> None:
    desk.draw(1, 3)
    desk.do("zone.fit", shape="box")
    zone = desk.tab.view.zone
    assert zone is not None
    assert np.allclose(zone.center, (0.4, 0.0, 0.0), atol=1e-6)
    assert zone.size[1] == pytest.approx(0.6, rel=1e-5)
    assert len(zone_strokes(zone)[0].points) == 12  # type: ignore[union-attr]
    desk.do("zone.set", zone=None)
    desk.do("zone.begin", shape="sphere")  # without a selection: in the middle of what is there, so that it holds something
    begun = desk.tab.view.zone
    assert begun is not None
    assert begun.shape == "sphere"
    desk.do("select.zone")
    assert desk.selected()
    wide = Zone("box", zone.center, (0.1, 0.7, 0.1))
    desk.do("select.clear")
    desk.do("zone.set", zone=wide)
    desk.do("select.zone")
    assert desk.selected() == [1, 3]
    desk.do("zone.crop")
    assert desk.rows(1) == [1, 3]
    assert Zone("sphere", (0.0, 0.0, 0.0), (2.0, 2.0, 2.0)).to_json() == {"shape": "sphere", "center": [0.0, 0.0, 0.0], "radius": 1.0}


def test_by_attribute_inverted_grown_and_connected(desk: Desk) -> None:
    desk.tab.set(frame=1)
    desk.do("select.attribute", attribute="motion", low=0.01)
    assert desk.selected() == [0]
    desk.do("select.invert")
    assert desk.selected() == [1, 2, 3, 4]
    desk.draw(0)
    desk.tab.document.framing.extent = 140.0  # 0.7 is near then
    desk.do("select.grow")
    assert desk.selected() == [0, 2, 4]
    desk.tab.document.framing.extent = 180.0
    desk.do("select.shrink")
    assert desk.tab.view.selected is None
    desk.do("select.all")
    desk.do("select.connected")
    assert desk.selected() == [0, 1, 2, 3, 4]
    desk.do("select.tracks")
    assert desk.problems() == ["No track is selected: click one in the table or in a picture first."]


def test_the_clip_is_trimmed_and_retimed_and_the_panel_says_so(desk: Desk) -> None:
    desk.tab.set(first=1, last=2)
    desk.do("clip.trim")
    desk.do("clip.retime", speed=2.0, backwards=True)
    assert desk.editing.document().frames == (2,)
    assert clip_words((0, 1, 2), (0, 1, 2)) == "The clip is all 3 reconstructed frames."
    assert clip_words((0,), (0,)) == "The clip is the only reconstructed frame."
    assert clip_words((2,), (0, 1, 2)) == "The clip has 1 of 3 frames: 3."
    assert clip_words((1, 2), (0, 1, 2)) == "The clip has 2 of 3 frames: 2 to 3."
    assert clip_words((2, 1), (0, 1, 2)) == "The clip has 2 of 3 frames: 2 to 3, in an order or at a speed of its own."


def test_floaters_are_proposed_and_shown_and_nothing_is_changed(desk: Desk) -> None:
    desk.do("clean_up.show")
    assert desk.problems() == ["Nothing was proposed: find floaters first."]
    desk.do("clean_up.propose")
    proposal = desk.tab.view.proposal
    assert proposal is not None
    assert not desk.tab.view.judging
    assert desk.selected() == proposal.selection.rows(desk.editing.document().original_ids(0)).tolist()
    for reason, selection in proposal.reasons.items():
        desk.do("clean_up.show", reason=reason)
        assert desk.tab.view.selected == selection
    assert not desk.editing.is_edited


def test_the_run_of_the_program_is_copied_and_the_copy_is_edited(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (viewer.editing, viewer.camera_paths, viewer.notes):
        monkeypatch.setattr(module, "is_demo_run", lambda path: path == desk.run)
    paths, notes = CameraPaths(desk.store), Notes(desk.store)
    path = CameraPath((Key(0.0, (0.0, 0.0, -3.0), (1.0, 0.0, 0.0, 0.0), math.radians(45)),), 1.0)
    paths.set(path)
    notes.write(1, None, "The first one moves.")
    desk.draw(0)
    desk.do("gaussians.hide")
    copy = desk.run.with_name("run-edited")
    assert desk.store.shared.run == copy
    assert (copy / "document").is_dir()
    assert not (desk.run / "document").exists()
    assert (paths.get(), notes.get(1).text) == (path, "The first one moves.")
    assert desk.rows(0) == [1, 2, 3, 4]


def test_a_pane_shows_the_edited_scene_with_values_of_those_that_are_left(desk: Desk) -> None:
    panes = TabPanes(desk.tab)
    desk.draw(1)
    marked = panes.request(0)
    assert marked is not None
    assert marked.selected != 0
    assert len(panes.sources(marked).selected or []) == 1
    desk.do("gaussians.delete")
    request = panes.request(0)
    assert request is not None
    assert request.selected == 0
    assert request.revision != marked.revision
    sources = panes.sources(request)
    assert sources.edited
    assert sources.gaussians is not None
    assert len(sources.gaussians) == 4
    values = torch.tensor([1.0, 2.0, 3.0])
    assert _of_rows(values, np.array([0, 2, 3])).tolist() == [1.0, 3.0, 0.0]  # type: ignore[union-attr]  # the last was added by an edit


# -- parts ------------------------------------------------------------------------------------------------------------


def test_a_highlight_tints_what_is_selected_also_behind_others_and_changes_nothing_else() -> None:
    rasterizer = choose_rasterizer(backend="portable")
    scene = replace(_gaussians(0), opacity_logits=torch.full((5,), 6.0))
    from tiny_capture import cameras

    camera = cameras()[0]
    some = standing_in(scene, torch.tensor([4]))
    alpha = coverage(rasterizer, some, camera)
    x, y = camera.project(scene.means.numpy()[4:].astype(float))[0][0]
    assert alpha[int(y), int(x)] > 0.2
    image = np.full((camera.height, camera.width, 3), 100, np.uint8)
    found = highlighted(image, alpha)
    assert found[int(y), int(x), 0] > 108  # towards the colour
    assert found[int(y), int(x), 2] < 100 < COLOUR[0]
    assert (found[alpha < 0.001][:200] == 100).all(axis=1).mean() > 0.8
    assert highlighted(image, np.zeros_like(alpha)) is image


def test_of_very_many_selected_gaussians_some_stand_in_enlarged() -> None:
    count = 2 * MOST_DRAWN + 1
    many = Gaussians(
        torch.zeros(count, 3), torch.ones(count, 4), torch.zeros(count, 3), torch.zeros(count), torch.zeros(count, 4, 3)
    )  # fmt: skip
    some = standing_in(many, torch.arange(count))
    assert len(some) <= MOST_DRAWN
    assert some.sh_degree == 0
    assert float(some.log_scales[0, 0]) == pytest.approx(0.5 * math.log(3))


def test_a_histogram_holds_every_known_value_the_tail_in_its_last_bin() -> None:
    found = histogram(np.array([*np.linspace(0, 1, 999), 50.0, np.nan], np.float32), "px")
    assert found is not None
    assert found.counts.sum() == 1000
    assert len(found.counts) == BINS
    assert found.edges[-1] < 1.0
    assert histogram(np.array([np.nan]), "") is None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"tool": "click", "mode": "add", "points": [[1, 2.5]], "radius": 0}, Outline("click", "add", ((1.0, 2.5),))),
        (
            {"tool": "brush", "mode": "replace", "points": [[1, 2], [3, 4]], "radius": 5},
            Outline("brush", "replace", ((1.0, 2.0), (3.0, 4.0)), 5.0),
        ),
        ({"tool": "lasso", "mode": "add", "points": [[1, 2], [3, 4]], "radius": 0}, None),
        ({"tool": "", "mode": "add", "points": [[1, 2]], "radius": 0}, None),
        ({"tool": "click", "mode": "or", "points": [[1, 2]], "radius": 0}, None),
        ({"tool": "click", "mode": "add", "points": [[1, float("nan")]], "radius": 0}, None),
        ({"tool": "click", "mode": "add", "points": [[1, True]], "radius": 0}, None),
        ({"tool": "click", "mode": "add", "points": [[1, 2, 3]], "radius": 0}, None),
        ({"tool": "brush", "mode": "add", "points": [[1, 2]] * 5000, "radius": 0}, None),
        ({"tool": "brush", "mode": "add", "points": [[1, 2]], "radius": -1}, None),
        ({"tool": ["x"], "mode": "add", "points": [[1, 2]], "radius": 0}, None),
        ({"tool": "brush", "mode": "add", "points": "12", "radius": 10**400}, None),
        (None, None),
    ],
)  # fmt: skip
def test_outlines_from_the_page_are_checked(data: Any, expected: Outline | None) -> None:
    assert read_outline(data) == expected
