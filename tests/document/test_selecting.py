"""Ways of selecting: on a ball in front of a wall, whose Gaussians are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_scene import BALL, CAMERAS, CENTER, FRAMES, IN_THE_BALL, RADIUS, REPLACED, STEP, scene_frames

from trackersplat.benchmarks.made_run import made_capture_of, write_made_run
from trackersplat.captures.capture import Capture
from trackersplat.document.attributes import ATTRIBUTES, values_of
from trackersplat.document.camera_json import camera_to_json
from trackersplat.document.clean_up import CleanUpSettings, propose_floaters
from trackersplat.document.document import Document
from trackersplat.document.kinds.delete import Delete
from trackersplat.document.kinds.look import Opacity
from trackersplat.document.last_used import LastUsed
from trackersplat.document.scene_edit import Target
from trackersplat.document.selecting.outline import inside_image_points, inside_pixels, inside_points, stroke_pixels
from trackersplat.document.selecting.registry import WAYS
from trackersplat.document.selection import NOTHING, Selection
from trackersplat.edits.frame_range import FrameRange
from trackersplat.errors import InputError
from trackersplat.gaussians.lineage import INDEX_BITS

THE_BALL = Selection.of(np.flatnonzero(IN_THE_BALL))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_made_run(tmp_path_factory.mktemp("made") / "run", scene_frames(), CAMERAS, REPLACED).path


@pytest.fixture(scope="module")
def document(folder: Path) -> Document:
    """Not to be edited."""
    return Document.open(folder)


def linked(folder: Path, tmp_path: Path) -> Document:
    """A document to edit: the same run through links."""
    other = tmp_path / "run"
    other.mkdir()
    for child in folder.iterdir():
        (other / child.name).symlink_to(child)
    return Document.open(other)


def circle(scale: float, frame: int = 0) -> list[list[float]]:
    """Around the ball in cam00."""
    camera = CAMERAS[0]
    pixel, depth = camera.project(np.array([CENTER]) + frame * np.array([STEP]))
    angles = np.arange(24) * 2 * np.pi / 24
    radius = scale * RADIUS * camera.fx / depth[0]
    return (pixel + radius * np.stack((np.cos(angles), np.sin(angles)), 1)).tolist()


def select(document: Document, way: str, **values: Any) -> Selection:
    return document.selection_of(json.loads(json.dumps({"way": way, **values})))


def in_camera(frame: int = 0, **values: Any) -> dict[str, Any]:
    return {"camera": "cam00", "frame": frame + 1, **values}


def test_a_lasso_through_takes_all_whose_centre_is_inside(document: Document) -> None:
    corners = circle(1.2)
    found = select(document, "polygon", **in_camera(depth="through", corners=corners))
    pixels, _ = CAMERAS[0].project(document.gaussians(0).means.numpy().astype(float))
    assert np.array_equal(found.ids, np.flatnonzero(inside_points(np.array(corners), pixels)))
    assert len(found.subtract(THE_BALL)) > 5  # of the wall behind it
    assert len(found.intersect(THE_BALL)) == BALL


def test_a_lasso_takes_what_the_camera_shows_and_leaves_what_is_behind(document: Document) -> None:
    close, wide = (select(document, "polygon", **in_camera(corners=circle(scale))) for scale in (1.25, 1.6))
    through = [select(document, "polygon", **in_camera(depth="through", corners=circle(scale))) for scale in (1.25, 1.6)]
    assert len(through[0].subtract(THE_BALL)) > 50  # of the wall
    assert len(close.subtract(THE_BALL)) == 0
    front = document.gaussians(0).means[:, 2].numpy()[close.intersect(THE_BALL).ids]
    assert (front < CENTER[2] + 0.25 * RADIUS).mean() > 0.8
    # A wider one takes the edge of the ball, too, and what of the wall is seen around it.
    assert len(wide.intersect(THE_BALL)) >= 0.8 * BALL
    assert len(wide.subtract(THE_BALL)) < 0.4 * len(through[1].subtract(THE_BALL))
    assert select(document, "polygon", **in_camera(corners=[[0, 0], [1, 0], [0, 1]])) == NOTHING


def test_a_selection_is_the_same_things_in_every_frame(document: Document) -> None:
    found = select(document, "polygon", **in_camera(depth="through", corners=circle(1.2))).intersect(THE_BALL)
    for frame in range(FRAMES):
        rows = found.rows(document.ids(frame))
        center = torch.tensor(CENTER) + frame * torch.tensor(STEP)
        assert torch.allclose((document.gaussians(frame).means[rows] - center).norm(dim=1), torch.tensor(RADIUS), atol=1e-4)


def test_a_view_that_is_no_camera_of_the_capture_selects_the_same(document: Document) -> None:
    view = camera_to_json(CAMERAS[0])
    for depth in ("visible", "through"):
        one, other = (select(document, "polygon", camera=c, frame=2, depth=depth, corners=circle(1.1, 1)) for c in ("cam00", view))
        assert one == other
        assert len(one) > 0


def test_a_click_takes_what_makes_most_of_the_pixel(document: Document) -> None:
    camera = CAMERAS[0]
    pixel, _ = camera.project(np.array([CENTER]))
    found = select(document, "click", **in_camera(x=float(pixel[0, 0]), y=float(pixel[0, 1])))
    assert len(found) == 1
    assert len(found.intersect(THE_BALL)) == 1
    row = int(found.ids[0])
    assert document.gaussians(0).means[row, 2] < CENTER[2]  # on the near side
    assert select(document, "click", **in_camera(x=5000.0, y=1.0)) == NOTHING


def test_a_brush_takes_what_is_near_its_line(document: Document) -> None:
    line = [[10.0, 20.0], [50.0, 20.0]]
    found = select(document, "brush", **in_camera(depth="through", line=line, radius=3.0))
    pixels, _ = CAMERAS[0].project(document.gaussians(0).means.numpy().astype(float))
    x, y = pixels.T
    beside = np.hypot(np.maximum(np.maximum(10 - x, x - 50), 0), y - 20) <= 3
    assert np.array_equal(found.ids, np.flatnonzero(beside))
    assert len(select(document, "brush", **in_camera(line=[[32.0, 24.0]], radius=5.0))) > 0


def test_boxes_spheres_and_ranges_of_attributes_select_by_numbers(document: Document) -> None:
    center = [a + 2 * b for a, b in zip(CENTER, STEP, strict=True)]
    assert select(document, "region", frame=3, shape="sphere", center=center, radius=1.01 * RADIUS) == THE_BALL
    assert select(document, "region", frame=3, shape="box", center=center, size=[0.71, 0.71, 0.71]) == THE_BALL
    red = select(document, "attribute", name="hue", frame=1, low=330.0, high=30.0)
    saturated = select(document, "attribute", name="saturation", frame=1, low=0.6)
    assert len(THE_BALL.subtract(red.intersect(saturated))) < 0.2 * BALL
    moving = select(document, "attribute", name="motion", frame=2, low=0.01)
    assert moving == THE_BALL
    born = select(document, "attribute", name="age", frame=5, high=1)
    assert born.ids.tolist() == [(3 << INDEX_BITS) + index for index in REPLACED[3]]


def test_hidden_and_deleted_things_are_not_selected(folder: Path, tmp_path: Path) -> None:
    document = linked(folder, tmp_path)
    document.do(Delete(Target.of(THE_BALL)))
    for depth in ("visible", "through"):
        found = select(document, "polygon", **in_camera(depth=depth, corners=circle(1.0)))
        assert len(found) > 0
        assert len(found.intersect(THE_BALL)) == 0


def test_sets_are_combined(document: Document) -> None:
    a, b = {"ids": [1, 2, 3]}, {"ids": [3, 4]}
    assert select(document, "union", of=[a, b]).ids.tolist() == [1, 2, 3, 4]
    assert select(document, "subtract", of=[a, b]).ids.tolist() == [1, 2]
    assert select(document, "intersect", of=[a, b]).ids.tolist() == [3]
    assert len(select(document, "invert", of=a, frame=1)) == 397
    first, second = Selection.of([1, 2, 3]), Selection.of([3, 4])
    assert first.combine(second, "add") == Selection.of([1, 2, 3, 4])
    assert first.combine(second, "replace") == second
    with pytest.raises(InputError, match="not combined by 'melt'"):
        first.combine(second, "melt")


def test_grow_and_shrink_go_by_distance(document: Document) -> None:
    means = document.gaussians(0).means
    one = int(np.flatnonzero(~IN_THE_BALL)[10])
    found = select(document, "grow", of={"ids": [one]}, frame=1, distance=0.3)
    expected = torch.nonzero((means - means[one]).norm(dim=1) <= 0.3)[:, 0].tolist()
    assert found.ids.tolist() == expected
    assert 1 < len(expected) < 100
    shrunk = select(document, "shrink", of={"ids": expected}, frame=1, distance=0.1)
    distance = torch.cdist(means[expected], means[~torch.isin(torch.arange(400), torch.tensor(expected))]).min(1).values
    assert shrunk.ids.tolist() == [row for row, near in zip(expected, distance.tolist(), strict=True) if near > 0.1]


def test_what_is_connected_ends_where_the_gap_is_or_where_things_move_apart(document: Document) -> None:
    seed = {"ids": THE_BALL.ids[:1].tolist()}
    found = select(document, "connected", of=seed, frame=2, gap=4.0)
    assert len(found.subtract(THE_BALL)) == 0
    assert len(found) >= 0.9 * BALL
    with_wall = {"ids": THE_BALL.ids[:1].tolist() + np.flatnonzero(~IN_THE_BALL)[:1].tolist()}
    everything = select(document, "connected", of=with_wall, frame=2, gap=100.0)
    assert len(everything) == 400
    shifted = select(document, "connected", of={"ids": [int(found.ids[0])]}, frame=2, gap=100.0, stretch=0.0001)
    assert len(shifted) < 400
    assert shifted == THE_BALL  # also those that are not there in all frames


def test_flicker_is_the_largest_change_of_what_is_added_to_a_pixel(folder: Path, tmp_path: Path) -> None:
    document = linked(folder, tmp_path)
    assert not values_of("flicker", document.seen, 0).any()  # nothing but places changes
    document.do(Opacity(Target.of(THE_BALL), FrameRange(1, 1), factor=0.25))
    expected = 0.75 * document.original(0).opacities.numpy() * np.where(IN_THE_BALL, 0.9, 0.0)  # red changes most
    assert np.allclose(values_of("flicker", document.seen, 0), expected, atol=1e-5)


def test_a_lasso_through_leaves_what_is_behind_the_camera(document: Document) -> None:
    pose = CAMERAS[0].world_to_camera.copy()
    depth = CAMERAS[0].project(document.gaussians(0).means.numpy().astype(float))[1]
    pose[2, 3] -= 0.5 * (depth[IN_THE_BALL].max() + depth[~IN_THE_BALL].min())  # between ball and wall
    view = replace(CAMERAS[0], world_to_camera=pose)
    corners = [[-1e5, -1e5], [1e5, -1e5], [1e5, 1e5], [-1e5, 1e5]]
    found = select(document, "polygon", **in_camera(depth="through", corners=corners) | {"camera": camera_to_json(view)})
    assert len(found.intersect(THE_BALL)) == 0
    brushed = select(document, "brush", **in_camera(depth="through", line=corners, radius=1e4) | {"camera": camera_to_json(view)})
    assert len(brushed.intersect(THE_BALL)) == 0
    assert len(found) > 0


def test_attributes_have_a_value_for_each_gaussian(document: Document) -> None:
    for facts in ATTRIBUTES:
        if not facts.photographs:
            assert values_of(facts.name, document.seen, 1).shape == (400,), facts.name
    with pytest.raises(InputError, match="needs the photographs"):
        values_of("error", document.seen, 1)
    assert values_of("opacity", document.seen, 0) == pytest.approx(0.9526, abs=1e-3)


def test_floaters_are_proposed_with_their_reasons_and_nothing_is_changed(document: Document) -> None:
    found = propose_floaters(document.seen, 0, CleanUpSettings(views=1.5, large=0.02, reasons=2))
    everything = propose_floaters(document.seen, 0, CleanUpSettings(views=100, large=0.0, reasons=2))
    assert len(everything.selection) > len(found.selection)
    first = Selection.of(everything.selection.ids[:1])
    assert {reason for reason, those in everything.reasons.items() if len(those.intersect(first))} >= {"few views", "large"}
    assert found.remarks == ("Errors could not be judged: This needs the photographs: open the document with the capture of the run.",)
    assert not document.history.entries


def test_a_way_comes_back_from_its_json(document: Document) -> None:
    ways = [
        {"way": "click", **in_camera(x=1.5, y=2.0)},
        {"way": "polygon", **in_camera(depth="through", corners=[[1, 2], [3, 4], [5, 0]])},
        {"way": "brush", **in_camera(line=[[1, 2]], radius=4)},
        {"way": "region", "frame": 1, "shape": "sphere", "center": [1, 2, 3], "radius": 2},
        {"way": "attribute", "name": "size", "frame": 1, "low": 0.1},
        {"way": "tracks", "tracks": [3, 4], "frame": 1},
        *({"way": name, "of": [{"ids": [1]}, {"ids": [2]}]} for name in ("union", "subtract", "intersect")),
        {"way": "invert", "of": {"ids": [1]}, "frame": 1},
        *({"way": name, "of": {"ids": [1]}, "frame": 1, "distance": 0.5} for name in ("grow", "shrink")),
        {"way": "connected", "of": {"ids": [1]}, "frame": 1, "gap": 2.0, "stretch": 0.5},
        {"way": "through_time", "of": {"ids": [1]}, "frame": 1},
    ]
    assert {way["way"] for way in ways} == set(WAYS.names())
    for data in ways:
        way = document.way_of(data)
        assert document.way_of({"way": way.kind, **json.loads(json.dumps(way.to_json()))}) == way


@pytest.mark.parametrize("name", [facts.name for facts in ATTRIBUTES if not facts.photographs])
def test_every_attribute_says_that_a_frame_is_not_there(document: Document, name: str) -> None:
    with pytest.raises(InputError, match="Frame 9 is not in the run"):
        select(document, "attribute", name=name, frame=9)


@pytest.mark.parametrize("name", [facts.name for facts in ATTRIBUTES if facts.rendered and not facts.photographs])
def test_what_cameras_show_is_not_known_without_cameras(document: Document, name: str) -> None:
    with pytest.raises(InputError, match="judged by what cameras show, and none is known"):
        values_of(name, replace(document.seen, cameras=(), values=LastUsed(1)), 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"way": "polygon", "camera": "cam09", "frame": 1, "corners": [[0, 0], [1, 0], [0, 1]]}, "no camera named 'cam09'"),
        ({"way": "polygon", "camera": "cam00", "frame": 1, "corners": [[0, 0], [1, 0]]}, "at least 3 corners"),
        ({"way": "polygon", "camera": "cam00", "frame": 9, "corners": [[0, 0], [1, 0], [0, 1]]}, "Frame 9 is not in the run"),
        ({"way": "attribute", "name": "smell", "frame": 1}, "no attribute named 'smell'"),
        ({"way": "tracks", "tracks": [5], "frame": 1}, "has no track 5 in frame 1"),
        ({"way": "grow", "of": {"ids": [1]}, "frame": 1, "distance": -1}, "a number from 0"),
    ],
)
def test_what_does_not_fit_is_refused(document: Document, data: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        document.selection_of(data)


def test_selections_within_selections_have_an_end(document: Document) -> None:
    data: dict[str, Any] = {"ids": [1]}
    for _ in range(40):
        data = {"way": "union", "of": [data]}
    with pytest.raises(InputError, match="go deeper than 20"):
        document.selection_of(data)


def test_pixels_are_inside_by_their_centres_as_points_are() -> None:
    random = np.random.default_rng(1)
    for _ in range(5):
        polygon = random.uniform(-5, 25, (7, 2))
        pixels = inside_pixels(polygon, 20, 16)
        x, y = np.meshgrid(np.arange(20) + 0.5, np.arange(16) + 0.5)
        assert np.array_equal(pixels, inside_points(polygon, np.stack((x, y), -1).reshape(-1, 2)).reshape(16, 20))
        points = random.uniform(-3, 23, (500, 2))
        inside = inside_points(polygon, points) & (points >= 0).all(1) & (points[:, 0] < 20) & (points[:, 1] < 16)
        assert np.array_equal(inside_image_points(polygon, points, 20, 16), inside)
    assert stroke_pixels(np.array([[2.5, 3.5]]), 1.0, 8, 8).sum() == 5


def test_cameras_of_the_capture_serve_a_run_that_names_none(folder: Path) -> None:
    capture: Capture = made_capture_of(CAMERAS, FRAMES, folder)
    assert Document.open(folder, capture=capture).cameras == tuple(CAMERAS)
