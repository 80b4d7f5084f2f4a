"""Where the stage flies to, what a click on it means, and what is drawn for a selection."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from no_edits import no_edits, unedited
from test_trails import diagnosis
from waiting import wait_for

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.motion.evidence import Evidence
from trackersplat.rendering.registry import choose_rasterizer
from viewer.commands.registry import COMMANDS, by_hotkey
from viewer.panels.stage_view import StageViewPanel, read_canvas, sentence
from viewer.shared_rasterizer import SharedRasterizer
from viewer.stage.flights import Pose, around_point, between, destination, selected_point, to_camera, to_overview, to_point, to_start
from viewer.stage.framing import frame_capture
from viewer.stage.frusta import frustum_scale, thumbnail
from viewer.stage.marks import Marks, ellipsoid
from viewer.stage.picking import nearest_head, pixel_weights, strongest
from viewer.stage.picture import free_picture, page_camera
from viewer.stage.pilot import Pilot
from viewer.stage.pointer import Pointer
from viewer.stage.strokes import Dots, Lines, draw
from viewer.state import Shared, Store, View
from viewer.tab import Tab
from viewer.views.gaussian import Origin, attributes, motion_words, opinions, seen_by, step_words, total_error

VIEW = page_camera(np.zeros(3), np.eye(3), 2 * np.arctan(0.4), 100, 80)  # looks along +z; 100 pixels per unit at depth 1


def gaussians(*places: tuple[float, float, float], opacity: float = 0.9, scale: float = 0.03) -> Gaussians:
    count, upright = len(places), torch.tensor([[1.0, 0, 0, 0]])
    return Gaussians(
        torch.tensor(places, dtype=torch.float32), upright.repeat(count, 1), torch.full((count, 3), float(np.log(scale))),
        torch.full((count,), float(np.log(opacity / (1 - opacity)))), torch.zeros(count, 1, 3),
    )  # fmt: skip


def camera(name: str, x: float) -> Camera:
    """Looks along +z from (x, 0, 0); 60 by 80 pixels, its principal point in the middle."""
    pose = np.eye(4)
    pose[0, 3] = -x
    return Camera(name, 80, 60, np.array([[80.0, 0, 40], [0, 80.0, 30], [0, 0, 1]]), pose)


@pytest.fixture
def tab() -> Tab:
    """Two cameras; frames 0 to 4, in which one Gaussian is in the middle of the view and another behind it."""
    cameras = (camera("a", -0.5), camera("b", 0.5))
    source = SimpleNamespace(close=lambda: None)
    capture = Capture("two", Path("nowhere"), "test", cameras, 5, 30.0, source, depth_bounds=np.array([[1.0, 4.0]] * 2))  # type: ignore[arg-type]
    store = Store(Shared(frame_count=5, reconstructed=(0, 1, 2, 3, 4), run=Path("run"), ready=True))
    renderer = SharedRasterizer()
    renderer.use(choose_rasterizer(backend="portable"))
    shown = gaussians((0, 0, 2), (0, 0, 4), (0.5, 0.4, 2))
    document = SimpleNamespace(
        capture=capture, framing=frame_capture(capture), renderer=renderer, shown=lambda frame: shown, scene=unedited(lambda frame: shown),
        editing=no_edits(), diagnosis=lambda: None,
        paths=SimpleNamespace(get=lambda: None), camera_paths=SimpleNamespace(trajectory=lambda: None),
        home_photo_frame=lambda frame: (0, frame),
    )  # fmt: skip
    store.open_tab("t", View())
    return Tab("t", store, document)  # type: ignore[arg-type]


NOW = Pose(np.array([0.0, 0, -1]), np.array([0.0, 0, 3]), np.array([0.0, -1, 0]), 1.0)

# -- the panel --------------------------------------------------------------------------------------------------------


def test_the_frame_is_seen_once_the_stage_itself_has_a_picture(tab: Tab) -> None:
    styles: list[str] = []
    said: list[str] = []
    panel = StageViewPanel(tab)
    panel._frame = SimpleNamespace(style=styles.append)  # type: ignore[assignment]
    panel._words = SimpleNamespace(set_text=said.append, set_visibility=lambda there: None)  # type: ignore[assignment]
    tab.set(shown=3)  # a picture of a camera pane
    panel.on_state(frozenset({"shown", "ready"}))
    assert (styles, said) == ([], ["Drawing the first picture …"])
    tab.set(stage_shown=True)
    panel.on_state(frozenset({"stage_shown"}))
    assert (styles, said[1:]) == (["opacity:1;pointer-events:auto"], [""])
    tab.set(stage_shown=False)
    panel.on_state(frozenset({"stage_shown"}))
    assert styles[1:] == ["opacity:0;pointer-events:none"]


# -- flights ----------------------------------------------------------------------------------------------------------


def test_looking_through_a_camera_is_from_its_centre_along_its_axis_with_its_whole_image(tab: Tab) -> None:
    for aspect in (0.5, 2.0):
        end = destination(to_camera(tab, 1), NOW, aspect)
        assert np.allclose(end.position, (0.5, 0, 0))
        assert np.allclose(end.look_at, (0.5, 0, 2))  # the geometric mean of its depth bounds
        assert np.allclose(end.up, (0, -1, 0))
        down = np.tan(0.5 * end.fov)
        assert down >= 30 / 80 - 1e-9
        assert down * aspect >= 40 / 80 - 1e-9
        assert min(down - 30 / 80, down * aspect - 40 / 80) == pytest.approx(0)


def test_the_start_view_is_filled_by_the_home_cameras_image(tab: Tab) -> None:
    end = destination(to_start(tab), NOW, 0.5)
    assert np.tan(0.5 * end.fov) == pytest.approx(30 / 80)
    assert np.allclose(end.look_at, tab.document.framing.focus)


def test_the_overview_shows_every_camera(tab: Tab) -> None:
    for aspect in (0.4, 2.5):
        end = destination(to_overview(tab), NOW, aspect)
        forward = (end.look_at - end.position) / np.linalg.norm(end.look_at - end.position)
        right = np.cross(forward, end.up)
        right /= np.linalg.norm(right)
        down, height = np.cross(forward, right), 1000
        view = page_camera(end.position, np.stack((right, down, forward), axis=1), end.fov, int(aspect * height), height)
        uv, depth = view.project(np.array([one.center for one in tab.document.capture.cameras]))
        assert (depth > 0).all()
        assert (uv >= 0).all()
        assert (uv < (view.width, view.height)).all()


def test_a_flight_to_a_point_keeps_the_direction_and_comes_near(tab: Tab) -> None:
    end = destination(to_point(tab, np.array([1.0, 2, 3])), NOW, 1.0)
    assert np.allclose(end.look_at, (1, 2, 3))
    way = end.look_at - end.position
    assert np.allclose(way / np.linalg.norm(way), (0, 0, 1))
    assert np.linalg.norm(way) < 4.0
    near = Pose(np.array([1.0, 2, 2.9]), np.array([1.0, 2, 3]), NOW.up, 1.0)
    assert np.allclose(destination(to_point(tab, np.array([1.0, 2, 3])), near, 1.0).position, near.position)  # never away from it


def test_orbiting_around_a_point_keeps_the_position() -> None:
    end = destination(around_point(np.array([1.0, 2, 3])), NOW, 1.0)
    assert np.allclose(end.position, NOW.position)
    assert np.allclose(end.look_at, (1, 2, 3))
    here = destination(around_point(NOW.position), NOW, 1.0)
    assert np.linalg.norm(here.look_at - here.position) > 0.1


def test_a_flight_begins_here_ends_there_and_always_looks_somewhere() -> None:
    end = Pose(np.array([0.0, 0, 7]), np.array([0.0, 0, 3]), np.array([0.0, 1, 0]), 0.5)  # through the point, and upside down
    assert np.allclose(between(NOW, end, 0.0).position, NOW.position)
    assert np.allclose(between(NOW, end, 1.0).position, end.position)
    for share in np.linspace(0, 1, 21):
        pose = between(NOW, end, float(share))
        assert np.linalg.norm(pose.look_at - pose.position) > 1e-9
        assert np.linalg.norm(pose.up) == pytest.approx(1.0)


def test_the_selection_is_a_track_in_the_nearest_frame_with_a_place_or_a_gaussian(tab: Tab) -> None:
    tab.document.diagnosis = diagnosis  # type: ignore[method-assign]
    tab.set(frame=2, tracks=(11,))
    assert selected_point(tab).tolist() == [1, 1, 0]  # it has no place in frame 2
    tab.set(tracks=(), gaussian=1)
    assert selected_point(tab).tolist() == [0, 0, 4]
    for changes in ({"gaussian": None}, {"gaussian": 99}, {"tracks": (77,)}):
        tab.set(**changes)
        with pytest.raises(InputError):
            selected_point(tab)


def test_f_flies_to_the_selection_and_without_one_through_the_active_camera(tab: Tab) -> None:
    tab.do("stage.selection")
    assert tab.view.flight is not None
    assert np.allclose(tab.view.flight.position, tab.document.capture.cameras[0].center)
    first = tab.view.flight
    tab.set(gaussian=0)
    by_hotkey()["f"].run(tab)
    assert tab.view.flight.look_at == (0, 0, 2)
    assert tab.view.flight.serial > first.serial
    tab.do("stage.start")
    assert np.allclose(tab.view.flight.look_at, tab.document.framing.focus)
    tab.set(gaussian=99)
    tab.do("stage.around")
    assert "not in frame" in tab.shared.problems[0][1]


def test_commands_of_the_stage_take_no_nonsense(tab: Tab) -> None:
    for name, arguments in (("trails_of", {"what": "birds"}), ("colour_by", {"by": "taste"})):
        tab.do(f"stage.{name}", **arguments)
        assert tab.shared.problems
    tab.do("stage.trail_length", frames=10**9)
    assert tab.view.trail_length == 60
    assert not tab.view.show_trails  # off at first sight
    COMMANDS["stage.trails"].run(tab)
    assert tab.view.show_trails


# -- picking ----------------------------------------------------------------------------------------------------------


def test_the_nearest_head_is_picked_and_of_two_at_one_place_the_one_in_front() -> None:
    heads = np.array([(0, 0, 4), (0, 0, 2), (0.1, 0, 1), (np.nan,) * 3, (0, 0, -1)], np.float32)
    assert nearest_head(heads, VIEW, (50.4, 40.0), 5) == 1
    assert nearest_head(heads, VIEW, (58.0, 40.0), 5) == 2
    assert nearest_head(heads, VIEW, (70.0, 40.0), 5) is None
    assert nearest_head(heads[3:], VIEW, (50.0, 40.0), 5) is None


def test_the_weights_of_a_pixel_are_alpha_times_the_transmittance_before_it() -> None:
    rasterizer = choose_rasterizer(backend="portable")
    scene = gaussians((0, 0, 4), (0, 0, 2), (0.3, 0, 2), opacity=0.6)
    weights = pixel_weights(rasterizer, scene, VIEW, (50.2, 40.3)).numpy()
    rendering = rasterizer.render(scene, [VIEW])
    assert weights.sum() == pytest.approx(float(rendering.alpha[0, 40, 50]), abs=1e-5)
    alone = [float(rasterizer.render(scene[torch.tensor([index])], [VIEW]).alpha[0, 40, 50]) for index in (0, 1)]
    assert weights[1] == pytest.approx(alone[1], abs=1e-5)
    assert weights[0] == pytest.approx(alone[0] * (1 - alone[1]), abs=1e-5)
    assert weights[2] == 0
    assert strongest(torch.from_numpy(weights)) == 1
    assert strongest(torch.zeros(3)) is None
    assert strongest(torch.zeros(0)) is None


def test_a_click_picks_the_gaussian_in_front_and_a_click_beside_picks_nothing(tab: Tab) -> None:
    pointer = pointer_of(tab)
    pointer.pick((0.501, 0.501))
    assert (tab.view.gaussian, tab.view.inspector) == (0, "gaussian")
    pointer.pick((0.1, 0.1))
    assert tab.view.gaussian is None
    assert tab.shared.problems == ()


def test_a_click_on_a_head_selects_its_track_and_shift_adds_and_takes_away(tab: Tab) -> None:
    found = diagnosis()
    found.world[4] = [(0, 0, 2), (0.4, 0, 2), (-0.4, 0, 2)]
    tab.document.diagnosis = lambda: found  # type: ignore[method-assign, assignment]
    tab.set(frame=4, show_trails=True, gaussian=1)
    pointer = pointer_of(tab)
    pointer.pick((0.5, 0.5))
    assert (tab.view.tracks, tab.view.gaussian) == ((10,), None)
    pointer.pick((0.7, 0.5), add=True)
    assert tab.view.tracks == (10, 11)
    pointer.pick((0.5, 0.5), add=True)
    assert tab.view.tracks == (11,)
    tab.set(show_trails=False, tracks=())
    pointer.pick((0.5, 0.5))
    assert (tab.view.tracks, tab.view.gaussian) == ((), 0)  # heads that are not drawn are not picked


def test_a_click_on_a_camera_picks_nothing_behind_it(tab: Tab) -> None:
    pointer = pointer_of(tab)
    pointer.on_camera((0.5, 0.5))
    pointer._clicked((0.5, 0.5), add=False)
    pointer._executor.shutdown()  # type: ignore[attr-defined]
    assert tab.view.gaussian is None


def pointer_of(tab: Tab) -> Pointer:
    view = SimpleNamespace(view=lambda: VIEW, pixels_per_css=lambda view: 1.0)
    return Pointer(tab, view, Marks(tab), ThreadPoolExecutor(1))  # type: ignore[arg-type]


# -- what is drawn ----------------------------------------------------------------------------------------------------


def test_the_picture_is_the_rasterisers_own_and_dimmed_where_another_frame_stands_in(tab: Tab) -> None:
    rendering = tab.document.renderer.render(tab.document.shown(0), VIEW)  # type: ignore[arg-type]
    found = free_picture(tab, 0, VIEW)
    assert (
        abs(float(found.image[40, 50, 0]) - 255 * float(rendering.color[0, 40, 50, 0]) - 20 * (1 - float(rendering.alpha[0, 40, 50]))) <= 1
    )
    assert found.depth is not None
    assert found.depth[40, 50] == pytest.approx(2.0, abs=0.3)
    tab.store.set(reconstructed=(1, 2))
    dimmed = free_picture(tab, 0, VIEW).image
    assert dimmed[40, 50, 0] < 0.5 * found.image[40, 50, 0]


def test_a_picked_gaussian_is_outlined_at_two_standard_deviations_however_small_it_is() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    draw(image, ellipsoid(np.array([0, 0, 2.0]), np.array([1.0, 0, 0, 0]), np.array([0.2, 0.1, 0.05])), VIEW)
    assert image[40, 70].any()  # 2 * 0.2 at depth 2
    assert not image[40, 74:].any()
    assert image[31, 50].any()
    tiny = np.zeros((80, 100, 3), np.uint8)
    draw(tiny, ellipsoid(np.array([0, 0, 2.0]), np.array([2.0, 0, 0, 0]), np.full(3, 1e-6)), VIEW)
    assert tiny[40, 59].any()


def test_marks_change_with_what_is_selected_and_are_absent_in_frames_that_are_not_there(tab: Tab) -> None:
    marks = Marks(tab)
    before = marks.state()
    assert marks.strokes(2) == []
    tab.set(gaussian=0)
    assert marks.state() != before
    assert any(isinstance(stroke, Lines) for stroke in marks.strokes(2))
    tab.document.diagnosis = diagnosis  # type: ignore[method-assign]
    tab.set(gaussian=None, tracks=(10,))
    assert any(isinstance(stroke, Dots) for stroke in marks.strokes(2))
    tab.store.set(reconstructed=(0, 1))
    assert marks.strokes(2) == []


def test_frusta_end_at_their_depth_and_thumbnails_keep_the_shape() -> None:
    # viser scales the unit frustum of height 2 tan(fov / 2) so that its volume is that of a cube's third of side ``scale``.
    one = camera("a", 0.0)
    y = np.tan(one.fov_y / 2)
    assert frustum_scale(one, 2.0) == pytest.approx(2.0 * np.cbrt(y * y * (80 / 60) / 3))
    assert thumbnail(np.zeros((60, 80, 3), np.uint8)).shape == (120, 160, 3)
    assert thumbnail(np.zeros((1, 800, 3), np.uint8)).shape == (1, 160, 3)


# -- what is known of a Gaussian --------------------------------------------------------------------------------------


def test_attributes_are_those_of_the_gaussian() -> None:
    scene = gaussians((0, 0, 2), (1, 2, 3), opacity=0.25)
    scene.log_scales[1] = torch.log(torch.tensor([0.1, 0.3, 0.2]))
    found = attributes(scene, 1)
    assert (found.index, found.count, found.position) == (1, 2, (1, 2, 3))
    assert found.scales == pytest.approx((0.3, 0.2, 0.1))
    assert found.opacity == pytest.approx(0.25)
    assert found.colour == (128, 128, 128)


def test_evidence_is_told_per_view_those_that_disagree_first() -> None:
    state = torch.tensor([[3], [0], [2], [1]], dtype=torch.uint8)
    nan = float("nan")
    residual, weight = torch.tensor([[0.5], [nan], [4.0], [nan]]), torch.tensor([[0.9], [0.0], [0.0], [0.0]])
    evidence = Evidence(("a", "b", "c", "d"), residual, torch.ones(4, 1), weight, state)
    found = opinions(evidence, 0)
    assert [(one.camera, one.state, one.residual) for one in found] == [
        ("c", "disagrees", 4.0), ("a", "agrees", 0.5), ("d", "masked or not trusted", None),
    ]  # fmt: skip
    assert motion_words(evidence, 0) == "1 of 2 views agree on its motion. 1 disagree."
    assert "follows its neighbours" in motion_words(replace(evidence, state=torch.zeros_like(state)), 0)
    assert "kept no evidence" in motion_words(None, 0)
    assert "fewer" in motion_words(evidence, 5)


def test_where_it_comes_from_and_whether_it_moved_is_said_in_words() -> None:
    assert Origin(0, 0).words() == "There since the fit of frame 1."
    assert Origin(0, 4).words().startswith("Born in frame 5, in place of a faint Gaussian")
    assert step_words((2, 0.0)) == "Static: exactly where it was in frame 3."
    assert step_words((2, 0.5)) == "Moved 0.5 scene units since frame 3."
    assert "not moved" in step_words(None)


def test_the_error_is_that_of_the_pixels_that_it_makes_by_its_weight() -> None:
    rasterizer, scene = choose_rasterizer(backend="portable"), gaussians((0, 0, 2), (0.5, 0, 2), opacity=0.8)
    cameras = [camera("a", 0.0), camera("b", 0.5), camera("c", 50.0)]
    grey = np.full((60, 80, 3), 255, np.uint8)
    seen = seen_by(rasterizer, scene, 0, cameras, [grey, None, grey])
    assert {one.camera for one in seen} == {"a", "b"}
    with_photo = next(one for one in seen if one.camera == "a")
    channel = rasterizer.render(scene, [cameras[0]], channels=torch.tensor([[1.0], [0.0]])).channels
    assert channel is not None
    weights = channel[0, ..., 0].numpy()  # of the first Gaussian in every pixel
    difference = np.abs(rasterizer.render(scene, [cameras[0]]).color[0].numpy() * 255 - 255).mean(-1)
    assert with_photo.weight == pytest.approx(weights.sum(), rel=1e-3)
    assert with_photo.error == pytest.approx((weights * difference).sum() / weights.sum(), rel=1e-3)
    assert total_error(seen) == pytest.approx(with_photo.error)
    assert total_error([]) is None


# -- what the page tells ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told",
    [
        None, [], {}, {"w": 10**9, "h": 1, "ratio": 1}, {"w": 0, "h": 5, "ratio": 1}, {"w": "5", "h": 5, "ratio": 1},
        {"w": True, "h": 5, "ratio": 1},
        {"w": 5, "h": 5, "ratio": float("nan")}, {"w": 5, "h": 5, "ratio": 0}, {"w": 5, "h": 5, "ratio": 1e9}, {"w": 5, "h": 5},
    ],
)  # fmt: skip
def test_a_size_that_is_none_is_not_taken(told: object) -> None:
    assert read_canvas(told) is None


def test_a_size_is_taken_in_device_pixels() -> None:
    assert read_canvas({"w": 640, "h": 950, "ratio": 2}) == (640, 950, 2.0)
    assert sentence("starting the renderer …") == "Starting the renderer …"
    assert sentence("compiling kernels") == "Compiling kernels."


def test_a_flight_that_is_asked_for_while_the_stage_comes_up_is_not_lost(tab: Tab) -> None:
    class Camera(SimpleNamespace):
        """Somebody flies as soon as the stage is moved for the first time."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "fov" and tab.view.flight is None:
                tab.set(flight=to_camera(tab, 1))

    camera_of_page = Camera()
    vars(camera_of_page).update(
        image_width=80, image_height=60, position=np.zeros(3), look_at=np.array([0.0, 0, 1]), up_direction=np.array([0.0, -1, 0]), fov=1.0
    )
    client = SimpleNamespace(client_id=0, camera=camera_of_page, atomic=contextlib.nullcontext)
    pilot = Pilot(client, tab, to_start(tab))  # type: ignore[arg-type]
    wait_for(lambda: np.allclose(camera_of_page.position, (0.5, 0, 0)))
    pilot.close()
