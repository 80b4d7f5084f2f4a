"""What the rasterisers share: which cameras go together."""

from __future__ import annotations

from dataclasses import replace

from tiny_capture import cameras

from trackersplat.rendering.rasterizer import rendered_together


def test_cameras_of_one_size_and_near_plane_are_rendered_together_and_not_too_many_at_once() -> None:
    plain = cameras()[0]
    larger, nearer = replace(plain, width=plain.width + 1), replace(plain, near=plain.near / 2)
    several = [plain, larger, plain, nearer, plain, plain]
    assert rendered_together(several) == [[0, 2, 4, 5], [1], [3]]
    assert rendered_together(several, 3) == [[0, 2, 4], [5], [1], [3]]
    assert rendered_together([]) == []
