"""The CUDA kernels of rotations against the elementwise code that they stand in for."""

from __future__ import annotations

import pytest
import torch

from trackersplat.geometry import quaternions

pytestmark = pytest.mark.cuda


def some(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(1,), (300,), (17, 5)])
def test_rotations_are_those_of_the_elementwise_code(device: torch.device, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    from trackersplat.geometry import quaternions_triton as fused

    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 1e-12, "atol": 1e-14}
    any_norm, vectors = some(*shape, 4, dtype=dtype), some(*shape, 3, dtype=dtype)
    vectors.view(-1, 3)[0] = 0.0  # no rotation
    units = torch.nn.functional.normalize(any_norm, dim=-1)
    strided = torch.stack((vectors, vectors), dim=-1).to(device)[..., 0]  # not contiguous
    for got, expected in (
        (fused.to_matrix(any_norm.to(device)), quaternions.quaternion_to_matrix(any_norm)),
        (fused.from_rotation_vector(strided), quaternions.rotation_vector_to_quaternion(vectors)),
        (fused.rotated(units.to(device), strided), quaternions.rotate(units, vectors)),
    ):
        torch.testing.assert_close(got.cpu(), expected, **tolerance)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_gradients_and_broadcasting_are_left_to_the_elementwise_code() -> None:
    q, v = some(6, 1, 4, dtype=torch.float64).cuda(), some(6, 5, 3, dtype=torch.float64).cuda()
    q = torch.nn.functional.normalize(q, dim=-1).requires_grad_()
    turned = quaternions.rotate(q, v)
    torch.testing.assert_close(turned.detach(), quaternions.rotate(q.detach().expand(6, 5, 4), v))
    for result in (turned, quaternions.quaternion_to_matrix(q), quaternions.rotation_vector_to_quaternion(q[..., 1:])):
        assert result.requires_grad
