from __future__ import annotations

import os
from pathlib import Path

import pytest

from trackersplat.captures.settings import CaptureSettings, plain_name, read_settings
from trackersplat.errors import InputError


def test_a_folder_without_capture_json_says_nothing(tmp_path: Path):
    assert read_settings(tmp_path) == CaptureSettings(None, None, None, None)


def test_every_key_is_read(tmp_path: Path):
    (tmp_path / "capture.json").write_text(
        '{"name": "A b", "fps": 24, "held_out": ["c1"], "scale": 0.5, "exclude": ["c3"], "licence": "MIT", "description": "x"}'
    )
    assert read_settings(tmp_path) == CaptureSettings("A b", 24.0, ("c1",), 0.5, ("c3",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"heldout": []}', "unknown key 'heldout', expected only name, fps, held_out"),
        ('{"name": 3}', "'name' must be a text"),
        ('{"name": ""}', "'name' must have 1 to 200 characters"),
        ('{"fps": 0}', "'fps' must be a number above 0"),
        ('{"fps": true}', "'fps' must be a number above 0"),
        ('{"fps": NaN}', "'fps' must be a number above 0|not valid JSON"),
        ('{"scale": 2}', "'scale' must be a number above 0 and at most 1"),
        ('{"held_out": ["a", "a"]}', "'held_out' names a camera twice"),
        ('{"held_out": [1]}', "a camera name must be a plain name"),
        ('{"exclude": "a"}', "'exclude' must be a list of camera names"),
        ("[1]", "must hold a JSON object"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, text: str, message: str):
    (tmp_path / "capture.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_settings(tmp_path)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "a\x1b[31m", "\udce9", "x" * 256, None, 3])
def test_names_that_are_unsafe_in_a_path_are_refused(name: object):
    with pytest.raises(InputError, match="plain name"):
        plain_name(name, "it")


@pytest.mark.parametrize(
    "name", ["B\u00fchne 1 (copy)", "\u673a\u4f4d1", "DSC#2", "cam+3", "GX@4", "-o", ".hidden", "a,b", "[red]", "x" * 255, "\U0001f3ac"]
)
def test_any_other_name_is_a_name(name: str):
    assert plain_name(name, "it") == name


def test_a_link_to_nowhere_is_an_error_and_not_a_missing_file(tmp_path: Path):
    (tmp_path / "capture.json").symlink_to("gone.json")
    with pytest.raises(InputError, match=r"capture\.json is a link to gone\.json, which does not exist"):
        read_settings(tmp_path)


def test_what_may_never_end_is_not_read(tmp_path: Path):
    (tmp_path / "capture.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"capture\.json is a device or a pipe"):
        read_settings(tmp_path)
    (tmp_path / "capture.json").unlink()
    os.mkfifo(tmp_path / "capture.json")
    with pytest.raises(InputError, match=r"capture\.json is a device or a pipe"):
        read_settings(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_text_of_an_editor_of_windows_is_read(tmp_path: Path, encoding: str):
    (tmp_path / "capture.json").write_bytes('{"name": "B\u00fchne"}\r\n'.encode(encoding))
    assert read_settings(tmp_path).name == "B\u00fchne"
