"""The CUDA kernels of motion against the elementwise code that they stand in for."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from trackersplat.captures.camera import Camera
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.quaternions import rotation_vector_to_quaternion
from trackersplat.geometry.symmetric import inverse
from trackersplat.motion.ops import affine, graph_system, rotate, triangulate, view_evidence
from trackersplat.motion.ops.affine_fit import TARGET_CHANNELS, AffineFit
from trackersplat.motion.ops.results import AffineMotion, Triangulation
from trackersplat.motion.settings import MeasureSettings, RotationSettings, SolverSettings, TriangulateSettings

pytestmark = pytest.mark.cuda
SETTINGS, ROTATION = TriangulateSettings(), RotationSettings()
close = partial(torch.testing.assert_close, rtol=1e-5, atol=1e-7)


def generator():
    return torch.Generator().manual_seed(3)


def test_affine_motions_are_those_of_the_elementwise_solve(device):
    from trackersplat.motion.ops import affine_triton as fused

    g = generator()
    width, height, count, targets = 64, 48, 300, 2
    weights = torch.rand(count, height * width, generator=g) * (torch.rand(count, height * width, generator=g) < 0.01)
    weights[7] = 0.0  # sees nothing
    weights[8] = 0.0
    weights[8, 1000] = 1.0  # sees one pixel
    positions = torch.rand(2, targets, height, width, 2, generator=g) * 40
    certainty = torch.rand(2, targets, height, width, generator=g)
    shared = torch.rand(2, height, width, 3, generator=g)
    features = torch.cat((shared, affine.moment_features(positions, certainty)), dim=-1)
    sums = (weights @ features.flatten(1, 2)).contiguous()
    mean = torch.rand(2, count, 2, generator=g, dtype=torch.float64) * 48
    fit = AffineFit(width=width, height=height, scale=32.0, rounding=4.0 * torch.finfo(torch.float32).eps * 32.0**2)
    expected = affine._affine(sums, mean, fit)
    got = fused.solve(sums.to(device), mean.to(device), fit)
    for name in AffineMotion.__dataclass_fields__:
        one, other = getattr(got, name), getattr(expected, name)
        torch.testing.assert_close(one.cpu(), other, rtol=1e-4, atol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
        assert not one[:, :, 7].any() if name == "weight" else True


@pytest.mark.parametrize("with_surface", [False, True])
def test_triangulations_are_those_of_the_elementwise_solve(device, with_surface):
    from trackersplat.motion.ops import triangulate_triton as fused

    g = generator()
    views, count, targets = 5, 150, 2
    numbers = []
    for view in range(views):
        angle = 0.4 * view - 0.8
        turn = np.array([[math.cos(angle), 0, math.sin(angle)], [0, 1, 0], [-math.sin(angle), 0, math.cos(angle)]])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn, (0, 0, 4)
        camera = Camera(f"{view}", 320, 240, np.array([[300.0, 0, 160], [0, 310.0, 120], [0, 0, 1]]), pose)
        numbers.append([*camera.rotation.reshape(-1), *camera.translation, camera.fx, camera.fy, camera.cx, camera.cy])
    rig = torch.tensor(numbers, dtype=torch.float64)
    points = (torch.rand(count, 3, generator=g, dtype=torch.float64) - 0.5).repeat(targets, 1)
    displacements = torch.randn(views, targets * count, 2, generator=g) * 10
    variances = torch.rand(views, targets * count, generator=g) + 0.05
    variances[torch.rand(variances.shape, generator=g) < 0.3] = torch.inf
    variances[:, 5] = torch.inf  # no observation is valid
    variances[2, 6] = 0.0  # nor is this one
    points[7] = torch.tensor([-9.0, 0.0, 0.0])  # behind the first view
    variances[:, 7] = 0.5
    displacements[torch.isinf(variances)] = torch.nan
    surfaces = 0.05 * torch.randn(views, count, 3, generator=g) if with_surface else None
    turns = rotation_vector_to_quaternion(torch.randn(targets * count, 3, generator=g, dtype=torch.float64)) if with_surface else None
    observations = triangulate.Observations(displacements, variances, surfaces, turns)
    expected = triangulate._solve(points, rig, observations.part(torch.arange(targets * count)), SETTINGS)
    there = triangulate.Observations(*(None if t is None else t.to(device) for t in observations))
    got = fused.solve(points.to(device), rig.to(device), there, SETTINGS, tiny=triangulate.TINY, tiny_depth=triangulate.TINY_DEPTH)
    for name in Triangulation.__dataclass_fields__:
        one, other = getattr(got, name), getattr(expected, name)
        torch.testing.assert_close(one.cpu(), other, rtol=1e-6, atol=1e-8, msg=lambda m, name=name: f"{name}: {m}")
    assert int(got.seen[5]) == 0
    assert not got.translation[5].any()


@pytest.mark.parametrize("with_surface", [False, True])
def test_evidence_is_that_of_the_elementwise_comparison(device, with_surface):
    from trackersplat.motion.ops import view_evidence_triton as fused

    g = generator()
    views, count, targets = 4, 150, 2
    numbers = []
    for view in range(views):
        pose = np.eye(4)
        pose[:3, 3] = (0.5 * view - 0.8, 0.1 * view, 3 + 0.2 * view)
        camera = Camera(f"{view}", 320, 240, np.array([[300.0, 0, 160], [0, 310.0, 120], [0, 0, 1]]), pose)
        numbers.append([*camera.rotation.reshape(-1), *camera.translation, camera.fx, camera.fy, camera.cx, camera.cy])
    rig = torch.tensor(numbers, dtype=torch.float64)
    points = (torch.rand(count, 3, generator=g, dtype=torch.float64) - 0.5).repeat(targets, 1)
    moved = 0.02 * torch.randn(points.shape, generator=g, dtype=torch.float64)
    displacements = torch.randn(views, targets * count, 2, generator=g) * 3
    variances = torch.rand(views, targets * count, generator=g) + 0.05
    variances[torch.rand(variances.shape, generator=g) < 0.3] = torch.inf
    variances[2, 6] = 0.0
    points[7] = torch.tensor([0.0, 0.0, -9.0])  # behind the views
    displacements[torch.isinf(variances)] = torch.nan
    surfaces = 0.05 * torch.randn(views, count, 3, generator=g) if with_surface else None
    turns = rotation_vector_to_quaternion(torch.randn(targets * count, 3, generator=g, dtype=torch.float64)) if with_surface else None
    shown = torch.rand(variances.shape, generator=g) < 0.7
    observations = triangulate.Observations(displacements, variances, surfaces, turns)
    expected = view_evidence.compare_elementwise(points, moved, rig, observations, shown, SETTINGS)
    assert len(expected.state.unique()) == 4
    there = triangulate.Observations(*(None if t is None else t.to(device) for t in observations))
    places = (tensor.to(device) for tensor in (points, moved, rig))
    got = fused.compare(*places, there, shown.to(device), SETTINGS, tiny=triangulate.TINY, tiny_depth=triangulate.TINY_DEPTH)
    assert torch.equal(got.state.cpu(), expected.state)
    for name in ("residual_px", "variance_px2", "weight"):
        torch.testing.assert_close(getattr(got, name).cpu(), getattr(expected, name), rtol=1e-5, atol=1e-6, equal_nan=True)


def test_rotations_are_those_of_the_elementwise_solve(device):
    from trackersplat.motion.ops import rotate_triton as fused

    g = generator()
    points = torch.rand(400, 3, generator=g, dtype=torch.float64)
    turn = rotation_vector_to_quaternion(torch.tensor([0.3, -1.2, 0.8], dtype=torch.float64))
    moves = rotate.rotate(turn.expand(400, 4), points) - points + 0.01 * torch.randn(400, 3, generator=g, dtype=torch.float64)
    moves[:40] = torch.tensor([0.1, 0.2, 0.3])
    everyone = torch.randint(0, 400, (120, 9), generator=g)
    everyone[:10] = torch.randint(0, 40, (10, 9), generator=g)  # all of these move alike
    everyone[10:14] = torch.randint(0, 40, (4, 9), generator=g)
    everyone[10:14, 5] = 77  # all but one do
    weight = 1e4 * torch.rand(120, 9, generator=g, dtype=torch.float64)
    weight[20:30] = 0.0  # nothing known
    weight[30:40, 3:] = 0.0  # points on a line or less
    expected = rotate._kabsch(points, moves, everyone, weight, ROTATION)
    got = fused.solve(*(t.to(device) for t in (points, moves, everyone, weight)), ROTATION)
    close(got.quaternion.cpu(), expected.quaternion)
    close(got.precision.cpu(), expected.precision)
    assert torch.equal(got.alike.cpu(), expected.alike)
    assert int(expected.alike.sum()) == 10


@pytest.mark.parametrize("vector", [(math.pi, 0, 0), (0, math.pi, 0), (0, 0, math.pi), (0.1, -2.9, 0.2), (1.9, -1.8, 1.5)])
def test_rotations_by_half_a_turn_are_found_about_every_axis(device, vector):
    from trackersplat.motion.ops import rotate_triton as fused

    g = generator()
    points = torch.rand(60, 3, generator=g, dtype=torch.float64)
    turn = rotation_vector_to_quaternion(torch.tensor(vector, dtype=torch.float64))
    moves = rotate.rotate(turn.expand(60, 4), points) - points
    everyone = torch.stack([torch.randperm(60, generator=g)[:12] for _ in range(20)])
    weight = 1e6 * (0.1 + torch.rand(20, 12, generator=g, dtype=torch.float64))
    got = fused.solve(*(t.to(device) for t in (points, moves, everyone, weight)), ROTATION)
    expected = rotate._kabsch(points, moves, everyone, weight, ROTATION).quaternion
    for one in (turn, expected):  # of a quaternion and its opposite either will do
        close((got.quaternion.cpu() * one).sum(-1).abs(), torch.ones(20, dtype=torch.float64), atol=1e-8)


@pytest.mark.parametrize(("block", "summed"), [(None, None), (32, 4)])
def test_conjugate_gradients_step_as_the_elementwise_ones(device, block, summed, monkeypatch):
    """With blocks as they are, and with so small ones that there are more programs than are summed at once."""
    from trackersplat.motion.ops import conjugate_gradients_triton as conjugate_gradients

    if block is not None:
        monkeypatch.setattr(conjugate_gradients, "_ROWS", block)
        monkeypatch.setattr(conjugate_gradients, "_BLOCK", 2 * block)
        monkeypatch.setattr(conjugate_gradients, "_SUMMED", summed)
    g = generator()
    count = 300
    dense = torch.rand(count, count, generator=g, dtype=torch.float64) * (torch.rand(count, count, generator=g) < 0.02)
    dense = (dense + dense.T).fill_diagonal_(0.0)
    dense[4] = dense[:, 4] = 0.0  # on its own
    ones = torch.rand(3, count, generator=g, dtype=torch.float64)
    stiffness = dense.sum(1) + 0.1
    diagonal = torch.stack((ones[0] ** 2, ones[0] * ones[1], ones[0] * ones[2], ones[1] ** 2, ones[1] * ones[2], ones[2] ** 2))
    diagonal[[0, 3, 5]] += stiffness
    right = torch.randn(count, 3, generator=g, dtype=torch.float64)
    guess = torch.randn(count, 3, generator=g, dtype=torch.float64)
    coupling = dense.to_sparse_csr()
    pattern = coupling.crow_indices(), coupling.col_indices()
    expected = graph_system.ElementwiseSteps(*pattern)
    got, slots = steps_of(*(t.to(device) for t in pattern))
    for factor in (1.0, 0.5):  # the second system goes through what was recorded for the first
        arguments = (diagonal, inverse(diagonal), factor * coupling.values(), right, guess)
        expected.begin(*arguments)
        begin(got, slots, *(t.to(device) for t in arguments))
        for count in (2, 4, 2, 8, 6):  # recorded four at a time
            close(got.x.T.cpu(), expected.x)
            close(got.energy.cpu(), expected.energy)
            expected.go(count)
            got.go(count)
        close(got.x.T.cpu(), expected.x)


def steps_of(starts, columns):
    """Steps for a coupling in CSR, and the slots of its entries."""
    from trackersplat.motion.ops import conjugate_gradients_triton as conjugate_gradients

    slices = conjugate_gradients.rows_of_slices(starts)
    row = torch.arange(len(starts) - 1, device=starts.device).repeat_interleave(starts.diff())
    slots = slices.begins[row // slices.rows] + (torch.arange(len(row), device=row.device) - starts[row]) * slices.rows + row % slices.rows
    sliced = torch.zeros(int(slices.ends[-1]), dtype=torch.int32, device=starts.device)
    sliced[slots] = columns.int()
    return conjugate_gradients.Steps(conjugate_gradients.Pattern(slices.degrees, slices.begins, sliced)), slots


def begin(steps, slots, diagonal, inverted, values, right, guess):
    steps.diagonal.copy_(diagonal)
    steps.inverted.copy_(inverted)
    steps.values[slots] = values.float()
    steps.residual.copy_(right.T)
    steps.direction[:, :3] = guess
    steps.begin()


@pytest.mark.parametrize(("jump", "block"), [(True, 32), (False, None)])
def test_systems_on_the_graph_are_solved_as_without_kernels(device, jump, block, monkeypatch):
    from trackersplat.motion.ops import conjugate_gradients_triton as conjugate_gradients
    from trackersplat.motion.ops import graph_system_triton as fused

    if block is not None:
        monkeypatch.setattr(conjugate_gradients, "_ROWS", block)
    g = generator()
    count, edges = 80, 200
    first, second = torch.randint(0, count - 10, (2, edges), generator=g)
    first, second = first[first != second], second[first != second]
    free = torch.rand(count, generator=g) < 0.8
    # The last two are connected to each other alone, the seven before them to nothing; nothing is known of them.
    first, second = torch.cat((first, torch.tensor([count - 2]))), torch.cat((second, torch.tensor([count - 1])))
    free[-10:] = True
    known = torch.rand(count, generator=g) < 0.3
    known[-10:] = False
    axes = torch.randn(3, count, generator=g, dtype=torch.float64)
    data = torch.stack((axes[0] ** 2, axes[0] * axes[1], axes[0] * axes[2], axes[1] ** 2, axes[1] * axes[2], axes[2] ** 2))
    data[[0, 3, 5]] += torch.tensor([0.1, 50.0, 4e4], dtype=torch.float64)[torch.randint(0, 3, (count,), generator=g)]
    data[:, ~known] = 0.0
    target, start = torch.randn(2, count, 3, generator=g, dtype=torch.float64)
    start[~known] = 0.0
    weights = 0.1 + 5 * torch.rand(len(first), generator=g, dtype=torch.float64)
    jumps = torch.randn(len(first), 3, generator=g, dtype=torch.float64) if jump else None
    if jumps is not None:
        jumps[-1] = 0.0
    settings = SolverSettings(tolerance=1e-8)
    expected = graph_system.GraphSystem(free, known, first, second, settings)
    got = fused.GraphSystem(*(t.to(device) for t in (free, first, second)), settings)
    there = None if jumps is None else jumps.to(device)
    for fade, guess in ((0.0, None), (0.0, start), (0.3, None)):
        one = expected.solve(data, target, weights, jumps, fade=fade, start=guess)
        guess = None if guess is None else guess.to(device)
        other = got.solve(*(t.to(device) for t in (data, target, weights)), there, fade=fade, start=guess).cpu()
        torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-6)
        assert not other[~free].any()
        assert not other[-9:].any()
    nothing = fused.GraphSystem(torch.zeros_like(free, device=device), first.to(device), second.to(device), settings)
    assert not nothing.solve(*(t.to(device) for t in (data, target, weights))).any()


def test_conjugate_gradients_that_have_arrived_stay_there(device):
    diagonal = torch.tensor([1.0, 0, 0, 1, 0, 1], dtype=torch.float64)[:, None].repeat(1, 5)
    coupling = torch.zeros(5, 5, dtype=torch.float64).to_sparse_csr()
    for right in (torch.zeros(5, 3, dtype=torch.float64), torch.arange(15, dtype=torch.float64).reshape(5, 3)):
        steps, slots = steps_of(coupling.crow_indices().to(device), coupling.col_indices().to(device))
        begin(steps, slots, *(t.to(device) for t in (diagonal, diagonal, coupling.values(), right, torch.zeros_like(right))))
        steps.go(4)
        close(steps.x.T.cpu(), right)


def test_neighbours_are_those_of_the_tree(device):
    from trackersplat.geometry import neighbours_triton as fused
    from trackersplat.geometry.neighbours import nearest_neighbours

    g = generator()
    sheet = torch.rand(300, 3, generator=g) * torch.tensor([4.0, 3.0, 1e-3])
    far = 1e3 * torch.randn(20, 3, generator=g)
    same = torch.full((30, 3), 0.5)  # more in one place than neighbours are asked for
    for points, k in ((torch.cat((sheet, far, same)), 9), (sheet[:33], 32), (sheet[:5], 4)):
        expected = nearest_neighbours(points, k).distances
        indices, distances = (values.cpu() for values in fused.nearest(points.double().to(device), k, size=16 if k <= 16 else 32))
        torch.testing.assert_close(distances, expected, rtol=1e-5, atol=1e-9)
        assert not (indices == torch.arange(len(points))[:, None]).any()
        assert all(len(set(row)) == k for row in indices.tolist())


def test_moments_are_those_of_the_elementwise_features(device):
    from trackersplat.motion.ops import moments_triton as moments

    g = generator()
    positions = torch.rand(3, 2, 12, 21, 2, generator=g) * 20
    positions[2, 1, 3, 4, 0] = torch.nan
    positions[0, 0, 5, 6, 1] = torch.inf
    certainty = torch.rand(3, 2, 12, 21, generator=g)
    shared = torch.rand(3, 12, 21, 3, generator=g)
    features = torch.empty(3, 12, 21, 3 + 26, device=device)
    moments.write(
        features, shared.to(device), positions.to(device), certainty.to(device), scale=affine._half_size(21, 12), channels=TARGET_CHANNELS
    )
    torch.testing.assert_close(features[..., 3:].cpu(), affine.moment_features(positions, certainty), rtol=1e-5, atol=1e-5)
    assert torch.equal(features[..., :3].cpu(), shared)


def test_what_views_see_is_what_the_elementwise_code_says(device):
    from trackersplat.motion.ops import visibility_triton as fused

    g = generator()
    views, count = 3, 150
    depth = 2.0 + torch.rand(views, count, generator=g, dtype=torch.float64)
    deviation = 0.2 * torch.rand(views, count, generator=g)
    front = depth - 2.0 * deviation
    weight = torch.rand(views, count, generator=g)
    weight[:, 7] = 0.0
    depths = torch.stack((depth, depth), dim=-1).float() + 0.4 * torch.randn(views, count, 2, generator=g)
    sums = torch.cat((weight[..., None], weight[..., None] * depths, torch.rand(views, count, 13, generator=g)), dim=-1)
    means, middles = torch.randn(count, 3, generator=g), torch.randn(views, 3, generator=g, dtype=torch.float64)
    base = affine.BaseViews(torch.zeros(0), depth, deviation, front, torch.zeros(0))
    expected = affine.visibility_elementwise(sums, base, means, middles, MeasureSettings())
    there = (values.to(device) for values in (sums, depth, deviation, front, means, middles))
    found = affine.Visibility(*fused.find(*there, MeasureSettings().deepest_deviations))
    for name in ("weight", "behind", "surface"):
        torch.testing.assert_close(getattr(found, name).cpu(), getattr(expected, name), rtol=1e-5, atol=1e-6, equal_nan=True)
    assert 0 < int((expected.surface != 0).any(-1).sum()) < views * count


def test_variances_are_those_of_the_elementwise_code(device):
    from trackersplat.motion import measure_triton as fused
    from trackersplat.motion.measure import assessed_elementwise, inverse_view_weights_elementwise

    g = generator()
    views, targets, count = 3, 2, 200
    cameras = []
    for view in range(views):
        pose = np.eye(4)
        pose[:3, 3] = (0.5 * view - 0.8, 0.1 * view, 3 + 0.2 * view)
        cameras.append(Camera(f"{view}", 320, 240, np.array([[300.0 + view, 0, 160], [0, 310.0, 120], [0, 0, 1]]), pose))
    many = {name: torch.rand(views, targets, count, generator=g) for name in ("weight", "share", "spread", "leverage", "reach")}
    many["spread"][0, 0, 5] = 1e25  # its square is infinite
    many["weight"][0, 0, 6] = 0.0
    many["share"] *= torch.rand(views, targets, count, generator=g) < 0.9
    displacement = torch.randn(views, targets, count, 2, generator=g)
    motion = AffineMotion(displacement=displacement, linear=torch.zeros(views, targets, count, 2, 2), **many)
    behind = 0.1 * torch.randn(views, count, generator=g)
    behind[:, 9] = torch.nan
    weight = torch.rand(views, count, generator=g) * (torch.rand(views, count, generator=g) < 0.8)
    seen = affine.Visibility(weight, behind, torch.randn(views, count, 3, generator=g))
    zero = torch.zeros(count)
    gaussians = Gaussians(
        torch.randn(count, 3, generator=g),
        torch.ones(count, 4),
        -3 + torch.rand(count, 3, generator=g),
        zero,
        zero[:, None, None].repeat(1, 1, 3),
    )
    expected = assessed_elementwise(motion, seen, gaussians, cameras, MeasureSettings())
    rows = torch.tensor([(*camera.center, 0.5 * (camera.fx + camera.fy)) for camera in cameras], dtype=torch.float32)
    there = AffineMotion(**{name: value.to(device) for name, value in vars(motion).items()})
    tensors = (value.to(device) for value in (seen.weight, seen.behind, seen.surface, gaussians.means, gaussians.log_scales, rows))
    found = fused.assess(there, *tensors, MeasureSettings())
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].cpu(), value, rtol=2e-5, atol=1e-7, msg=lambda m, name=name: f"{name}: {m}")
    assert 0.2 < float(expected["variance"].isfinite().float().mean()) < 0.8
    for power in (0.0, 4.0):
        one = inverse_view_weights_elementwise(expected["area"], power, 0.02)
        torch.testing.assert_close(fused.inverse_view_weights(found["area"], power, 0.02).cpu(), one, rtol=1e-4, atol=0)
