"""Changes of a camera path, and its form on disk."""

from __future__ import annotations

import copy
import json
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_paths import key, wandering

from trackersplat.camera_paths.path import CameraPath, Key, even_path, looking_at
from trackersplat.camera_paths.path_file import from_json, read_path, to_json, write_path
from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError


def times(path: CameraPath) -> list[float]:
    return [one.at for one in path.keys]


def test_a_key_of_a_camera_has_its_pose_and_angle() -> None:
    from tiny_capture import look_at

    camera = Camera("a", 64, 48, np.array([[60.0, 0, 30], [0, 60.0, 20], [0, 0, 1]]), look_at((1.0, -2.0, -3.0)))
    made = Key.of(camera, frame=4)
    np.testing.assert_allclose(made.position, (1, -2, -3), atol=1e-12)
    assert made.fov == pytest.approx(2 * math.atan(24 / 60))
    again = looking_at(np.array((1.0, -2.0, -3.0)), np.zeros(3), np.array([0.0, -1.0, 0.0]), made.fov)
    assert abs(np.dot(made.rotation, again.rotation)) == pytest.approx(1.0)


def test_keys_are_added_at_the_end_or_in_the_middle_of_a_gap() -> None:
    path = even_path(wandering(3), 4.0)
    assert times(path.added(key((9, 9, 9)))) == [0, 2, 4, 6]
    assert path.added(key((9, 9, 9))).seconds == 6
    inserted = path.added(key((9, 9, 9)), after=0)
    assert times(inserted) == [0, 1, 2, 4]
    assert inserted.keys[1].position == (9, 9, 9)
    loop = path.looped(True)
    assert (loop.seconds, times(loop)) == (6, [0, 2, 4])
    assert times(loop.added(key((9, 9, 9)), after=2)) == [0, 2, 4, 5]
    assert loop.looped(False) == path


def test_removing_moving_and_retiming_keep_the_path_in_order() -> None:
    path = even_path(wandering(4), 6.0)
    assert times(path.without(0) or path) == [0, 2, 4]
    assert times(path.without(3) or path) == [0, 2, 4]
    assert CameraPath(path.keys[:1], 2.0).without(0) is None
    moved = path.reordered(3, 1)
    assert [one.position for one in moved.keys] == [path.keys[i].position for i in (0, 3, 1, 2)]
    assert times(moved) == times(path)
    assert times(path.retimed(1, 3.5)) == [0, 3.5, 4, 6]
    assert times(path.retimed(1, 99)) == [0, 3.999, 4, 6]
    assert path.retimed(3, 9).seconds == 9
    assert times(path.lasting(3.0)) == [0, 1, 2, 3]
    with pytest.raises(InputError, match="first key is at 0 s"):
        path.retimed(0, 1.0)


NUMBERS = st.floats(-1e6, 1e6)
TURNS = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda turn: math.hypot(*turn) > 0.1)
KEYS = st.builds(
    Key,
    st.just(0.0),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    TURNS,
    st.floats(math.radians(1.001), math.radians(169.999)),
    st.none() | st.floats(0, 1e5),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(KEYS, min_size=1, max_size=6), st.floats(0.1, 3000), st.booleans(), st.booleans())
def test_what_is_written_is_read_again(keys: list[Key], seconds: float, loop: bool, constant: bool) -> None:
    path = even_path(keys, seconds, loop=loop, constant_speed=constant)
    again = from_json(json.loads(json.dumps(to_json(path))))
    assert (again.seconds, again.loop, again.constant_speed, len(again.keys)) == (seconds, loop, constant, len(keys))
    for one, other in zip(path.keys, again.keys, strict=True):
        assert one.position == other.position
        assert one.at == other.at
        np.testing.assert_allclose(other.rotation, one.rotation, atol=1e-12)
        assert other.fov == pytest.approx(one.fov)
        assert (other.frame is None) == (one.frame is None)
        assert other.frame is None or other.frame == pytest.approx(one.frame, abs=1e-9)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["format", "seconds", "loop", "keys", "at", "position", "rotation_wxyz", "fov_y_degrees", "frame"]), JSON)
def test_nonsense_in_a_file_is_a_sentence_or_a_path(field: str, value: Any) -> None:
    data = copy.deepcopy(to_json(even_path(wandering(2), 2.0)))
    (data if field in data else data["keys"][1])[field] = value
    with suppress(InputError):  # anything else is a defect
        assert from_json(data).keys


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other"}, 'expected "format"'),
        ({"keys": []}, "a list of 1 to 1000 keys"),
        ({"keys": [{}] * 1001}, "a list of 1 to 1000 keys"),
        ({"keys": [3]}, "Key 1 must be an object"),
        ({"seconds": 0}, "lasts from 0.001 to 3600 seconds"),
        ({"seconds": 1e300}, "lasts from 0.001 to 3600 seconds"),
        ({"seconds": 10**5000}, '"seconds" must be a number'),
        ({"loop": 1}, "true or false"),
        ({"seconds": 5}, "last key of a camera path is at its end, 5 s"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_its_name(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    import sys

    file = tmp_path / "path.json"
    limit = sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None
    if limit is not None:
        sys.set_int_max_str_digits(0)
    try:
        file.write_text(json.dumps({**to_json(even_path(wandering(2), 2.0)), **change}))
    finally:
        if limit is not None:
            sys.set_int_max_str_digits(limit)
    with pytest.raises(InputError, match=r"path\.json") as error:
        read_path(file)
    assert words in str(error.value) or "not valid JSON" in str(error.value)


def test_a_file_is_written_and_read(tmp_path: Path) -> None:
    path = even_path([replace(one, frame=2.0) for one in wandering(3)], 2.0, loop=True, constant_speed=True)
    write_path(tmp_path / "path.json", path)
    assert json.loads((tmp_path / "path.json").read_text())["keys"][0]["frame"] == 3  # counted from 1
    assert read_path(tmp_path / "path.json").keys[2].frame == 2.0
    with pytest.raises(InputError, match=r"gone\.json is missing"):
        read_path(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": math.nan}, {"position": (0.0, 0.0, 1e10)}, {"position": (0.0, 0.0)}, {"rotation": (0.0, 0.0, 0.0, 0.0)}, {"fov": 0.0},
        {"fov": 3.1}, {"frame": -1.0}, {"frame": math.inf},
    ],
)  # fmt: skip
def test_a_key_out_of_range_is_a_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        replace(key((0, 0, 0)), **wrong)
