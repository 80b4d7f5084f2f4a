"""The choice of the back end and what it says when it cannot be had."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.rendering import choose
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.choose import BACKENDS, choose_rasterizer, describe, is_prepared, prepare


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_without_cuda_the_portable_back_end_is_chosen(no_cuda: None) -> None:
    for rasterizer in (
        choose_rasterizer(),
        choose_rasterizer("cpu"),
        choose_rasterizer(backend="portable"),
        choose_rasterizer("cpu", "portable"),
    ):
        assert isinstance(rasterizer, PortableRasterizer)
        assert rasterizer.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "backend", "message"),
    [
        (None, "opengl", "There is no rendering back end 'opengl'"),
        ("tpu", None, "There is no device 'tpu'"),
        ("cuda", None, "'cuda' is not there: torch sees 0 CUDA GPUs"),
        ("cuda:3", "gsplat", "'cuda:3' is not there"),
        ("cpu", "gsplat", "gsplat runs on cuda, not on cpu"),
        (None, "gsplat", "gsplat is not available because"),
    ],
)
def test_what_cannot_be_had_is_said_in_one_sentence(no_cuda: None, device: str | None, backend: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        choose_rasterizer(device, backend)
    assert str(caught.value).count(". ") == 0


def test_with_cuda_and_gsplat_gsplat_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "why_unavailable", lambda backend: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert choose_rasterizer().name == "gsplat"
    assert choose_rasterizer("cuda:1").device == torch.device("cuda", 1)
    assert choose_rasterizer("cpu").name == "portable"
    with pytest.raises(InputError, match="portable runs on cpu"):
        choose_rasterizer("cuda", "portable")


def test_the_description_names_the_machine_and_the_back_end() -> None:
    text = describe(PortableRasterizer())
    assert re.fullmatch(r"CPU, \d+ cores? \(portable\)", text)


def test_the_registry_is_read_without_importing_a_back_end() -> None:
    code = (
        "import sys; from trackersplat.rendering.choose import BACKENDS, why_unavailable; "
        "[why_unavailable(name) for name in BACKENDS]; "
        "sys.exit(any(name in sys.modules for name in ('numba', 'gsplat')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert {info.licence for info in BACKENDS.values()} == {"Apache-2.0"}


def test_preparing_reports_progress_and_leaves_the_kernels_ready() -> None:
    rasterizer, seen = PortableRasterizer(), []
    prepare(rasterizer, lambda what, done, total: seen.append((what, done, total)))
    assert is_prepared(rasterizer)
    total = seen[-1][2]
    assert [done for _, done, _ in seen] == list(range(total + 1))


def test_rendering_needs_no_kernel_beyond_the_prepared_ones() -> None:
    from trackersplat.benchmarks.rendering import scene_camera, surface_scene
    from trackersplat.rendering.backends.portable.compiling import KERNELS

    prepare(PortableRasterizer())
    scene = surface_scene(100, 1)
    scene.means.requires_grad_()
    channels = torch.rand(100, 3, requires_grad=True)
    rendering = PortableRasterizer().render(scene, [scene_camera(32, 32)], channels=channels)
    assert rendering.channels is not None
    (rendering.color.sum() + rendering.depth.sum() + rendering.alpha.sum() + rendering.channels.sum()).backward()
    assert [len(kernel.signatures) for _, kernel, _ in KERNELS] == [1] * len(KERNELS)
