"""Our Gaussians as the `GaussianModel` of the package gaussian-splatting (extra `inria`; non-commercial licence), and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians

if TYPE_CHECKING:
    from gaussian_splatting import GaussianModel


def to_gaussian_model(gaussians: Gaussians) -> GaussianModel:
    """A model with the same raw parameters (copied), on the same device, ready to train or render with that package.

    Raises InputError if the package is not installed or cannot run here (it needs its own build of torch and CUDA).
    """
    try:
        from gaussian_splatting import GaussianModel
    except (ImportError, OSError) as error:
        raise InputError(
            f"The package gaussian-splatting cannot be used here ({error}); install it with: pip install '.[inria]' in the clone."
        ) from error
    model = GaussianModel(gaussians.sh_degree)
    raw = {
        "_xyz": gaussians.means,
        "_features_dc": gaussians.sh[:, :1],
        "_features_rest": gaussians.sh[:, 1:],
        "_scaling": gaussians.log_scales,
        "_rotation": gaussians.quats,
        "_opacity": gaussians.opacity_logits[:, None],
    }
    for name, tensor in raw.items():
        setattr(model, name, torch.nn.Parameter(tensor.detach().clone().contiguous()))
    return model


def from_gaussian_model(model: GaussianModel) -> Gaussians:
    """The raw parameters of a model (copied), on its device. Raises ShapeError if they do not fit together."""
    sh = torch.cat((model._features_dc, model._features_rest), dim=1)
    tensors = (model._xyz, model._rotation, model._scaling, model._opacity.squeeze(1), sh)
    return Gaussians(*(tensor.detach().clone() for tensor in tensors))
