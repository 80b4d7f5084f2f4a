"""The image metrics by name. Listing them imports nothing of what they need."""

from __future__ import annotations

from dataclasses import dataclass

from trackersplat.registry import Facts, Registry


@dataclass(frozen=True)
class MetricFacts(Facts):
    """``load`` names a `metrics.metric.Metric`."""

    label: str = ""  # heading of a column
    unit: str = ""
    how: str = ""  # what to know when scores are compared with published ones, as the rest of a sentence
    digits: int = 2  # after the decimal point, for people
    higher_is_better: bool = True
    weights_url: str = ""  # of the network it needs; the file is never fetched, but looked for under its name (see metrics.measure)

    @property
    def weights_file(self) -> str:
        return self.weights_url.rpartition("/")[2]


_TORCH_WEIGHTS = "https://download.pytorch.org/models/"
_LPIPS_LICENCE = "BSD-2-Clause (lpips), BSD-3-Clause (weights of torchvision)"

METRICS: Registry[MetricFacts] = Registry(
    "metric",
    (
        MetricFacts(
            "psnr",
            "peak signal-to-noise ratio",
            "trackersplat.metrics.image:psnr_metric",
            label="PSNR",
            unit="dB",
            how=(
                "of renderings before they are rounded to 8 bits, over all pixels and channels at once. Rounded, it is 0.006 to 0.017 dB "
                "lower; the mean over the channels' PSNR, as in the code of 3DGS, is 0.02 to 0.06 dB higher."
            ),
        ),
        MetricFacts("ssim", "structural similarity, in the form of 3DGS", "trackersplat.metrics.image:ssim_metric", label="SSIM", digits=3),
        MetricFacts(
            "lpips",
            "learned perceptual distance by VGG-16, in the form of 3DGS",
            "trackersplat.metrics.lpips:lpips_vgg",
            packages=("lpips",),
            extra="lpips",
            licence=_LPIPS_LICENCE,
            label="LPIPS",
            digits=3,
            higher_is_better=False,
            weights_url=_TORCH_WEIGHTS + "vgg16-397923af.pth",
        ),
        MetricFacts(
            "lpips_alex",
            "learned perceptual distance by AlexNet",
            "trackersplat.metrics.lpips:lpips_alex",
            packages=("lpips",),
            extra="lpips",
            licence=_LPIPS_LICENCE,
            label="LPIPS Alex",
            digits=3,
            higher_is_better=False,
            weights_url=_TORCH_WEIGHTS + "alexnet-owt-7be5be79.pth",
        ),
    ),
)
