"""Robust triangulation of points of which every view offers several candidates, some of them wrong.

The best point of all pairs of candidates of the most certain views (RANSAC without chance) is refined by Gauss-Newton on the candidates
that it explains. A view that offers nothing near the point costs no more than its weight.
"""

from __future__ import annotations

import numba
import numpy as np

_SHORTEST = 1e-9  # depth below which a point is behind the camera

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
# For its pieces. Those are not called from Python; wrappers for that, and slices of arrays, take most of the time to compile.
_inner = numba.njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)


def triangulate(
    projections: np.ndarray,
    candidates: np.ndarray,
    weights: np.ndarray,
    start: np.ndarray,
    tolerance: float,
    paired: int = 5,
    steps: int = 4,
) -> tuple[np.ndarray, np.ndarray]:
    """World points (N, 3) and the weight (N, V) in [0, 1] that is left to every view, its own times how well it agrees.

    ``projections`` (V, 3, 4) world to pixels; ``candidates`` (N, V, K, 2) px where each view may see each point; ``weights`` (N, V, K) in
    [0, 1], 0 for none; ``start`` (N, 3) points that are as good as any pair, such as those of the frame before; ``tolerance`` px: the
    residual at which a candidate counts half; ``paired``: how many of the most certain views are tried in pairs; ``steps`` of Gauss-Newton.

    A point that fewer than two views offer candidates of stays at its start.
    """
    points, left = np.empty_like(start, np.float64), np.zeros(weights.shape[:2], np.float32)
    _all(
        np.ascontiguousarray(projections, np.float64),
        np.ascontiguousarray(candidates, np.float64),
        np.ascontiguousarray(weights, np.float64),
        np.ascontiguousarray(start, np.float64),
        float(tolerance) ** 2,
        paired,
        steps,
        points,
        left,
    )
    return points, left


@_kernel
def _all(projections, candidates, weights, start, tolerance2, paired, steps, points, left):  # type: ignore[no-untyped-def]
    count, views, each = weights.shape
    strength = np.empty(views)
    top, taken = np.empty(paired, np.int64), np.empty(views, np.int64)
    x, best = np.empty(3), np.empty(3)
    normal, right = np.empty((3, 3)), np.empty(3)
    for n in range(count):
        _copy(start[n], best)
        offered = 0
        for v in range(views):
            strength[v] = 0.0
            for k in range(each):
                strength[v] = max(strength[v], weights[n, v, k])
            offered += strength[v] > 0
        if offered >= 2:
            lowest = _cost(projections, candidates[n], weights[n], best, tolerance2, taken)
            chosen = min(offered, paired)
            for i in range(chosen):
                top[i] = 0
                for v in range(1, views):
                    if strength[v] > strength[top[i]]:
                        top[i] = v
                strength[top[i]] = -1.0
            for i in range(chosen):
                for j in range(i):
                    for k in range(each):
                        for m in range(each):
                            if weights[n, top[i], k] <= 0 or weights[n, top[j], m] <= 0:
                                continue
                            _clear(normal, right)
                            _add_ray(projections[top[i]], candidates[n, top[i], k], normal, right)
                            _add_ray(projections[top[j]], candidates[n, top[j], m], normal, right)
                            if not _solved(normal, right, x):
                                continue
                            cost = _cost(projections, candidates[n], weights[n], x, tolerance2, taken)
                            if cost < lowest:
                                lowest = cost
                                _copy(x, best)
            _copy(best, x)
            for _ in range(steps):
                _cost(projections, candidates[n], weights[n], x, tolerance2, taken)
                if not _step(projections, candidates[n], weights[n], taken, tolerance2, normal, right, x):
                    break
            if _cost(projections, candidates[n], weights[n], x, tolerance2, taken) <= lowest:
                _copy(x, best)
        _copy(best, points[n])
        for v in range(views):
            for k in range(each):
                if weights[n, v, k] > 0:
                    error = _error(projections[v], candidates[n, v, k], best)
                    left[n, v] = max(left[n, v], weights[n, v, k] / (1.0 + error / tolerance2))


@_inner
def _copy(source, target):  # type: ignore[no-untyped-def]
    for i in range(source.size):
        target[i] = source[i]


@_inner
def _clear(normal, right):  # type: ignore[no-untyped-def]
    for i in range(3):
        right[i] = 0.0
        for j in range(3):
            normal[i, j] = 0.0


@_inner
def _error(projection, pixel, x):  # type: ignore[no-untyped-def]
    """Squared residual in pixels; infinite behind the camera."""
    z = projection[2, 0] * x[0] + projection[2, 1] * x[1] + projection[2, 2] * x[2] + projection[2, 3]
    if not z > _SHORTEST:
        return np.inf
    u = (projection[0, 0] * x[0] + projection[0, 1] * x[1] + projection[0, 2] * x[2] + projection[0, 3]) / z - pixel[0]
    v = (projection[1, 0] * x[0] + projection[1, 1] * x[1] + projection[1, 2] * x[2] + projection[1, 3]) / z - pixel[1]
    return u * u + v * v


@_inner
def _cost(projections, candidates, weights, x, tolerance2, taken):  # type: ignore[no-untyped-def]
    """Sum over views of the cost of their best candidate, which is written to ``taken`` (-1: none); Geman-McClure."""
    total = 0.0
    for v in range(weights.shape[0]):
        gain, taken[v], most = 0.0, -1, 0.0
        for k in range(weights.shape[1]):
            most = max(most, weights[v, k])
            if weights[v, k] > 0:
                here = weights[v, k] / (1.0 + _error(projections[v], candidates[v, k], x) / tolerance2)
                if here > gain:
                    gain, taken[v] = here, k
        total += most - gain
    return total


@_inner
def _add_ray(projection, pixel, normal, right):  # type: ignore[no-untyped-def]
    for row in range(2):
        a = projection[row, 0] - pixel[row] * projection[2, 0]
        b = projection[row, 1] - pixel[row] * projection[2, 1]
        c = projection[row, 2] - pixel[row] * projection[2, 2]
        d = pixel[row] * projection[2, 3] - projection[row, 3]
        _add_row(a, b, c, d, 1.0, normal, right)


@_inner
def _add_row(a, b, c, d, weight, normal, right):  # type: ignore[no-untyped-def]
    normal[0, 0] += weight * a * a
    normal[0, 1] += weight * a * b
    normal[0, 2] += weight * a * c
    normal[1, 1] += weight * b * b
    normal[1, 2] += weight * b * c
    normal[2, 2] += weight * c * c
    right[0] += weight * a * d
    right[1] += weight * b * d
    right[2] += weight * c * d


@_inner
def _solved(normal, right, x):  # type: ignore[no-untyped-def]
    """Whether the symmetric system has a solution, which is written to ``x``; the upper triangle is read."""
    a, b, c, d, e, f = normal[0, 0], normal[0, 1], normal[0, 2], normal[1, 1], normal[1, 2], normal[2, 2]
    p, q, r = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = a * p + b * q + c * r
    size = a + d + f
    if not determinant > 1e-12 * size * size * size:
        return False
    x[0] = (p * right[0] + q * right[1] + r * right[2]) / determinant
    x[1] = (q * right[0] + (a * f - c * c) * right[1] + (b * c - a * e) * right[2]) / determinant
    x[2] = (r * right[0] + (b * c - a * e) * right[1] + (a * d - b * b) * right[2]) / determinant
    return True


@_inner
def _step(projections, candidates, weights, taken, tolerance2, normal, right, x):  # type: ignore[no-untyped-def]
    """One Gauss-Newton step on the taken candidates, weighted by how well they agree. Returns whether there was one."""
    _clear(normal, right)
    for v in range(taken.size):
        k = taken[v]
        if k < 0:
            continue
        p = projections[v]
        z = p[2, 0] * x[0] + p[2, 1] * x[1] + p[2, 2] * x[2] + p[2, 3]
        if not z > _SHORTEST:
            continue
        share = 1.0 / (1.0 + _error(p, candidates[v, k], x) / tolerance2)
        weight = weights[v, k] * share * share
        for row in range(2):
            at = (p[row, 0] * x[0] + p[row, 1] * x[1] + p[row, 2] * x[2] + p[row, 3]) / z
            a, b, c = (p[row, 0] - at * p[2, 0]) / z, (p[row, 1] - at * p[2, 1]) / z, (p[row, 2] - at * p[2, 2]) / z
            _add_row(a, b, c, candidates[v, k, row] - at, weight, normal, right)
    trace = normal[0, 0] + normal[1, 1] + normal[2, 2]
    for i in range(3):
        normal[i, i] += 1e-6 * trace
    change = np.empty(3)
    if not _solved(normal, right, change):
        return False
    for i in range(3):
        x[i] += change[i]
    return True
