"""Commands that are killed at random moments. Many more of these kills: ``python -m trackersplat.benchmarks.kills --kills 100``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trackersplat.benchmarks.kills import attack_all, contents, is_leftover

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")


def test_kills_at_random_moments_lose_no_frame_change_nothing_and_leave_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    found = attack_all(tmp_path, 3, 1, ["reconstruct"], said.append)
    assert found.kills == 3
    assert (found.lost, found.different, found.left, found.failed) == ([], [], [], [])
    assert said == [f"reconstruct            {found.sentence()}"]


def test_what_is_compared_are_all_files_without_times_and_places(tmp_path: Path) -> None:
    for name, seconds in (("one", "1.5"), ("two", "2.5")):
        folder = tmp_path / name
        (folder / "frame1").mkdir(parents=True)
        (folder / "frame1" / "frame.json").write_text(f'{{"psnr": 30, "seconds": {{"refine": {seconds}}}, "out": "{folder}"}}')
        (folder / "metrics.csv").write_text(f"frame,psnr,seconds\n1,30,{seconds}\n")
        (folder / "cfg_args").write_text(f"source_path='{folder}'")
        (folder / "stdout").write_text(seconds)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    (tmp_path / "two" / "metrics.csv").write_text("frame,psnr,seconds\n1,31,2.5\n")
    assert contents(tmp_path / "one") != contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("run/frame1/frame.json", False),
        ("run/.frame1.0123456789ab.tmp/frame.json", True),
        ("run/.lock", True),
        ("run/preview.ply", True),
        ("tmp/trackersplat-prepare.0123456789ab.work/features/database.db", True),
    ],
)
def test_leftovers_are_told_from_files_of_a_run(name: str, left: bool) -> None:
    assert is_leftover(name) == left
