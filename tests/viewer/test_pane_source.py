"""What a camera pane shows, taken from a store and a document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from no_edits import no_edits, unedited
from tiny_capture import cameras

from trackersplat.gaussians.gaussians import Gaussians
from viewer.pane_source import TabPanes
from viewer.panels.timeline import TabClock
from viewer.state import Draft, Pane, Shared, Store, View
from viewer.tab import Tab
from viewer.views.request import PaneRequest

RUN, OTHER = Path("run"), Path("other")


def _gaussians(frame: int) -> Gaussians:
    return Gaussians(
        means=torch.tensor([[0.0, 0.0, 2.0], [0.1 * frame, 0.0, 2.0]]),
        quats=torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1),
        log_scales=torch.zeros(2, 3),
        opacity_logits=torch.zeros(2),
        sh=torch.zeros(2, 1, 3),
    )


class Frames:
    """In place of the frame cache."""

    def frame(self, run: Path, frame: int) -> Gaussians:
        return _gaussians(frame)

    def colours(self, run: Path, frame: int) -> str:
        return f"colours of {run}, {frame}"


def _tab(**shared: Any) -> Tab:
    store = Store(Shared(frame_count=9, run=RUN, reconstructed=(0, 1, 3), ready=True, **shared))
    store.open_tab("t", View(frame=3))
    lineage = SimpleNamespace(origin=lambda frame: 0, since=lambda frame: np.array([-1, 2]) if frame == 3 else np.array([-1, -1]))

    def shown(frame: int) -> Gaussians | None:
        source = store.shared.source_of(frame)
        return None if source is None else _gaussians(source)

    document = SimpleNamespace(
        capture=SimpleNamespace(
            cameras=cameras(), held_out=("cam00",), filmed=True, image=lambda camera, frame: np.zeros((4, 4, 3), np.uint8)
        ),
        frames=Frames(),
        renderer=SimpleNamespace(rasterizer="rasteriser"),
        runs=SimpleNamespace(lineage=lambda run: lineage, records=lambda run: {3: None}),
        shown=shown,
        scene=unedited(shown),
        editing=no_edits(),
    )
    return Tab("t", store, document)  # type: ignore[arg-type]


def test_a_request_is_what_the_pane_asks_for_and_there_is_none_beside_the_panes() -> None:
    tab = _tab(other=OTHER)
    tab.set(panes=(Pane(2, "wipe", wipe=0.25, against_run=True), Pane(1, channel="depth")))
    panes = TabPanes(tab)
    first, second = panes.request(0), panes.request(1)
    assert first is not None
    assert second is not None
    assert (first.camera, first.frame, first.compare, first.against, first.wipe) == (2, 3, "wipe", "run", 0.25)
    assert (second.camera, second.channel, second.against) == (1, "depth", "photo")
    assert panes.request(2) is None
    tab.store.close_tab("t")
    assert panes.request(0) is None


@pytest.mark.parametrize(
    ("change", "picture", "marks"),
    [
        (lambda tab: tab.store.set(revision=5), True, True),
        (lambda tab: tab.store.set(draft=Draft(3, Path("draft.ply"), 2)), True, False),
        (lambda tab: tab.store.set(diagnosed=1), False, True),
        (lambda tab: tab.set(trail_length=3), False, True),
        (lambda tab: tab.set(tracks=(4,)), False, False),
        (lambda tab: tab.store.set(job=7), False, False),
    ],
)
def test_a_picture_is_made_anew_only_for_what_changes_it(change: Callable[[Tab], None], picture: bool, marks: bool) -> None:
    tab = _tab()
    before = TabPanes(tab).request(0)
    change(tab)
    after = TabPanes(tab).request(0)
    assert before is not None
    assert after is not None
    assert (before.revision != after.revision, before.overlay != after.overlay) == (picture, marks)


def test_training_cameras_have_their_own_colours_and_held_out_ones_those_of_the_scene() -> None:
    panes = TabPanes(_tab())
    held_out, training = (panes.sources(PaneRequest(camera, 3)) for camera in (0, 1))
    assert (held_out.held_out, held_out.colours) == (True, None)
    assert (training.held_out, training.colours) == (False, "colours of run, 3")


def test_a_frame_that_is_not_there_is_shown_as_the_one_before_it() -> None:
    sources = TabPanes(_tab()).sources(PaneRequest(1, 6))
    assert sources.source_frame == 3
    assert sources.gaussians is not None
    assert torch.equal(sources.gaussians.means, _gaussians(3).means)


def test_motion_is_that_since_the_frame_before_and_age_counts_from_when_a_gaussian_was_made() -> None:
    panes = TabPanes(_tab())
    motion = panes.sources(PaneRequest(1, 3, channel="motion")).motion
    assert motion is not None
    assert torch.allclose(motion, torch.tensor([[0.0, 0, 0], [0.2, 0, 0]]))
    static = panes.sources(PaneRequest(1, 3, channel="static")).static
    assert static is not None
    assert static.tolist() == [True, False]
    age = panes.sources(PaneRequest(1, 3, channel="age")).age
    assert age is not None
    assert age.tolist() == [3.0, 1.0]
    first = panes.sources(PaneRequest(1, 0, channel="motion"))
    assert first.motion is None
    assert "nothing has moved to it" in first.missing["motion"]


def test_another_run_is_shown_only_where_it_has_the_frame() -> None:
    panes = TabPanes(_tab(other=OTHER))
    assert panes.sources(PaneRequest(1, 3)).other is not None
    assert panes.sources(PaneRequest(1, 1)).other is None


def test_the_first_of_the_tabs_that_share_their_time_moves_it_and_waits_for_its_picture() -> None:
    tab = _tab()
    tab.store.open_tab("u", View())
    other = Tab("u", tab.store, tab.document)
    tab.set(playing=True)
    first, second = TabClock(tab), TabClock(other)
    assert (first.transport().playing, second.transport().playing) == (True, False)
    assert other.view.playing
    tab.store.attend("t", False)  # its page was closed
    assert (first.transport().playing, second.transport().playing) == (False, True)
    tab.store.attend("t", True)
    other.set(linked=False)
    assert second.transport().playing
    assert first.acknowledged_frame() == -1  # nothing is shown yet
    tab.set(shown=3)
    assert first.acknowledged_frame() == 3
    assert first.span() == (0, 3)
    tab.set(first=1, last=2)
    assert (first.transport().first, first.transport().last) == (1, 2)


def test_a_picture_of_the_active_pane_counts_for_the_time_and_not_for_the_stage() -> None:
    tab = _tab()
    tab.set(panes=(Pane(2), Pane(1)), active=1)
    panes = TabPanes(tab)
    for pane, shown in ((0, -1), (1, 3)):
        request = panes.request(pane)
        assert request is not None
        panes.acknowledged(pane, request, None)  # type: ignore[arg-type]
        assert tab.view.shown == shown
    assert not tab.view.stage_shown


def test_an_imported_run_has_no_tracks() -> None:
    tab = _tab()
    tab.document.capture.filmed = False
    tab.document.frames.tracks = lambda run, frame: {}
    tab.document.diagnosis = lambda: None
    panes = TabPanes(tab)
    request = panes.request(0)
    assert request is not None
    overlay = panes.overlay(request)
    assert overlay is not None
    assert overlay.note == "The frames were imported: they have no tracks."
    assert panes.sources(request).role == "made"
