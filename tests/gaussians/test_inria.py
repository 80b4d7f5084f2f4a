import importlib.util

import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.inria import from_gaussian_model, to_gaussian_model


def gaussians(coefficients: int) -> Gaussians:
    random = torch.Generator().manual_seed(0)
    shapes = {"means": (7, 3), "quats": (7, 4), "log_scales": (7, 3), "opacity_logits": (7,), "sh": (7, coefficients, 3)}
    return Gaussians(**{name: torch.randn(shape, generator=random) for name, shape in shapes.items()})


@pytest.mark.skipif(importlib.util.find_spec("gaussian_splatting") is not None, reason="gaussian-splatting is installed")
def test_without_the_package_one_sentence_says_what_to_install() -> None:
    with pytest.raises(InputError, match=r"pip install '\.\[inria\]'"):
        to_gaussian_model(gaussians(4))


@pytest.mark.parametrize("coefficients", [1, 16])
def test_a_model_has_the_same_values_and_gives_them_back(coefficients: int) -> None:
    try:
        import gaussian_splatting  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"gaussian-splatting cannot be imported here: {error}")
    original = gaussians(coefficients)
    model = to_gaussian_model(original)
    assert torch.equal(model.get_xyz, original.means)
    assert torch.equal(model.get_features, original.sh)
    assert torch.allclose(model.get_opacity[:, 0], original.opacities)
    assert torch.allclose(model.get_scaling, original.scales)
    for name, tensor in from_gaussian_model(model).tensors().items():
        assert torch.equal(tensor, original.tensors()[name])
