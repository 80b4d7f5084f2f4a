"""``trackersplat trackers`` on a machine that has none of the learned ones, and on one that has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trackersplat.cli import main
from trackersplat.tracking.registry import TRACKERS

NO_TRACE = """
import socket, sys

def refuse(*arguments, **options):
    raise AssertionError("the network was asked")

socket.socket.connect = socket.getaddrinfo = refuse
sys.argv = ["trackersplat", *{arguments}]
from trackersplat.cli import main
try:
    main()
except SystemExit as end:
    print("exit", end.code, sorted({{"torch", "cv2", "numba", "numpy", "httpx", "track_4dgs"}} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without clones, weights and caches."""
    for name in ("TRACKERSPLAT_CODE", "TRACKERSPLAT_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        main(["trackers", *arguments])
    assert end.value.code == 0
    return capsys.readouterr().out


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(said(capsys, *arguments, "--json"))
    return found


@pytest.mark.parametrize("arguments", [["trackers"], ["trackers", "cotracker3"]])
def test_listing_imports_nothing_heavy_and_asks_no_network(nothing: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TRACE.format(arguments=arguments)], capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.stderr.strip() == "exit 0 []"
    assert list(nothing.iterdir()) == []


def test_every_tracker_has_a_row_with_its_state_and_licences(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["name"]: row for row in rows(capsys)}
    assert list(found) == list(TRACKERS.names())
    assert found["dis"]["state"] == found["exact"]["state"] == "ready"
    for facts in TRACKERS:
        if facts.upstream is not None:
            assert found[facts.name]["state"] == "package missing", facts.name
            assert found[facts.name]["commands"], facts.name
    cotracker = found["cotracker3"]
    assert (cotracker["kind"], cotracker["devices"], cotracker["time"]) == ("2D sparse", "GPU, CPU", "both ways")
    assert cotracker["code_licence"] == cotracker["weights_licence"] == "CC-BY-NC-4.0"
    assert cotracker["non_commercial"]
    assert not found["locotrack-base"]["non_commercial"]


def test_people_read_one_line_per_tracker(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    assert lines[0].split() == ["tracker", "state", "tracks", "runs", "on", "time", "licence"]
    assert [line.split()[0] for line in lines[1:-1]] == list(TRACKERS.names())
    assert lines[-1].startswith("The default is dis.")


def test_one_tracker_says_exactly_how_to_get_it(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "cotracker3")
    code, weights = nothing / ".cache/trackersplat/code/co-tracker", nothing / ".cache/trackersplat/weights"
    assert f"  git clone https://github.com/facebookresearch/co-tracker {code}\n" in text
    assert f"  git -C {code} checkout 82e02e8029753ad4ef13cf06be7f4fc5facdda4d\n" in text
    url = "https://huggingface.co/facebook/cotracker3/resolve/main/scaled_offline.pth"
    assert f"  mkdir -p {weights} && curl -L -o {weights / 'scaled_offline.pth'} {url}\n" in text
    assert "may not be used commercially (code: CC-BY-NC-4.0, weights: CC-BY-NC-4.0)" in text


def test_a_clone_and_weights_in_the_named_folders_make_it_ready(
    nothing: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRACKERSPLAT_CODE", str(nothing / "clones"))
    monkeypatch.setenv("TRACKERSPLAT_WEIGHTS", str(nothing / "files"))
    (nothing / "clones" / "co-tracker").mkdir(parents=True)
    (row,) = rows(capsys, "cotracker3")
    assert (row["state"], row["missing"]) == ("weights missing", f"the weights scaled_offline.pth are not in {nothing / 'files'}")
    (nothing / "files").mkdir()
    (nothing / "files" / "scaled_offline.pth").write_bytes(b"")
    (row,) = rows(capsys, "cotracker3")
    assert (row["state"], row["missing"], row["commands"]) == ("ready", "", [])


def test_weights_that_torch_hub_has_fetched_are_found(nothing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = nothing / ".cache/torch/hub/checkpoints"
    hub.mkdir(parents=True)
    (hub / "scaled_online.pth").write_bytes(b"")
    (nothing / ".cache/trackersplat/code/co-tracker").mkdir(parents=True)
    assert rows(capsys, "cotracker3-online")[0]["state"] == "ready"


def test_an_unknown_tracker_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["trackers", "cotraker"])
    assert end.value.code == 2
    assert "There is no tracker named 'cotraker'; choose one of dis, exact, " in capsys.readouterr().err
