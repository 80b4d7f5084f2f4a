"""score_images gives the values of the plain functions, on every device and for every region."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trackersplat.errors import InputError, ShapeError
from trackersplat.metrics.image import psnr, ssim, ssim_map
from trackersplat.metrics.measure import score_images, unavailable
from trackersplat.metrics.registry import METRICS, MetricFacts

DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")])]


def image_pairs(sizes: tuple[tuple[int, int], ...] = ((40, 52), (33, 47), (40, 52))) -> tuple[list[Tensor], list[Tensor]]:
    random = np.random.default_rng(5)
    references = [torch.from_numpy(random.random((*size, 3)).astype(np.float32)) for size in sizes]
    noise = [torch.from_numpy((0.2 * random.standard_normal(r.shape)).astype(np.float32)) for r in references]
    return [r + n for r, n in zip(references, noise, strict=True)], references  # some values are outside [0, 1]


def random_masks(images: list[Tensor]) -> list[np.ndarray]:
    random = np.random.default_rng(6)
    return [random.random(tuple(image.shape[:2])) < 0.3 for image in images]


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_has_the_values_of_its_images(device: str) -> None:
    images, references = image_pairs()
    masks = random_masks(images)
    dynamic = [~mask for mask in masks]
    scores = score_images(
        [image.to(device) for image in images],
        [reference.to(device) for reference in references],
        ("psnr", "ssim"),
        masks,
        [torch.from_numpy(mask).to(device) for mask in dynamic],
    )
    assert list(scores) == ["psnr", "masked_psnr", "dynamic_psnr", "ssim", "masked_ssim", "dynamic_ssim"]
    for name, plain in (("psnr", psnr), ("ssim", ssim)):
        for prefix, chosen in (("", [None] * 3), ("masked_", masks), ("dynamic_", dynamic)):
            expected = [plain(a, b, mask) for a, b, mask in zip(images, references, chosen, strict=True)]
            np.testing.assert_allclose(scores[prefix + name], expected, rtol=0, atol=1e-5, err_msg=prefix + name)  # type: ignore[arg-type]


def test_the_form_of_ssim_for_the_gpu_agrees_with_that_for_the_cpu() -> None:
    images, references = image_pairs(((40, 52),))
    planes = (image[0].clamp(0, 1).permute(2, 0, 1)[None] for image in (images, references))
    assert float(ssim_map(*planes).mean()) == pytest.approx(ssim(images[0], references[0]), abs=1e-5)


def test_images_of_bytes_are_compared_in_units_of_255() -> None:
    reference = torch.zeros(16, 16, 3, dtype=torch.uint8)
    scores = score_images([reference + 51], [reference], ("psnr",))
    assert scores["psnr"] == [pytest.approx(20 * np.log10(5), abs=1e-5)]


def test_an_image_without_a_mask_or_without_pixels_in_it_has_no_masked_value() -> None:
    images, references = image_pairs()
    mask = random_masks(images)[2]
    scores = score_images(images, references, ("psnr",), masks=[None, np.zeros((33, 47), bool), mask])
    assert scores["masked_psnr"][:2] == [None, None]
    assert scores["masked_psnr"][2] == pytest.approx(psnr(images[2], references[2], mask), abs=1e-5)


def test_what_does_not_fit_together_is_refused() -> None:
    images, references = image_pairs()
    with pytest.raises(ShapeError, match="3 images and 2 references"):
        score_images(images, references[:2], ("psnr",))
    with pytest.raises(ShapeError, match="one shape"):
        score_images(images, references[::-1][:1] + references[:2], ("psnr",))
    with pytest.raises(ShapeError, match="masks must be bool"):
        score_images(images, references, ("psnr",), masks=[np.ones((2, 2), bool)] * 3)
    with pytest.raises(ShapeError, match="2 dynamic for 3 images"):
        score_images(images, references, ("psnr",), dynamic=[None, None])
    with pytest.raises(InputError, match="There is no metric named 'vmaf'"):
        score_images(images, references, ("vmaf",))


def test_a_metric_that_lacks_its_weights_says_which_file_goes_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lpips.py").touch()  # stands for the package
    monkeypatch.syspath_prepend(str(tmp_path))
    found = unavailable(tmp_path)
    assert found == {
        "lpips": f"vgg16-397923af.pth is not in {tmp_path}: "
        "download https://download.pytorch.org/models/vgg16-397923af.pth and put it there",
        "lpips_alex": f"alexnet-owt-7be5be79.pth is not in {tmp_path}: "
        "download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth and put it there",
    }
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert f"is not in {tmp_path / 'hub' / 'checkpoints'}" in unavailable()["lpips"]
    images, references = image_pairs()
    with pytest.raises(InputError, match=r"The metric lpips cannot be computed: vgg16-397923af\.pth is not in"):
        score_images(images, references, ("lpips",), weights=tmp_path)


def test_a_metric_whose_package_is_missing_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert unavailable(tmp_path)["lpips"] == "package lpips not installed: pip install '.[lpips]' in the clone"


def test_the_registry_and_the_names_are_read_without_torch() -> None:
    code = "import sys; import trackersplat.metrics.names; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_metric_is_added_with_one_file_and_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mean_error.py").write_text(
        "from trackersplat.metrics.metric import region_means\n"
        "def mean_error(batch):\n"
        "    return region_means((batch.images - batch.references).abs(), batch)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))
    METRICS.add(MetricFacts("l1", "mean absolute error", "mean_error:mean_error", label="L1", higher_is_better=False))
    reference = torch.full((8, 8, 3), 0.5)
    image = reference.clone()
    image[:4] += 0.25
    mask = np.zeros((8, 8), bool)
    mask[:2] = True
    assert score_images([image], [reference], ("l1",), masks=[mask]) == {"l1": [0.125], "masked_l1": [0.25]}
