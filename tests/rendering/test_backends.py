"""The choice of the back end and what it says when it is not available."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trackersplat.benchmarks.rendering import scene_camera, surface_scene
from trackersplat.errors import InputError
from trackersplat.registry import Registry
from trackersplat.rendering.backends import gsplat_kernels, host_compiler
from trackersplat.rendering.backends.portable import PortableRasterizer
from trackersplat.rendering.registry import BACKENDS, BackendFacts, choose_rasterizer


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
        (None, "opengl", "There is no rendering back end named 'opengl'"),
        ("tpu", None, "There is no device 'tpu'"),
        ("cuda", None, "'cuda' is not there: torch sees 0 CUDA GPUs"),
        ("cuda:3", "gsplat", "'cuda:3' is not there"),
        ("cpu", "gsplat", "gsplat runs on cuda, not on cpu"),
        (None, "gsplat", "The rendering back end gsplat cannot be used: "),
        ("cpu", "triton", "triton runs on cuda, not on cpu"),
        (None, "triton", "The rendering back end triton cannot be used: "),
    ],
)
def test_what_is_not_available_is_said_in_one_sentence(no_cuda: None, device: str | None, backend: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        choose_rasterizer(device, backend)
    assert str(caught.value).count(". ") == 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """With gsplat and Triton installed, gsplat's kernels compiled."""
    monkeypatch.setattr(Registry, "why_unavailable", lambda self, name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(gsplat_kernels, "come_with_package", lambda: True)
    monkeypatch.setattr(host_compiler, "why_missing", lambda: None)


def test_with_cuda_triton_is_chosen(two_gpus: None) -> None:
    pytest.importorskip("triton")
    assert BACKENDS.passed_over("triton") == ()
    assert choose_rasterizer().name == "triton"
    assert choose_rasterizer(backend="gsplat").name == "gsplat"
    assert choose_rasterizer("cuda:1").device == torch.device("cuda", 1)
    assert choose_rasterizer("cpu").name == "portable"
    with pytest.raises(InputError, match="portable runs on cpu"):
        choose_rasterizer("cuda", "portable")


def test_without_a_compiler_for_triton_gsplat_is_chosen_and_it_is_said_why(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_compiler, "why_missing", lambda: "Triton finds no C compiler")
    assert choose_rasterizer().name == "gsplat"
    assert choose_rasterizer("cuda:1").device == torch.device("cuda", 1)
    assert choose_rasterizer("cpu").name == "portable"
    (said,) = BACKENDS.passed_over("gsplat")
    assert said == "The rendering back end triton cannot be used here: Triton finds no C compiler. gsplat renders."


def test_with_a_gpu_that_no_back_end_can_use_it_is_said_why_the_cpu_renders(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_compiler, "why_missing", lambda: "Triton finds no C compiler")
    monkeypatch.setattr(gsplat_kernels, "why_missing", lambda: "it finds no CUDA compiler")
    assert choose_rasterizer().name == "portable"
    assert BACKENDS.passed_over("portable") == (
        "The rendering back end triton cannot be used here: Triton finds no C compiler. portable renders.",
        "The rendering back end gsplat cannot be used here: it finds no CUDA compiler. portable renders.",
    )


def test_without_a_gpu_nothing_is_said_of_its_back_ends(no_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "why_unavailable", lambda self, name: None)
    assert BACKENDS.passed_over("portable") == ()


def test_gsplat_without_a_compiler_is_refused_in_one_sentence(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gsplat_kernels, "come_with_package", lambda: False)
    monkeypatch.setattr(gsplat_kernels, "_has_compiler", lambda: False)
    with pytest.raises(InputError, match=r"gsplat cannot be used: it finds no CUDA compiler \(nvcc\)"):
        choose_rasterizer(backend="gsplat")


def test_a_back_end_that_is_not_installed_needs_no_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "why_unavailable", lambda self, name: "package triton not installed" if name == "triton" else None)
    assert BACKENDS.passed_over("gsplat") == ()
    assert BACKENDS.passed_over("portable") == ()


def test_the_compiler_is_looked_for_where_gsplat_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.utils import cpp_extension

    monkeypatch.setattr(gsplat_kernels, "come_with_package", lambda: False)
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gsplat_kernels.why_missing() is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nvcc").touch(mode=0o755)
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", str(tmp_path))
    assert gsplat_kernels.why_missing() is None
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert gsplat_kernels.why_missing() is None


def test_triton_needs_a_compiler_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_compiler.os, "name", "posix")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert host_compiler.why_missing() == "Triton finds no C compiler: install gcc or clang"
    (tmp_path / "gcc").touch(mode=0o755)
    folders = {"posix_local": tmp_path / "local", "posix_prefix": tmp_path / "include"}  # Debian's default has no headers
    monkeypatch.setattr(host_compiler.sysconfig, "get_default_scheme", lambda: "posix_local")
    monkeypatch.setattr(host_compiler.sysconfig, "get_path", lambda name, scheme: str(folders[scheme]))
    for name in ("CPATH", "C_INCLUDE_PATH"):
        monkeypatch.delenv(name, raising=False)
    assert "no Python.h" in (host_compiler.why_missing() or "")
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").touch()
    assert host_compiler.why_missing() is None
    folders["posix_prefix"] = tmp_path / "elsewhere"
    monkeypatch.setenv("CPATH", f"{tmp_path}/other:{tmp_path}/include")
    assert host_compiler.why_missing() is None


def test_the_description_names_the_machine_and_the_back_end() -> None:
    text = PortableRasterizer().describe()
    assert re.fullmatch(r"CPU, \d+ cores? \(portable\)", text)


def test_the_registry_is_read_without_importing_a_back_end() -> None:
    code = (
        "import sys; from trackersplat.rendering.registry import BACKENDS; "
        "[BACKENDS.why_unavailable(name) for name in BACKENDS.names()]; "
        "sys.exit(any(name in sys.modules for name in ('numba', 'gsplat', 'triton')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert {info.licence for info in BACKENDS} == {"Apache-2.0"}


def test_preparing_reports_progress_and_leaves_the_kernels_ready() -> None:
    rasterizer, seen = PortableRasterizer(), []
    rasterizer.prepare(lambda what, done, total: seen.append((what, done, total)))
    assert rasterizer.is_prepared()
    total = seen[-1][2]
    assert [done for _, done, _ in seen] == list(range(total + 1))


def test_rendering_needs_no_kernel_beyond_the_prepared_ones() -> None:
    from trackersplat.rendering.backends.portable.compiling import KERNELS

    PortableRasterizer().prepare()
    scene = surface_scene(100, 1)
    scene.means.requires_grad_()
    channels = torch.rand(100, 3, requires_grad=True)
    rendering = PortableRasterizer().render(scene, [scene_camera(32, 32)], channels=channels)
    assert rendering.channels is not None
    (rendering.color.sum() + rendering.depth.sum() + rendering.alpha.sum() + rendering.channels.sum()).backward()
    assert [len(kernel.signatures) for _, kernel, _ in KERNELS] == [1] * len(KERNELS)


def test_without_cuda_a_request_for_the_back_end_of_a_gpu_says_what_is_missing(no_cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "why_unavailable", lambda self, name: None)
    with pytest.raises(InputError, match="gsplat cannot be used: torch sees no CUDA GPU"):
        choose_rasterizer(backend="gsplat")


def test_a_back_end_is_added_with_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dark_backend.py").write_text(
        "from dataclasses import replace\n"
        "from trackersplat.rendering.backends.portable import PortableRasterizer\n"
        "class DarkRasterizer(PortableRasterizer):\n"
        "    name = 'dark'\n"
        "    def render(self, *args, **options):\n"
        "        rendering = super().render(*args, **options)\n"
        "        return replace(rendering, color=rendering.color / 2)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(BACKENDS, "_entries", dict(BACKENDS._entries))
    BACKENDS.add(BackendFacts("dark", "half as bright", "dark_backend:DarkRasterizer", packages=("numba",)))
    dark = choose_rasterizer(backend="dark")
    assert dark.describe().endswith("(dark)")
    scene, camera = surface_scene(200), scene_camera(32, 24)
    bright = choose_rasterizer("cpu")
    assert isinstance(bright, PortableRasterizer)  # the first of those for the CPU
    assert torch.equal(2 * dark.render(scene, [camera]).color, bright.render(scene, [camera]).color)
