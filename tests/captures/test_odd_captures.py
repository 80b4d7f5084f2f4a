"""What is only odd about a capture does not keep it from opening."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from damage import tree
from making_captures import WHOLE

from trackersplat.captures.media.video import VideoFile
from trackersplat.captures.readable import require_readable
from trackersplat.captures.registry import open_capture
from trackersplat.cli import main
from trackersplat.errors import InputError


def _named(name: str | bytes) -> Callable[[Path], Path]:
    def rename(folder: Path) -> Path:
        try:
            return folder.rename(folder.with_name(os.fsdecode(name)))
        except OSError as error:
            pytest.skip(f"this file system has no such names: {error}")

    return rename


def _behind_a_link(folder: Path) -> Path:
    (folder.parent / "link").symlink_to(folder.name)
    return folder.parent / "link"


def _of_links(folder: Path) -> Path:
    """Every file is a link to one elsewhere."""
    elsewhere = folder.parent / "elsewhere"
    for number, file in enumerate([path for path in sorted(folder.rglob("*")) if path.is_file()]):
        elsewhere.mkdir(exist_ok=True)
        file.rename(elsewhere / f"{number}{file.suffix}")
        file.symlink_to(elsewhere / f"{number}{file.suffix}")
    return folder


def _read_only(folder: Path) -> Path:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


ODD = {
    "non-ASCII name": _named("Aufnahme \u00e4\u00f6\u00fc \u64ae\u5f71 \U0001f3ac"),
    "name that looks like markup": _named("[bold]scene[red] 'a' \"b\" $HOME"),
    "name as long as can be": _named("long" * 60),
    "behind a link": _behind_a_link,
    "made of links": _of_links,
    "read-only": _read_only,
}


@pytest.mark.parametrize("layout", WHOLE)
@pytest.mark.parametrize("odd", ODD)
def test_what_is_only_odd_opens(
    odd: str,
    layout: str,
    copy_of: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    folder = ODD[odd](copy_of(layout))
    before = tree(tmp_path / "data")
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")
    try:
        with pytest.raises(SystemExit) as stop:
            main(["info", str(folder)])
        printed = capfd.readouterr()
        assert stop.value.code == 0, printed.err
        assert f"layout    {layout}" in printed.out
        assert printed.err == ""
        capture = open_capture(folder)
        require_readable(capture, 0)
        capture.close()
        assert tree(tmp_path / "data") == before
        assert list((tmp_path / "working").iterdir()) == []
    finally:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)  # so that it can be removed


def test_a_name_that_is_no_text_opens_or_is_refused_where_a_video_lies_there(
    copy_of: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
):
    images = _named(b"caf\xe9")(copy_of("image_folder"))
    require_readable(open_capture(images), 0)
    with pytest.raises(SystemExit) as stop:
        main(["info", str(images)])
    assert (stop.value.code, capfd.readouterr().err) == (0, "")
    video = images / "cam00.mp4"
    video.write_bytes(b"")
    with pytest.raises(InputError, match=r"cam00\.mp4 has a name that is not valid UTF-8"):  # OpenCV would crash
        VideoFile(video)
