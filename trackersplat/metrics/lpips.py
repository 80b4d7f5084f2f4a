"""LPIPS (Zhang et al. 2018, version 0.1): how it is computed.

Features of an ImageNet network at five depths, scaled to unit length over the channels; their squared differences, weighted by the
trained linear heads, are averaged over the pixels and summed over the depths. Over a mask, the differences of each depth are first
resized (bilinearly) to the image, as the package ``lpips`` does with ``spatial=True``, and the mean is taken over the mask's pixels.

The column ``lpips`` is what tables of the 3DGS family report: VGG-16, images in [0, 1] given to the network as they are (3DGS does not
map them to [-1, 1]). ``lpips_alex`` is AlexNet as the package ``lpips`` describes it: images mapped to [-1, 1].

The networks are written out here with torchvision's layer layout, so that torchvision itself is not needed. Their weights are read from
files (see `metrics.measure`), the heads from the package ``lpips``, which is not imported.
"""

from __future__ import annotations

import importlib.util
import pickle
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.metrics.metric import ImageBatch, full_precision, region_means
from trackersplat.metrics.registry import METRICS

PIXELS_AT_ONCE = 1 << 20  # memory budget: of the images that go through the network together
SHIFT = (-0.030, -0.088, -0.188)  # mean and standard deviation of ImageNet's colours in [-1, 1], as the heads were trained
SCALE = (0.458, 0.448, 0.450)
EPSILON = 1e-10  # keeps the length of no features from dividing by zero


@dataclass(frozen=True)
class Convolution:
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 1


@dataclass(frozen=True)
class Pool:
    kernel: int
    stride: int = 2


class Relu:
    """max(x, 0)."""


Layer = Convolution | Pool | Relu


@dataclass(frozen=True)
class Network:
    """The convolutional part of a torchvision network; a layer's index is its number in ``features.<index>.weight``."""

    metric: str  # that it belongs to, whose facts name the file of the weights
    heads: str  # file in lpips/weights/v0.1
    layers: tuple[Layer, ...]
    taps: tuple[int, ...]  # layers whose output is compared
    lowest: float  # value of black at its input: 0, or -1 if images are mapped to [-1, 1]
    smallest: int  # pixels: shorter sides leave nothing for the last layers


def _vgg16_layers() -> tuple[Layer, ...]:
    layers: list[Layer] = []
    inputs = 3
    for block, outputs in enumerate((64, 128, 256, 512, 512)):
        layers += [Pool(2)] if block else []
        for _ in range(2 if block < 2 else 3):
            layers += [Convolution(inputs, outputs, 3), Relu()]
            inputs = outputs
    return tuple(layers)


VGG16 = Network("lpips", "vgg.pth", _vgg16_layers(), (3, 8, 15, 22, 29), lowest=0.0, smallest=16)
ALEXNET = Network(
    "lpips_alex",
    "alex.pth",
    (
        *(Convolution(3, 64, 11, stride=4, padding=2), Relu(), Pool(3)),
        *(Convolution(64, 192, 5, padding=2), Relu(), Pool(3)),
        *(Convolution(192, 384, 3), Relu(), Convolution(384, 256, 3), Relu(), Convolution(256, 256, 3), Relu()),
    ),
    (1, 4, 7, 9, 11),
    lowest=-1.0,
    smallest=31,
)


def lpips_vgg(batch: ImageBatch) -> Tensor:
    """See `metrics.metric.Metric`; nan for images below 16 pixels."""
    return _lpips(VGG16, batch)


def lpips_alex(batch: ImageBatch) -> Tensor:
    """See `metrics.metric.Metric`; nan for images below 31 pixels."""
    return _lpips(ALEXNET, batch)


def _lpips(network: Network, batch: ImageBatch) -> Tensor:
    count, height, width, _ = batch.images.shape
    device = batch.images.device
    result = torch.full((len(batch.regions), count), torch.nan, dtype=torch.float64, device=device)
    if min(height, width) < network.smallest:
        return result
    weights, heads = _parameters(network, batch.weights, device)
    step = max(1, PIXELS_AT_ONCE // (height * width))
    with full_precision(device):
        for start in range(0, count, step):
            part = slice(start, start + step)
            regions = tuple(None if region is None else region[part] for region in batch.regions)
            piece = ImageBatch(batch.images[part], batch.references[part], regions, batch.weights)
            features = zip(_features(network, weights, piece.images), _features(network, weights, piece.references), strict=True)
            differences = [((a - b).square_() * head).sum(1, keepdim=True) for (a, b), head in zip(features, heads, strict=True)]
            result[:, part] = _averages(differences, piece)
    return result


def _averages(differences: list[Tensor], batch: ImageBatch) -> Tensor:
    """(R, C) from the differences (C, 1, h, w) of each depth."""
    rows = []
    if any(region is not None for region in batch.regions):
        size = batch.images.shape[1:3]
        resized = [F.interpolate(part, size=size, mode="bilinear", align_corners=False)[:, 0] for part in differences]
        rows = list(region_means(torch.stack(resized).sum(0), batch))
    whole = torch.stack([part.mean((1, 2, 3)) for part in differences]).sum(0).double()
    return torch.stack([whole if region is None else rows[row] for row, region in enumerate(batch.regions)])


def _features(network: Network, weights: dict[int, tuple[Tensor, Tensor]], images: Tensor) -> list[Tensor]:
    """Unit-length features (C, F, h, w) at the taps for images (C, H, W, 3) in [0, 1]."""
    shift, scale = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (SHIFT, SCALE))
    x = (images.permute(0, 3, 1, 2) * (1 - network.lowest) + network.lowest - shift) / scale
    found = []
    for index, layer in enumerate(network.layers):
        match layer:
            case Convolution():
                x = F.conv2d(x, *weights[index], stride=layer.stride, padding=layer.padding)
            case Pool():
                x = F.max_pool2d(x, layer.kernel, layer.stride)
            case Relu():
                x = F.relu(x)
        if index in network.taps:
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + EPSILON))
    return found


@lru_cache(maxsize=4)
def _parameters(network: Network, folder: Path, device: torch.device) -> tuple[dict[int, tuple[Tensor, Tensor]], list[Tensor]]:
    """Weights and biases of the convolutions by layer, and the heads (1, F, 1, 1). Raises InputError if a file is not what it should be."""
    path = folder / METRICS.facts(network.metric).weights_file
    state = _read(path)
    convolutions = {index: layer for index, layer in enumerate(network.layers) if isinstance(layer, Convolution)}
    weights = {}
    for index, layer in convolutions.items():
        kernel = (layer.outputs, layer.inputs, layer.kernel, layer.kernel)
        weights[index] = (
            _tensor(path, state, f"features.{index}.weight", kernel, device),
            _tensor(path, state, f"features.{index}.bias", (layer.outputs,), device),
        )
    heads_path = _heads_folder() / network.heads
    state = _read(heads_path)
    channels = [max(index for index in convolutions if index < tap) for tap in network.taps]  # the convolution before each tap
    heads = [
        _tensor(heads_path, state, f"lin{depth}.model.1.weight", (1, convolutions[index].outputs, 1, 1), device)
        for depth, index in enumerate(channels)
    ]
    return weights, heads


def _heads_folder() -> Path:
    """Inside the package ``lpips``, which is not imported: it needs torchvision."""
    spec = importlib.util.find_spec("lpips")
    if spec is None or spec.origin is None:
        raise InputError("The package lpips, which holds the heads of LPIPS, is not installed: pip install '.[lpips]' in the clone.")
    return Path(spec.origin).parent / "weights" / "v0.1"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): check the file and its permissions.") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).partition("\n")[0][:120] or type(error).__name__
        raise InputError(f"{path} is not a file of weights ({reason}): download it again.") from error
    if not isinstance(state, dict):
        raise InputError(f"{path} holds a {type(state).__name__}, expected the weights of a network by name: download it again.")
    return state


def _tensor(path: Path, state: dict[str, Tensor], name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    tensor = state.get(name)
    if not isinstance(tensor, Tensor) or tuple(tensor.shape) != shape or not bool(torch.isfinite(tensor).all()):
        raise InputError(
            f"{path} lacks finite weights {name} of shape {shape}: another network's file or a damaged one; download it again."
        )
    return tensor.detach().to(device=device, dtype=torch.float32)
