import json
from pathlib import Path

import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.sequence import GaussianSequence, write_sequence

N, MOVING, FRAMES = 400, 100, (0, 1, 2, 5)


def scene(frame: int, sh_coefficients: int = 4) -> Gaussians:
    """400 Gaussians of which the first 100 change from frame to frame."""
    rest = torch.Generator().manual_seed(1)
    quats = torch.nn.functional.normalize(torch.randn(N, 4, generator=rest), dim=1)
    parts = {
        "means": 4 * torch.rand(N, 3, generator=rest) - 2,
        "quats": torch.where(quats[:, :1] < 0, -quats, quats),
        "log_scales": torch.rand(N, 3, generator=rest) * 3 - 6,
        "opacity_logits": torch.randn(N, generator=rest),
        "sh": torch.randn(N, sh_coefficients, 3, generator=rest),
    }
    parts["means"][:MOVING] += 0.01 * frame
    return Gaussians(**parts)


@pytest.fixture
def sequence(tmp_path: Path) -> GaussianSequence:
    write_sequence(tmp_path / "sequence", FRAMES, scene)
    return GaussianSequence.open(tmp_path / "sequence")


def test_frames_come_back_within_half_a_quantisation_step(sequence: GaussianSequence) -> None:
    assert sequence.frames == FRAMES
    for frame in FRAMES:
        back, truth = sequence.read(frame), scene(frame)
        for name, levels in (("means", 65535), ("log_scales", 255), ("sh", 255), ("quats", 255), ("opacity_logits", 255)):
            original = truth.tensors()[name]
            all_frames = torch.stack([scene(f).tensors()[name] for f in FRAMES])
            span = all_frames.flatten(0, 1).amax(0) - all_frames.flatten(0, 1).amin(0)
            error = (back.tensors()[name] - original).abs()
            assert (error <= 0.5001 * span / levels + 1e-6).all(), name


def test_what_never_changes_is_stored_once(sequence: GaussianSequence) -> None:
    manifest = json.loads((sequence.path / "manifest.json").read_text())
    assert manifest["moving"] == MOVING
    bytes_per_gaussian = 3 * 2 + 4 + 3 + 1 + 4 * 3
    size = (sequence.path / "frame2.safetensors").stat().st_size
    assert MOVING * bytes_per_gaussian <= size < MOVING * bytes_per_gaussian + 1000
    still = [sequence.read(frame)[MOVING:] for frame in (0, 5)]
    assert torch.equal(still[0].means, still[1].means)


def test_a_flipped_byte_is_noticed(sequence: GaussianSequence) -> None:
    path = sequence.path / "frame2.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"frame2\.safetensors is damaged"):
        sequence.read(1)
    sequence.read(2)


def test_a_truncated_or_missing_file_is_noticed(sequence: GaussianSequence) -> None:
    path = sequence.path / "static.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="bytes, the manifest says"):
        sequence.read(0)
    path.unlink()
    with pytest.raises(InputError, match="Cannot read"):
        sequence.read(0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 9}', '{"format":1,"ranges":{"means":3},"frames":[1]}'])
def test_a_broken_manifest_is_one_sentence(sequence: GaussianSequence, text: str) -> None:
    (sequence.path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="manifest"):
        GaussianSequence.open(sequence.path)


def test_frames_of_different_gaussians_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Frame 2 has 300 Gaussians"):
        write_sequence(tmp_path / "sequence", (0, 1), lambda frame: scene(frame)[: 400 - 100 * frame])
    assert list(tmp_path.iterdir()) == []
