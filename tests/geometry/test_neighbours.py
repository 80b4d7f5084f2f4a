from __future__ import annotations

import numpy as np
import pytest
import torch

from trackersplat.geometry.neighbours import _squared_distances, nearest_neighbours, nearest_to


def test_neighbours_agree_with_brute_force() -> None:
    points = np.random.default_rng(0).normal(size=(300, 3))
    indices, distances = nearest_neighbours(torch.tensor(points), 7)
    full = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(full, np.inf)
    np.testing.assert_array_equal(indices, np.argsort(full, axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(full, axis=1)[:, :7])


def test_a_point_is_never_its_own_neighbour_even_where_many_coincide() -> None:
    points = np.repeat(np.random.default_rng(1).normal(size=(4, 3)), 12, axis=0)
    indices, distances = nearest_neighbours(torch.tensor(points), 5)
    assert indices.shape == (48, 5)
    assert not (indices == torch.arange(48)[:, None]).any()
    assert (distances == 0).all()


def test_few_points_have_fewer_neighbours() -> None:
    for count in range(4):
        indices, distances = nearest_neighbours(torch.arange(3.0 * count).reshape(count, 3), 8)
        assert indices.shape == distances.shape == (count, max(count - 1, 0))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def test_the_nearest_to_other_points_are_those_of_brute_force(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    random = torch.Generator().manual_seed(2)
    points, queries = (torch.rand(count, 3, generator=random, dtype=torch.float64) for count in (300, 40))
    found = nearest_to(queries.to(device), points.to(device), 5)
    distances, indices = torch.cdist(queries, points).topk(5, largest=False)
    assert torch.equal(found.indices.cpu(), indices)
    torch.testing.assert_close(found.distances.cpu(), distances, rtol=1e-6, atol=1e-9)
    assert nearest_to(queries[:0], points, 5).indices.shape == (0, 5)
    assert nearest_to(queries, points[:3], 5).indices.shape == (40, 3)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("count", [5, 16, 20, 32])
def test_boxes_find_the_neighbours_that_a_tree_finds(count: int) -> None:
    random = torch.Generator().manual_seed(4)
    points = torch.rand(5000, 3, generator=random, dtype=torch.float64) * torch.tensor([4.0, 4.0, 0.01])
    points[4900:] *= 30.0  # few that lie far off
    queries = torch.rand(700, 3, generator=random, dtype=torch.float64) * torch.tensor([5.0, 4.0, 1.0])
    for tree, boxes in (
        (nearest_neighbours(points, count), nearest_neighbours(points.cuda(), count)),
        (nearest_to(queries, points, count), nearest_to(queries.cuda(), points.cuda(), count)),
    ):
        torch.testing.assert_close(boxes.distances.cpu(), tree.distances, rtol=1e-5, atol=1e-6)
        assert float((boxes.indices.cpu() == tree.indices).double().mean()) > 0.999


@pytest.mark.cuda
@pytest.mark.parametrize("count", [5, 20])
def test_the_kernel_of_boxes_finds_the_neighbours_that_a_tree_finds(
    count: int, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Triton's interpreter it takes a minute."""
    from trackersplat.geometry import neighbours_triton

    monkeypatch.setattr(neighbours_triton, "_SCANNED", 2)  # few points have few boxes
    size = 16 if count <= 16 else 32
    random = torch.Generator().manual_seed(4)
    points = torch.rand(112, 3, generator=random) * torch.tensor([4.0, 4.0, 0.01])
    points[107:] *= 30.0  # few that lie far off
    queries = torch.rand(16, 3, generator=random) * torch.tensor([5.0, 4.0, 1.0])
    there = points.double().to(device)
    for expected, asked, found in (
        (nearest_neighbours(points, count), points, neighbours_triton.nearest(there, count, size=size)),
        (nearest_to(queries, points, count), queries, neighbours_triton.nearest(there, count, queries.double().to(device), size=size)),
    ):
        indices, distances = (values.cpu() for values in found)
        torch.testing.assert_close((points[indices].double() - asked[:, None].double()).norm(dim=-1), distances)
        torch.testing.assert_close(distances, expected.distances, rtol=1e-5, atol=1e-6)
        assert (distances.diff(dim=1) >= 0).all()


@pytest.mark.cuda
def test_the_kernel_of_distances_orders_neighbours_by_them(device: torch.device) -> None:
    from trackersplat.geometry.neighbours_triton import in_order

    random = torch.Generator().manual_seed(5)
    points, queries = (torch.rand(count, 3, generator=random, dtype=torch.float64) for count in (60, 37))
    points[30:40] = points[20:30]  # at one distance
    order, asked_order = torch.randperm(60, generator=random), torch.randperm(37, generator=random)
    slots = torch.stack([torch.randperm(60, generator=random)[:11] for _ in range(37)]).int()
    indices = torch.empty(37, 11, dtype=torch.int64)
    indices[asked_order] = order[slots.long()]
    expected, rank = (points[indices] - queries[:, None]).norm(dim=-1).sort(dim=1, stable=True)
    found, distances = in_order(*(values.to(device) for values in (points, queries, order, asked_order, slots)), size=16)
    torch.testing.assert_close(distances.cpu(), expected)
    assert torch.equal(found.cpu(), indices.gather(1, rank))


def test_squared_distances_are_those_of_the_definition() -> None:
    random = torch.Generator().manual_seed(3)
    queries, points = torch.rand(4, 3, generator=random), torch.rand(7, 3, generator=random)
    expected = (queries[:, None] - points).square().sum(-1)
    torch.testing.assert_close(_squared_distances(queries, points), expected)
