"""``trackersplat doctor`` as a user meets it."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from instantsplat_stand_in import installed

from trackersplat.cli import main
from trackersplat.commands import machine
from trackersplat.errors import InputError
from trackersplat.metrics.registry import METRICS
from trackersplat.rendering.registry import BACKENDS
from trackersplat.tracking.registry import TRACKERS


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["doctor", *arguments])
    return int(end.value.code or 0)


def as_json(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = run("--json")
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, data


def test_this_machine_can_reconstruct_the_demo_and_the_versions_are_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    code, data = as_json(capsys)
    assert (code, data["problems"]) == (0, [])
    assert data["python"] == platform.python_version()
    versions = {package["name"]: package["version"] for package in data["packages"]}
    assert versions["torch"] == version("torch")
    assert versions["viser"] == version("viser")
    assert [part["name"] for part in data["rasterisers"]] == list(BACKENDS.names())
    assert [part["name"] for part in data["trackers"]] == list(TRACKERS.names())
    assert [part["name"] for part in data["metrics"]] == list(METRICS.names())
    assert data["folders"][0]["path"] == str(tmp_path)
    assert data["folders"][0]["writable"]
    assert list(tmp_path.iterdir()) == []


def test_people_read_the_same(capsys: pytest.CaptureFixture[str]):
    assert run() == 0
    said = capsys.readouterr().out
    assert f"torch                      {version('torch')}" in said
    assert "portable (Apache-2.0)      works" in said
    assert "The demo can be reconstructed: trackersplat reconstruct demo" in said


def test_what_is_not_installed_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    assert run() == 0
    said = capsys.readouterr().out
    assert "prepare                    no: Finding points and poses needs pycolmap" in said
    assert "pip install '.[sfm]'" in said


def test_initialisers_are_listed_with_their_licences_and_what_they_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "instantsplat", None)
    _, data = as_json(capsys)
    assert [part["name"] for part in data["initialisers"]] == ["dust3r", "mast3r", "vggt"]
    assert all(
        "not installed (pip install instantsplat); its weights are not there (checkpoints/" in p["problem"] for p in data["initialisers"]
    )
    monkeypatch.delitem(sys.modules, "instantsplat")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth").touch()
    with installed(tmp_path / "site"):
        run()
        assert "instantsplat" not in sys.modules
    said = capsys.readouterr().out
    assert "prepare --points dust3r    works (instantsplat of unknown version and weights are there, not loaded) - code CC BY-NC-SA" in said
    assert "prepare --points vggt      no: its weights are not there (checkpoints/vggt_1B_commercial.pt; its authors publish them)" in said


def test_without_the_demo_the_exit_code_is_2_and_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def gone() -> Path:
        raise InputError("This installation of trackersplat lacks its 'demo' files.")

    monkeypatch.setattr("trackersplat.captures.registry.demo_capture", gone)
    assert run("--json") == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["problems"] == ["This installation of trackersplat lacks its 'demo' files."]
    assert err == "error: The demo cannot be reconstructed here: This installation of trackersplat lacks its 'demo' files.\n"


def test_without_any_rasteriser_the_reasons_are_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(BACKENDS, "why_unavailable", lambda name: f"no {name}")
    code, data = as_json(capsys)
    assert code == 2
    assert "No rasteriser works here: triton: no triton" in data["problems"][0]


def test_a_folder_that_cannot_be_written_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def full(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", full)
    monkeypatch.chdir(tmp_path)
    found = machine.examine()
    assert not any(folder.writable for folder in found.folders)
    assert found.problems == (f"{tmp_path} cannot be written (runs and prepared captures): work in another folder.",)
