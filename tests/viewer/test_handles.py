"""Handles on the stage: what dragging them does to a box, a sphere and Gaussians."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from viewer.stage.handles import Handles, resized, shifted, side
from viewer.stage.marks import placing_strokes
from viewer.stage.strokes import Lines
from viewer.state import Placing, Shared, Store, View, Zone
from viewer.tab import Tab

BOX = Zone("box", (1.0, 2.0, 3.0), (2.0, 4.0, 6.0))
BALL = Zone("sphere", (1.0, 2.0, 3.0), (2.0, 2.0, 2.0))
QUARTER = (float(np.cos(np.pi / 4)), 0.0, 0.0, float(np.sin(np.pi / 4)))  # about z


class Stage:
    """In the place of viser's: it keeps the handles that are there."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}

    def add_transform_controls(self, name: str, *, position: Any, **options: Any) -> Any:
        node = SimpleNamespace(name=name, position=np.array(position), wxyz=np.array((1.0, 0, 0, 0)), scale=options["scale"], moved=[])
        node.on_update = node.moved.append
        node.remove = lambda: self.nodes.pop(name)
        self.nodes[name] = node
        return node

    def drag(self, name: str, to: tuple[float, float, float], wxyz: tuple[float, ...] = (1.0, 0, 0, 0), end: bool = True) -> None:
        node = self.nodes[name]
        for phase in ("start", "update", *(["end"] if end else [])):
            if phase == "update":
                node.position, node.wxyz = np.array(to), np.array(wxyz)
            asyncio.run(node.moved[0](SimpleNamespace(phase=phase, target=node)))


@pytest.fixture
def tab() -> Tab:
    store = Store(Shared(frame_count=3))
    store.open_tab("t", View())
    return Tab("t", store, SimpleNamespace(framing=SimpleNamespace(extent=10.0)))  # type: ignore[arg-type]


@pytest.fixture
def stage(tab: Tab) -> Stage:
    stage = Stage()
    Handles(SimpleNamespace(scene=stage), tab)  # type: ignore[arg-type]
    return stage


def test_a_side_moves_alone_and_never_through_the_opposite_one() -> None:
    wider = resized(BOX, 0, 4.0, 1e-3)
    assert (wider.center, wider.size) == ((2.0, 2.0, 3.0), (4.0, 4.0, 6.0))
    flat = resized(BOX, 2, -9.0, 1e-3)
    assert flat.size == (2.0, 4.0, pytest.approx(1e-3))
    assert flat.center[2] - 0.5 * flat.size[2] == pytest.approx(0.0)
    assert shifted(BOX, np.array((0.0, 1.0, 2.0))) == Zone("box", (0.0, 1.0, 2.0), BOX.size)
    assert side(BOX, 1).tolist() == [1.0, 4.0, 3.0]


def test_a_sphere_keeps_its_middle() -> None:
    assert resized(BALL, 0, 4.0, 1e-3) == Zone("sphere", BALL.center, (6.0, 6.0, 6.0))
    assert resized(BALL, 0, -4.0, 1e-3).size == (1e-3, 1e-3, 1e-3)


def test_handles_of_a_box_follow_its_numbers_and_the_numbers_follow_them(tab: Tab, stage: Stage) -> None:
    assert stage.nodes == {}
    tab.set(zone=BOX)
    assert sorted(stage.nodes) == ["/zone/move", "/zone/side0", "/zone/side1", "/zone/side2"]
    stage.drag("/zone/side0", (4.0, 2.0, 3.0))
    assert tab.view.zone == Zone("box", (2.0, 2.0, 3.0), (4.0, 4.0, 6.0))
    assert tuple(stage.nodes["/zone/move"].position) == (2.0, 2.0, 3.0)
    tab.set(zone=BALL)
    assert sorted(stage.nodes) == ["/zone/move", "/zone/side0"]
    assert tuple(stage.nodes["/zone/side0"].position) == (2.0, 2.0, 3.0)
    stage.drag("/zone/move", (0.0, 0.0, 0.0))
    assert tab.view.zone == Zone("sphere", (0.0, 0.0, 0.0), BALL.size)


@pytest.mark.parametrize("busy", [{"tool": "lasso"}, {"path_moment": 1.0}])
def test_while_something_else_takes_the_pointer_there_are_no_handles(tab: Tab, stage: Stage, busy: dict[str, Any]) -> None:
    tab.set(zone=BOX)
    tab.set(**busy)
    assert stage.nodes == {}
    tab.set(tool="", path_moment=None)
    assert len(stage.nodes) == 4


def test_what_gaussians_are_dragged_by_is_applied_when_the_handle_is_let_go(
    tab: Tab, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(Tab, "do", lambda self, name, **arguments: done.append(name))
    tab.set(placing=Placing(0, "ball", (0.0, 0.0, 0.0), (2.0, 2.0, 4.0)))
    stage.drag("/place/0", (1.0, 1.0, 5.0), QUARTER, end=False)
    placing = tab.view.placing
    assert placing is not None
    assert (placing.translation, done) == ((0.0, 0.0, 3.0), [])
    assert placing.rotation == pytest.approx(QUARTER)
    stage.drag("/place/0", (1.0, 1.0, 5.0), QUARTER)
    assert done == ["place.apply"]
    tab.set(frame=1)
    assert done == ["place.apply", "place.follow"]


def test_the_box_around_what_is_dragged_is_moved_and_turned_with_it() -> None:
    (lines,) = placing_strokes(Placing(0, None, (0.0, 0.0, 0.0), (2.0, 4.0, 6.0), (10.0, 0.0, 0.0), QUARTER))
    assert isinstance(lines, Lines)
    points = lines.points.reshape(-1, 3)
    np.testing.assert_allclose(points.min(axis=0), (9.0, 1.0, 0.0), atol=1e-5)
    np.testing.assert_allclose(points.max(axis=0), (13.0, 3.0, 6.0), atol=1e-5)
