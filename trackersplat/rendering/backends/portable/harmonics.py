"""Spherical harmonics of 16 directions at once, degree 0-3, in the convention of 3DGS (see rendering/sh.py)."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from trackersplat.rendering.backends.portable.simd import inline, load, splat, store

SH_0 = 0.28209479177387814
SH_1 = 0.4886025119029199
SH_2 = (1.0925484305920792, 0.31539156525252005, 0.5462742152960396)
SH_3 = (0.5900435899266435, 2.890611442640554, 0.4570457994644658, 0.3731763325901154, 1.445305721320277)


@inline
def harmonics(basis, degree, x, y, z):
    """Real spherical harmonics of 3DGS up to ``degree`` into basis[16 k], for unit directions."""
    store(basis, 0, splat(SH_0))
    if degree >= 1:
        store(basis, 16, y * (-SH_1))
        store(basis, 32, z * SH_1)
        store(basis, 48, x * (-SH_1))
    if degree >= 2:
        xx, yy, zz = x * x, y * y, z * z
        store(basis, 64, x * y * SH_2[0])
        store(basis, 80, y * z * (-SH_2[0]))
        store(basis, 96, (zz * 2.0 - xx - yy) * SH_2[1])
        store(basis, 112, x * z * (-SH_2[0]))
        store(basis, 128, (xx - yy) * SH_2[2])
        if degree >= 3:
            store(basis, 144, y * (xx * 3.0 - yy) * (-SH_3[0]))
            store(basis, 160, x * y * z * SH_3[1])
            store(basis, 176, y * (zz * 4.0 - xx - yy) * (-SH_3[2]))
            store(basis, 192, z * (zz * 2.0 - xx * 3.0 - yy * 3.0) * SH_3[3])
            store(basis, 208, x * (zz * 4.0 - xx - yy) * (-SH_3[2]))
            store(basis, 224, z * (xx - yy) * SH_3[4])
            store(basis, 240, x * (xx - yy * 3.0) * (-SH_3[0]))


@inline
def direction_gradient(g, degree, x, y, z):
    """Gradient with respect to the direction, for gradients g[16 k] with respect to the basis values."""
    dx = load(g, 48) * (-SH_1)
    dy = load(g, 16) * (-SH_1)
    dz = load(g, 32) * SH_1
    if degree >= 2:
        g4, g5, g6 = load(g, 64) * SH_2[0], load(g, 80) * (-SH_2[0]), load(g, 96) * (2.0 * SH_2[1])
        g7, g8 = load(g, 112) * (-SH_2[0]), load(g, 128) * (2.0 * SH_2[2])
        dx = dx + y * g4 - x * g6 + z * g7 + x * g8
        dy = dy + x * g4 + z * g5 - y * g6 - y * g8
        dz = dz + y * g5 + z * g6 * 2.0 + x * g7
    if degree >= 3:
        xx, yy, zz = x * x, y * y, z * z
        h0, h1, h2 = load(g, 144) * (-SH_3[0]), load(g, 160) * SH_3[1], load(g, 176) * (-SH_3[2])
        h3, h4, h5 = load(g, 192) * SH_3[3], load(g, 208) * (-SH_3[2]), load(g, 224) * SH_3[4]
        h6 = load(g, 240) * (-SH_3[0])
        xy, yz, xz = x * y, y * z, x * z
        dx = dx + xy * h0 * 6.0 + yz * h1 - xy * h2 * 2.0 - xz * h3 * 6.0
        dx = dx + (zz * 4.0 - xx * 3.0 - yy) * h4 + xz * h5 * 2.0 + (xx - yy) * h6 * 3.0
        dy = dy + (xx - yy) * h0 * 3.0 + xz * h1 + (zz * 4.0 - xx - yy * 3.0) * h2 - yz * h3 * 6.0
        dy = dy - xy * h4 * 2.0 - yz * h5 * 2.0 - xy * h6 * 6.0
        dz = dz + xy * h1 + yz * h2 * 8.0 + (zz * 2.0 - xx - yy) * h3 * 3.0 + xz * h4 * 8.0 + (xx - yy) * h5
    return dx, dy, dz
