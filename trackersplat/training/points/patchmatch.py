"""PatchMatch stereo with slanted windows: depth maps between views too far apart for planes that face the camera.

After Bleyer et al. 2011 and Schönberger et al. 2016: every pixel has a plane of its own, neighbours try each other's planes, random
changes refine them. A plane is an inverse depth that is affine in the pixel (which is what a plane in space is for a pinhole camera), so
that the patch is compared as another view really sees it, even from the side.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numba
import numpy as np

from trackersplat.training.points.settings import PatchMatchSettings
from trackersplat.training.points.sweep import DepthMap, View, homography

HALF, STRIDE = 4, 2  # pixels: half side of the window and distance of its samples; they fix the loops of the kernels


def patchmatch(reference: View, others: Sequence[View], near: float, far: float, settings: PatchMatchSettings, seed: int) -> DepthMap:
    """The depth map of ``reference`` between ``near`` and ``far``, and the mismatch (1 - correlation) / 2 of its patches."""
    floor = settings.flat * settings.flat
    rules = (settings.similar, floor, settings.steepest, settings.few)
    random = np.random.default_rng(seed)
    lowest, highest = 1 / far, 1 / near
    planes = np.zeros((0, 0, 3))
    cost = np.zeros((0, 0), dtype=np.float32)
    for level in range(settings.levels):
        scale = 0.5 ** (settings.levels - 1 - level)
        ref, rest = _resized(reference, scale), [_resized(other, scale) for other in others]
        h, w = ref.gray.shape
        maps = [homography(ref.camera, other.camera) for other in rest]
        a, b = np.stack([m[0] for m in maps]), np.stack([m[1] for m in maps])
        size = np.array([other.gray.shape for other in rest])
        grays = np.zeros((len(rest), *size.max(axis=0)), dtype=np.float32)
        for i, other in enumerate(rest):
            grays[i, : size[i, 0], : size[i, 1]] = other.gray
        args = (ref.gray, grays, size, a, b, lowest, highest, *rules)
        if level == 0:
            planes = np.zeros((h, w, 3))
            cost = np.full((h, w), np.float32(np.inf))
            for _ in range(settings.tries):
                _try_random(*args, random.uniform(lowest, highest, (h, w)), random.normal(size=(h, w, 2)), planes, cost)
        else:
            planes = np.stack([cv2.resize(planes[..., i], (w, h), interpolation=cv2.INTER_NEAREST) for i in range(3)], axis=-1)
            planes[..., 1:] *= 0.5
            cost = np.full((h, w), np.float32(np.inf))
        for turn in range(settings.rounds[level]):
            amount = 0.5 ** (turn + 1 + 2 * level)
            _improve(*args, random.normal(size=(h, w, 3)), amount, turn % 2 == 1, turn == 0, planes, cost)
    depth = 1 / np.clip(planes[..., 0], lowest, highest)
    return DepthMap(depth.astype(np.float32), np.clip(cost / 2, 0, 1))


def _resized(view: View, scale: float) -> View:
    if scale == 1:
        return view
    h, w = (max(1, round(n * scale)) for n in view.gray.shape)
    return View(view.camera.resized(w, h), cv2.resize(view.gray, (w, h), interpolation=cv2.INTER_AREA))


@numba.njit(cache=True, nogil=True)
def _try_random(gray, others, size, a, b, lowest, highest, similar, floor, steepest, few, inverse, slope, planes, cost):  # type: ignore[no-untyped-def]
    h, w = gray.shape
    weight, patch = np.empty(256), np.empty(256)
    for y in range(h):
        for x in range(w):
            count = _prepare(gray, x, y, similar, floor, weight, patch)
            if count == 0:
                cost[y, x] = 1.0
                planes[y, x, 0] = inverse[y, x]
                continue
            p = inverse[y, x]
            steep = p / w * steepest
            value = _cost(
                others, size, a, b, x, y, p, slope[y, x, 0] * steep, slope[y, x, 1] * steep, lowest, highest, floor, few, weight, patch
            )
            if value < cost[y, x]:
                cost[y, x] = value
                planes[y, x, 0], planes[y, x, 1], planes[y, x, 2] = p, slope[y, x, 0] * steep, slope[y, x, 1] * steep


@numba.njit(cache=True, nogil=True)
def _improve(gray, others, size, a, b, lowest, highest, similar, floor, steepest, few, noise, amount, backwards, anew, planes, cost):  # type: ignore[no-untyped-def]
    """One pass over the image: planes of the two neighbours before, then two random changes, each kept where it matches better."""
    h, w = gray.shape
    weight, patch = np.empty(256), np.empty(256)
    step = -1 if backwards else 1
    for row in range(h):
        y = h - 1 - row if backwards else row
        for column in range(w):
            x = w - 1 - column if backwards else column
            if _prepare(gray, x, y, similar, floor, weight, patch) == 0:
                cost[y, x] = 1.0
                # a flat patch takes over its neighbour's plane
                if 0 <= x - step < w:
                    planes[y, x] = planes[y, x - step]
                    planes[y, x, 0] += step * planes[y, x, 1]
                continue
            if anew:
                cost[y, x] = _cost(
                    others, size, a, b, x, y, planes[y, x, 0], planes[y, x, 1], planes[y, x, 2], lowest, highest, floor, few, weight, patch
                )
            for k in range(4):
                if k == 0:
                    if not 0 <= x - step < w:
                        continue
                    q = planes[y, x - step]
                    p0, p1, p2 = q[0] + step * q[1], q[1], q[2]
                elif k == 1:
                    if not 0 <= y - step < h:
                        continue
                    q = planes[y - step, x]
                    p0, p1, p2 = q[0] + step * q[2], q[1], q[2]
                else:
                    change = amount * (1.0 if k == 2 else 0.25)
                    own = planes[y, x]
                    steep = own[0] / w * steepest * change
                    p0 = own[0] + noise[y, x, 0] * change * 0.5 * (highest - lowest) * (1.0 if k == 2 else 0.2)
                    p1 = own[1] + noise[y, x, 1] * steep * (1.0 if k == 2 else -1.0)
                    p2 = own[2] + noise[y, x, 2] * steep
                value = _cost(others, size, a, b, x, y, p0, p1, p2, lowest, highest, floor, few, weight, patch)
                if value < cost[y, x]:
                    cost[y, x] = value
                    planes[y, x, 0], planes[y, x, 1], planes[y, x, 2] = p0, p1, p2


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _prepare(gray, x, y, similar, floor, weight, patch):  # type: ignore[no-untyped-def]
    """Bilateral weights of the samples around a pixel and its weighted, centred, normalised patch; 0 where that is flat."""
    h, w = gray.shape
    middle = gray[y, x]
    i, total, mean = 0, 0.0, 0.0
    for dy in range(-HALF, HALF + 1, STRIDE):
        for dx in range(-HALF, HALF + 1, STRIDE):
            v, u = min(max(y + dy, 0), h - 1), min(max(x + dx, 0), w - 1)
            value = gray[v, u]
            k = np.exp(-abs(value - middle) / similar - (dx * dx + dy * dy) / (2.0 * HALF * HALF))
            weight[i], patch[i] = k, value
            total += k
            mean += k * value
            i += 1
    mean /= total
    variance = 0.0
    for j in range(i):
        weight[j] /= total
        patch[j] -= mean
        variance += weight[j] * patch[j] * patch[j]
    if variance < floor:
        return 0
    scale = 1 / np.sqrt(variance)
    for j in range(i):
        patch[j] *= scale
    return i


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _cost(others, size, a, b, x, y, p0, p1, p2, lowest, highest, floor, few, weight, patch):  # type: ignore[no-untyped-def]
    """1 - weighted correlation with the view, or the two views, that agree best; 1 where none sees the patch."""
    if not lowest <= p0 <= highest:
        return 2.0
    best, second = 1.0, 1.0
    for k in range(others.shape[0]):
        ak, bk = a[k], b[k]
        rows, columns = size[k, 0], size[k, 1]
        i, mean, square, product, seen = 0, 0.0, 0.0, 0.0, True
        for dy in range(-HALF, HALF + 1, STRIDE):
            for dx in range(-HALF, HALF + 1, STRIDE):
                u, v = x + dx + 0.5, y + dy + 0.5
                p = p0 + p1 * dx + p2 * dy
                z = ak[2, 0] * u + ak[2, 1] * v + ak[2, 2] + p * bk[2]
                if z <= 1e-6:
                    seen = False
                    break
                s = (ak[0, 0] * u + ak[0, 1] * v + ak[0, 2] + p * bk[0]) / z - 0.5
                t = (ak[1, 0] * u + ak[1, 1] * v + ak[1, 2] + p * bk[1]) / z - 0.5
                if not (0 <= s < columns - 1 and 0 <= t < rows - 1):
                    seen = False
                    break
                c, r = int(s), int(t)
                f, g = s - c, t - r
                top = others[k, r, c] * (1 - f) + others[k, r, c + 1] * f
                bottom = others[k, r + 1, c] * (1 - f) + others[k, r + 1, c + 1] * f
                value = top * (1 - g) + bottom * g
                mean += weight[i] * value
                square += weight[i] * value * value
                product += weight[i] * value * patch[i]
                i += 1
            if not seen:
                break
        if not seen:
            continue
        variance = max(square - mean * mean, floor)
        mismatch = 1.0 - product / np.sqrt(variance)
        if mismatch < best:
            best, second = mismatch, best
        elif mismatch < second:
            second = mismatch
    return best if others.shape[0] <= few else 0.5 * (best + second)
