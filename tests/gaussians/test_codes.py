import dataclasses
import math

import pytest
import torch

from trackersplat.errors import ShapeError
from trackersplat.gaussians.codes import LARGEST_CODE, NAMES, Codes, CodeSettings, add, decode, differences, encode
from trackersplat.gaussians.gaussians import Gaussians

SETTINGS = CodeSettings()


def cloud(seed: int = 0, count: int = 300, coefficients: int = 4) -> Gaussians:
    random = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=3 * torch.randn(count, 3, generator=random),
        quats=torch.randn(count, 4, generator=random),
        log_scales=torch.randn(count, 3, generator=random) - 5,
        opacity_logits=2 * torch.randn(count, generator=random),
        sh=0.3 * torch.randn(count, coefficients, 3, generator=random),
    )


def moved(gaussians: Gaussians, share: float, those: slice) -> Gaussians:
    """Some of them, by a share of their size; colours, too."""
    means, sh = gaussians.means.clone(), gaussians.sh.clone()
    means[those] += share * gaussians.scales.amin(dim=1, keepdim=True)[those]
    sh[those] += 0.1
    return dataclasses.replace(gaussians, means=means, sh=sh)


def assert_within(found: Gaussians, expected: Gaussians, steps: float) -> None:
    """Every number within so many steps of its own."""
    size = 2.0 ** torch.floor(expected.log_scales.sort(dim=1).values[:, 1:2] / math.log(2) + 0.25)  # the largest that it may be counted in
    assert ((found.means - expected.means).abs() <= steps * SETTINGS.means * size + 1e-6).all()
    unit = torch.nn.functional.normalize(expected.quats, dim=1)
    apart = torch.minimum((found.quats - unit).abs(), (found.quats + unit).abs())
    assert (apart.amax(dim=1) <= steps * SETTINGS.quats + 1e-6).all()
    assert ((found.log_scales - expected.log_scales).abs() <= steps * SETTINGS.log_scales + 1e-6).all()
    assert ((found.opacity_logits - expected.opacity_logits).abs() <= steps * SETTINGS.opacity_logits + 1e-6).all()
    for those, step in ((slice(0, 1), SETTINGS.sh_dc), (slice(1, None), SETTINGS.sh_rest)):
        assert ((found.sh[:, those] - expected.sh[:, those]).abs() <= steps * step + 1e-6).all()


def equal(one: Codes, other: Codes) -> bool:
    return one.steps == other.steps and all(torch.equal(one.tensors[name], other.tensors[name]) for name in NAMES)


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_numbers_come_back_within_half_a_step_and_in_later_frames_within_the_share_that_keeps_a_code(coefficients: int) -> None:
    first = cloud(coefficients=coefficients)
    codes = encode(first, None, SETTINGS)
    assert codes.sh_coefficients == coefficients
    assert_within(decode(codes), first, 0.5)
    second = moved(first, 0.5, slice(0, 100))
    assert_within(decode(encode(second, codes, SETTINGS)), second, SETTINGS.keep_within)


def test_what_does_not_change_keeps_its_codes() -> None:
    first = cloud()
    codes = encode(first, None, SETTINGS)
    for scale in (1.0, 1 + 1e-5):
        again = encode(dataclasses.replace(first, means=first.means * scale, quats=-3 * first.quats), codes, SETTINGS)
        changed = [name for name, change in differences(again, codes).items() if bool((change != 0).any())]
        assert changed == ([] if scale == 1.0 else ["means"])
    little = encode(moved(first, 0.001, slice(0, 300)), codes, SETTINGS)
    assert (differences(little, codes)["means"] != 0).float().mean() < 0.3


def test_a_value_keeps_its_code_while_it_is_near_enough() -> None:
    one = cloud(count=5)
    codes = encode(dataclasses.replace(one, opacity_logits=torch.full((5,), 0.6)), None, SETTINGS)
    steps = torch.tensor([0.0, 0.55, 0.65, -0.55, -0.65])
    after = encode(dataclasses.replace(one, opacity_logits=0.6 + 0.2 * steps), codes, SETTINGS)
    assert after.tensors["opacity_logits"][:, 0].tolist() == [3, 3, 4, 3, 2]


def test_changes_added_to_the_frame_before_are_the_frame_also_where_sizes_change() -> None:
    first = cloud()
    codes = encode(first, None, SETTINGS)
    other = dataclasses.replace(cloud(1), log_scales=first.log_scales + torch.linspace(-40, 40, 300)[:, None])
    after = encode(other, codes, SETTINGS)
    assert equal(add(differences(after, codes), codes, after.steps), after)
    assert equal(add(differences(after, None), None, after.steps), after)
    assert (after.tensors["exponents"] != codes.tensors["exponents"]).any()


def test_nothing_is_clipped_however_far_or_small() -> None:
    ends = torch.tensor([3e38, -3e38, 1e-38, 0.0, 1e10])
    for scale in (-200.0, -30.0, 0.0, 200.0):
        wide = Gaussians(
            ends[:, None].repeat(1, 3), torch.eye(4)[[0, 1, 2, 3, 0]], torch.full((5, 3), scale), 1e8 * ends.sign(), cloud().sh[:5]
        )
        back = decode(encode(wide, None, SETTINGS))
        assert ((back.means - wide.means).abs() <= 1e-6 * wide.means.abs() + max(math.exp(min(scale, 80)), 1e-36)).all()
        assert ((back.opacity_logits - wide.opacity_logits).abs() <= 1e-6 * wide.opacity_logits.abs() + 0.5).all()
        assert (back.log_scales - wide.log_scales).abs().max() <= SETTINGS.log_scales


def test_a_frame_whose_numbers_outgrow_the_steps_gets_steps_of_its_own() -> None:
    first = cloud()
    codes = encode(first, None, SETTINGS)
    after = encode(dataclasses.replace(first, opacity_logits=first.opacity_logits * 1e9), codes, SETTINGS)
    assert after.steps["opacity_logits"] > SETTINGS.opacity_logits
    assert after.tensors["opacity_logits"].abs().max() == LARGEST_CODE


@pytest.mark.parametrize("name", ["means", "quats", "log_scales", "opacity_logits", "sh"])
def test_numbers_that_are_not_finite_are_a_defect(name: str) -> None:
    broken = cloud().tensors()[name].clone()
    broken[7] = torch.nan
    with pytest.raises(ShapeError, match="not all finite"):
        encode(dataclasses.replace(cloud(), **{name: broken}), None, SETTINGS)


def test_no_gaussians_are_no_codes() -> None:
    none = cloud()[:0]
    codes = encode(none, None, SETTINGS)
    assert len(decode(encode(none, codes, SETTINGS))) == 0


def test_codes_of_which_no_gaussians_come_are_refused() -> None:
    codes = encode(cloud(), None, SETTINGS)
    for name, value in (("quats", 0), ("exponents", 2000)):
        with pytest.raises(ValueError, match="not those of Gaussians"):
            decode(Codes({**codes.tensors, name: torch.full_like(codes.tensors[name], value)}, codes.steps))
