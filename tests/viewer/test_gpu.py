"""What nvidia-smi says, in numbers and words."""

from __future__ import annotations

import shutil

import pytest

from viewer.gpu import GpuUse, gpu_use, parse


def test_memory_and_busy_share_are_read_and_what_is_not_known_is_left_out() -> None:
    whole, part = parse("NVIDIA H200, 2048, 143771, 97\nNVIDIA H200 MIG 1g, 100, 18000, [N/A]\nbroken line\n")
    assert whole == GpuUse("NVIDIA H200", 2048.0, 143771.0, 97.0)
    assert whole.words() == "NVIDIA H200: 2.0 of 140 GiB, 97 % busy"
    assert part.words() == "NVIDIA H200 MIG 1g: 0.1 of 18 GiB"
    assert GpuUse("X", None, None, None).words() == "X: not known"


def test_where_there_is_no_such_program_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert gpu_use() == ()


def test_a_driver_that_fails_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: "/bin/false")
    assert gpu_use() == ()
