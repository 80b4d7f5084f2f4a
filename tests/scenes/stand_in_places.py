"""Folders of clones and weights of one test, and stand-ins put there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from stand_in_trackers import write_weights

from trackersplat.tracking.registry import TRACKERS


def make_places(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty folders of clones, weights and caches, which are looked into from now on."""
    for variable, name in (
        ("TRACKERSPLAT_CODE", "code"),
        ("TRACKERSPLAT_WEIGHTS", "weights"),
        ("XDG_CACHE_HOME", "cache"),
        ("HF_HUB_CACHE", "hub"),
    ):
        (folder / name).mkdir()
        monkeypatch.setenv(variable, str(folder / name))
    return folder


def install_stand_in(
    name: str, write: Callable[[Path, str], None], places: Path, monkeypatch: pytest.MonkeyPatch, *inside: str, prefix: str = ""
) -> None:
    """Makes the tracker of that name ready, on a stand-in that needs no packages and runs on the CPU."""
    facts = TRACKERS.facts(name)
    assert facts.upstream is not None
    write(places / "code", facts.upstream.clone)
    for file in facts.weights:
        hub = places / "hub" / f"models--{file.hub.replace('/', '--')}" / "snapshots" / "0a"
        write_weights((hub if file.hub else places / "weights") / file.file, *inside, prefix=prefix)
    monkeypatch.setitem(TRACKERS._entries, name, replace(facts, upstream=replace(facts.upstream, needs=()), devices=("cpu",)))
