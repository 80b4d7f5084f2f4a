"""LPIPS against an independent network, and against the package lpips where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trackersplat.errors import InputError
from trackersplat.metrics import lpips as ours
from trackersplat.metrics.measure import score_images

HAS_PACKAGE = importlib.util.find_spec("lpips") is not None
FILES = {"lpips": "vgg16-397923af.pth", "lpips_alex": "alexnet-owt-7be5be79.pth"}
PACKAGE_NAMES = {"lpips": "vgg", "lpips_alex": "alex"}
HEAD_CHANNELS = {"lpips": (64, 128, 256, 512, 512), "lpips_alex": (64, 192, 384, 256, 256)}


def alexnet() -> nn.Module:
    """The layout of torchvision's AlexNet, without what follows the convolutions."""
    features = nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, 1, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, 1, 1), nn.ReLU(), nn.Conv2d(384, 256, 3, 1, 1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    )
    return nn.ModuleDict({"features": features})


def vgg16() -> nn.Module:
    """The same of torchvision's VGG-16."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if not outputs:
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
        inputs = outputs
    return nn.ModuleDict({"features": nn.Sequential(*layers)})


NETWORKS: dict[str, Callable[[], nn.Module]] = {"lpips": vgg16, "lpips_alex": alexnet}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with random weights of both networks, under the names of torchvision's files."""
    folder = tmp_path_factory.mktemp("weights")
    state = torch.get_rng_state()
    for seed, (metric, file) in enumerate(FILES.items()):
        torch.manual_seed(seed)
        torch.save(NETWORKS[metric]().state_dict(), folder / file)
    torch.set_rng_state(state)
    return folder


@pytest.fixture
def heads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package "lpips" that holds random heads alone and cannot be imported."""
    folder = tmp_path / "package" / "lpips" / "weights" / "v0.1"
    folder.mkdir(parents=True)
    (tmp_path / "package" / "lpips" / "__init__.py").write_text("raise ImportError('torchvision')\n")
    generator = torch.Generator().manual_seed(7)
    for metric, channels in HEAD_CHANNELS.items():
        state = {f"lin{i}.model.1.weight": torch.rand(1, count, 1, 1, generator=generator) for i, count in enumerate(channels)}
        torch.save(state, folder / f"{PACKAGE_NAMES[metric]}.pth")
    monkeypatch.syspath_prepend(str(tmp_path / "package"))
    monkeypatch.delitem(sys.modules, "lpips", raising=False)
    ours._parameters.cache_clear()
    yield folder
    ours._parameters.cache_clear()


def image_pairs(count: int = 3, height: int = 33, width: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    references = torch.rand(count, height, width, 3, generator=generator)
    return (references + 0.3 * torch.randn(references.shape, generator=generator)).clamp(0, 1), references


def written_out(metric: str, weights: Path, heads: Path, image: Tensor, reference: Tensor, mask: np.ndarray | None = None) -> float:
    """The definition, with modules of torch."""
    features = NETWORKS[metric]()
    features.load_state_dict(torch.load(weights / FILES[metric]))
    layers = features["features"]  # type: ignore[index]
    linear = torch.load(heads / f"{PACKAGE_NAMES[metric]}.pth")
    taps = {"lpips": (3, 8, 15, 22, 29), "lpips_alex": (1, 4, 7, 9, 11)}[metric]
    total, depth = 0.0, 0
    a, b = (x.permute(2, 0, 1)[None] for x in (image, reference))
    if metric == "lpips_alex":
        a, b = 2 * a - 1, 2 * b - 1
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1), torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)
    a, b = (a - shift) / scale, (b - shift) / scale
    for index, layer in enumerate(layers[: taps[-1] + 1]):
        a, b = layer(a), layer(b)
        if index in taps:
            difference = (nn.functional.normalize(a, dim=1) - nn.functional.normalize(b, dim=1)) ** 2
            weighted = (difference * linear[f"lin{depth}.model.1.weight"]).sum(1)
            if mask is not None:
                weighted = nn.functional.interpolate(weighted[None], size=mask.shape, mode="bilinear", align_corners=False)[0]
            total += float(weighted.mean() if mask is None else weighted[0][torch.from_numpy(mask)].mean())
            depth += 1
    return total


@pytest.mark.parametrize("metric", ["lpips", "lpips_alex"])
def test_values_are_those_of_the_definition(metric: str, weights: Path, heads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "PIXELS_AT_ONCE", 2 * 33 * 40)  # two passes through the network
    images, references = image_pairs()
    mask = np.random.default_rng(0).random((33, 40)) < 0.2
    before = torch.get_rng_state()
    scores = score_images(images, references, (metric,), masks=[mask, None, mask], weights=weights)
    assert torch.equal(before, torch.get_rng_state())
    with torch.no_grad():
        expected = [written_out(metric, weights, heads, a, b) for a, b in zip(images, references, strict=True)]
        masked = [written_out(metric, weights, heads, images[i], references[i], mask) for i in (0, 2)]
    np.testing.assert_allclose(scores[metric], expected, rtol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose([scores[f"masked_{metric}"][i] for i in (0, 2)], masked, rtol=1e-5)
    assert scores[f"masked_{metric}"][1] is None
    assert min(expected) > 1e-3


def test_equal_images_are_at_no_distance_and_too_small_ones_have_none(weights: Path, heads: Path) -> None:
    _, references = image_pairs()
    assert score_images(references, references, ("lpips",), weights=weights)["lpips"] == [0.0, 0.0, 0.0]
    assert score_images(references[:, :30], references[:, :30], ("lpips", "lpips_alex"), weights=weights)["lpips_alex"] == [None] * 3


def test_the_smallest_images_pass_through_the_networks(weights: Path, heads: Path) -> None:
    for network in (ours.VGG16, ours.ALEXNET):
        images, references = image_pairs(1, network.smallest, network.smallest)
        assert score_images(images, references, (network.metric,), weights=weights)[network.metric][0] is not None


@pytest.mark.parametrize("content", [b"", b"no weights", "other", "list"])
def test_a_file_that_does_not_hold_the_weights_is_named(tmp_path: Path, heads: Path, content: bytes | str) -> None:
    file = tmp_path / FILES["lpips"]
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save({"other": alexnet().state_dict(), "list": [1, 2]}[content], file)
    images, references = image_pairs(1)
    with pytest.raises(InputError, match=r"vgg16-397923af\.pth .*download it again"):
        score_images(images, references, ("lpips",), weights=tmp_path)


@pytest.mark.skipif(not HAS_PACKAGE, reason="the package lpips is not installed (pip install --no-deps lpips)")
@pytest.mark.parametrize("metric", ["lpips", "lpips_alex"])
def test_values_are_those_of_the_package_lpips(metric: str, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours._parameters.cache_clear()

    def loaded(name: str) -> Callable[..., types.SimpleNamespace]:
        def build(pretrained: bool = False) -> types.SimpleNamespace:
            network = NETWORKS[name]()
            network.load_state_dict(torch.load(weights / FILES[name]))
            return types.SimpleNamespace(features=network["features"])  # type: ignore[index]

        return build

    # torchvision need not be installed: the package only takes these networks from it
    torchvision, models = types.ModuleType("torchvision"), types.ModuleType("torchvision.models")
    models.vgg16, models.alexnet = loaded("lpips"), loaded("lpips_alex")  # type: ignore[attr-defined]
    torchvision.models = models  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    package = importlib.import_module("lpips")
    images, references = image_pairs()
    mask = np.random.default_rng(0).random((33, 40)) < 0.2
    scores = score_images(images, references, (metric,), masks=[mask] * 3, weights=weights)
    a, b = images.permute(0, 3, 1, 2), references.permute(0, 3, 1, 2)
    normalize = metric == "lpips_alex"
    with torch.no_grad():
        expected = package.LPIPS(net=PACKAGE_NAMES[metric], verbose=False)(a, b, normalize=normalize).view(-1)
        spatial = package.LPIPS(net=PACKAGE_NAMES[metric], verbose=False, spatial=True)(a, b, normalize=normalize)[:, 0]
    np.testing.assert_allclose(scores[metric], expected, atol=1e-5, rtol=0)  # type: ignore[arg-type]
    masked = [float(part[torch.from_numpy(mask)].mean()) for part in spatial]
    np.testing.assert_allclose(scores[f"masked_{metric}"], masked, atol=1e-5, rtol=0)  # type: ignore[arg-type]
