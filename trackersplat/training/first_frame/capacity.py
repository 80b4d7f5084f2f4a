"""How many Gaussians the training pixels support and the device's memory holds."""

from __future__ import annotations

# Memory budgets
MEMORY_SHARE = 0.7  # of what is free; the rest is for what others take meanwhile
COPIES = 8  # of the parameters: themselves, their gradients, two moments, and all of these but gradients again while they are rebuilt
PER_GAUSSIAN = 1200  # bytes beside: the splat, its gradient, and its entries in the sorted lists of tiles
PER_PIXEL = 400  # bytes of the largest view while it is rendered and compared: blurred planes of the SSIM and their gradients


def bytes_needed(count: int, sh_degree: int, image_pixels: int, training_pixels: int) -> int:
    """Device memory of an optimisation of ``count`` Gaussians, in bytes, roughly and rather too much.

    ``image_pixels``: of the largest view, of which one is rendered at a time; ``training_pixels``: of all, whose images stay on the device.
    """
    parameters = 4 * (3 + 4 + 3 + 1 + 3 * (sh_degree + 1) ** 2)
    return count * (COPIES * parameters + PER_GAUSSIAN) + image_pixels * PER_PIXEL + 3 * training_pixels


def most_gaussians(free: int, sh_degree: int, image_pixels: int, training_pixels: int) -> int:
    """The largest count that `bytes_needed` finds room for in MEMORY_SHARE of ``free`` bytes; 0 if the images alone do not fit."""
    fixed = bytes_needed(0, sh_degree, image_pixels, training_pixels)
    each = bytes_needed(1, sh_degree, 0, 0)
    return max(int(MEMORY_SHARE * free - fixed) // each, 0)
