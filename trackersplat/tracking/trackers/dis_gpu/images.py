"""Batches of images, their pyramids and sampling. Positions are array indices, (x, y), with 0 at the centre of the first pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, interpolate, pad

from trackersplat.geometry.devices import has_triton

_LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue in brightness (ITU-R BT.601)
_ZERO_GRADIENT = 128  # the value that stands for it in `Images.packed`
CHANNELS = 5  # of `Images.packed` that are used
LANES = 8  # bytes per pixel there


@dataclass(frozen=True, eq=False)
class Images:
    """B images of one size, and what is made of them on demand."""

    rgb: Tensor  # (B, 3, H, W) uint8
    brightness: Tensor | None = None  # (B, H, W) float32 before `rgb` was rounded, where that is known

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rgb.shape[2], self.rgb.shape[3]

    @cached_property
    def gray(self) -> Tensor:
        """(B, H, W) float32."""
        return gray(self.rgb) if self.brightness is None else self.brightness

    @cached_property
    def half(self) -> Images:
        """Means of 2x2 pixels; the last row and column stand twice where their number is odd."""
        if has_triton(self.rgb):
            from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

            return Images(*fused.halved(self.rgb, self.gray))
        return self._half_elementwise()

    def _half_elementwise(self) -> Images:
        height, width = self.size
        margins = (0, width % 2, 0, height % 2)
        colours = avg_pool2d(pad(self.rgb.float(), margins, mode="replicate"), 2)
        bright = avg_pool2d(pad(self.gray[:, None], margins, mode="replicate"), 2)[:, 0]
        return Images(colours.round_().byte(), bright)

    @cached_property
    def packed(self) -> Tensor:
        """(B, H, W, 8) uint8: RGB, the differences of brightness between the next and the last pixel in x and in y, and nothing."""
        if has_triton(self.rgb):
            from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

            return fused.packed(self.rgb, self.gray, LANES, _ZERO_GRADIENT)
        return self._packed_elementwise()

    def _packed_elementwise(self) -> Tensor:
        batch, (height, width) = len(self.rgb), self.size
        result = self.rgb.new_zeros(batch, height, width, LANES)
        result[..., :3] = self.rgb.permute(0, 2, 3, 1)
        for channel, slope in enumerate(slopes(self.gray), 3):
            result[..., channel] = (slope + _ZERO_GRADIENT).clamp_(0, 255).round_().byte()
        return result


def images_of(frames: Tensor) -> Images:
    """Of (B, H, W, 3) uint8."""
    if has_triton(frames):
        from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

        return Images(*fused.planes(frames, _LUMA))
    return Images(frames.permute(0, 3, 1, 2).contiguous())


def joined(first: Images, second: Images) -> Images:
    """The images of two batches, one after the other."""
    return Images(torch.cat((first.rgb, second.rgb)), torch.cat((first.gray, second.gray)))


def gray(rgb: Tensor) -> Tensor:
    """(B, H, W) float32 brightness of (B, 3, H, W)."""
    red, green, blue = (weight * rgb[:, channel] for channel, weight in enumerate(_LUMA))
    return red + green + blue


def slopes(values: Tensor) -> tuple[Tensor, Tensor]:
    """The differences (B, H, W) between the next and the last pixel of (B, H, W), in x and in y; continued beyond the border."""
    padded = pad(values[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    return padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """(2, H, W) float32 array indices (x, y) of the pixels."""
    columns = torch.arange(width, dtype=torch.float32, device=device).expand(height, width)
    rows = torch.arange(height, dtype=torch.float32, device=device)[:, None].expand(height, width)
    return torch.stack((columns, rows))


def sample(values: Tensor, at: Tensor, *, cubic: bool = False) -> Tensor:
    """Bilinear, or bicubic, ``values`` (B, C, H, W) at array indices ``at`` (B, 2, h, w), continued beyond the border: (B, C, h, w)."""
    height, width = values.shape[2:]
    scale = at.new_tensor((2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)))
    places = at.permute(0, 2, 3, 1) * scale - 1.0
    return grid_sample(values, places, mode="bicubic" if cubic else "bilinear", padding_mode="border", align_corners=True)


def doubled(values: Tensor, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """(B, C, *size) of values (B, C, h, w) of half the size, times the ``scale``."""
    if has_triton(values):
        from trackersplat.tracking.trackers.dis_gpu import images_triton as fused

        return fused.doubled(values.contiguous(), size, scale)
    return _doubled_elementwise(values, size, scale)


def _doubled_elementwise(values: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    return scale * interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)[..., : size[0], : size[1]]
