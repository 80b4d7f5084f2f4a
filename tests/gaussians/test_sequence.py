import json
from pathlib import Path

import numpy as np
import pytest
import torch

from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.gaussians.quantised import KEY_FRAME_EVERY, LEVELS, Range, SequenceSettings, columns_of
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


def test_a_value_keeps_its_code_while_it_is_near_enough() -> None:
    quantiser = Range(np.zeros(1), np.full(1, 10.0), 10)  # steps of 1
    before = quantiser.encode(np.array([[3.0]] * 5), None, 0.65)
    after = quantiser.encode(np.array([[3.0], [3.6], [3.7], [2.4], [2.3]]), before, 0.65)
    assert after[:, 0].tolist() == [3, 3, 4, 3, 2]


def test_frames_come_back_within_one_quantisation_step(sequence: GaussianSequence) -> None:
    assert sequence.frames == FRAMES
    for frame in FRAMES:
        back, truth = sequence.read(frame), columns_of(scene(frame))
        columns = {**columns_of(back), "quats": back.quats.numpy()}  # as they are stored, not normalised again
        for name, levels in LEVELS.items():
            all_frames = np.concatenate([columns_of(scene(f))[name] for f in FRAMES])
            step = (all_frames.max(0) - all_frames.min(0)) / levels
            limit = (
                0.502 if frame == 0 else SequenceSettings().keep_within + 0.002
            )  # a key frame is rounded, later codes are kept while they are near enough
            assert (np.abs(columns[name] - truth[name]) <= limit * step + 1e-6).all(), name


def test_what_does_not_change_costs_next_to_nothing_and_does_not_flicker(sequence: GaussianSequence) -> None:
    key, second = ((sequence.path / f"frame{number}.safetensors").stat().st_size for number in (1, 2))
    assert second < 0.25 * key
    first, last = sequence.read(0), sequence.read(5)
    for name in ("means", "quats", "log_scales", "opacity_logits", "sh"):
        assert torch.equal(first.tensors()[name][MOVING:], last.tensors()[name][MOVING:])
    assert not torch.equal(first.means[:MOVING], last.means[:MOVING])


def test_frames_beyond_a_key_frame_come_back_too(tmp_path: Path) -> None:
    frames = tuple(range(2 * KEY_FRAME_EVERY + 2))
    write_sequence(tmp_path / "long", frames, scene)
    long = GaussianSequence.open(tmp_path / "long")
    for frame in (KEY_FRAME_EVERY - 1, KEY_FRAME_EVERY, KEY_FRAME_EVERY + 1, frames[-1]):
        assert torch.allclose(long.read(frame).means, scene(frame).means, atol=1e-3)


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_every_sh_degree_is_kept(tmp_path: Path, coefficients: int) -> None:
    write_sequence(tmp_path / "sequence", (0, 1), lambda frame: scene(frame, coefficients))
    assert torch.allclose(GaussianSequence.open(tmp_path / "sequence").read(1).sh, scene(1, coefficients).sh, atol=0.15)


def test_a_flipped_byte_is_noticed(sequence: GaussianSequence) -> None:
    path = sequence.path / "frame2.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for frame in (1, 5):  # itself, and one that builds on it
        with pytest.raises(InputError, match=r"frame2\.safetensors is damaged"):
            sequence.read(frame)
    sequence.read(0)


def test_a_truncated_or_missing_file_is_noticed(sequence: GaussianSequence) -> None:
    path = sequence.path / "frame1.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="bytes, the manifest says"):
        sequence.read(0)
    path.unlink()
    with pytest.raises(InputError, match=r"frame1\.safetensors is missing"):
        sequence.read(0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 9}', '{"format":1,"ranges":{"means":3},"frames":[1]}'])
def test_a_broken_manifest_is_one_sentence(sequence: GaussianSequence, text: str) -> None:
    (sequence.path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="manifest"):
        GaussianSequence.open(sequence.path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("frames", [0, 1]), ("frames", [2, 1]), ("frames", [1, 1]), ("frames", [1e999]), ("files", {"frame1.safetensors": 3})],
)
def test_a_hostile_manifest_is_one_sentence(sequence: GaussianSequence, key: str, value: object) -> None:
    manifest = sequence.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), key: value}))
    with pytest.raises(InputError, match="is not a sequence manifest of ours"):
        GaussianSequence.open(sequence.path)


def test_a_range_beyond_single_precision_is_refused(sequence: GaussianSequence) -> None:
    manifest = sequence.path / "manifest.json"
    data = json.loads(manifest.read_text())
    data["ranges"]["means"]["high"][0] = 1e300
    manifest.write_text(json.dumps(data))
    with pytest.raises(InputError, match="the range of means"):
        GaussianSequence.open(sequence.path)


def test_every_frame_is_read_back_before_the_sequence_counts_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[str] = set()
    load = GaussianSequence._load

    def noted(self: GaussianSequence, path: Path) -> dict[str, np.ndarray]:
        read.add(path.name)
        return load(self, path)

    monkeypatch.setattr(GaussianSequence, "_load", noted)
    frames = tuple(range(KEY_FRAME_EVERY + 2))
    write_sequence(tmp_path / "long", frames, scene)
    assert read == {f"frame{frame + 1}.safetensors" for frame in frames}


def test_frames_of_different_gaussians_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Frame 2 has 300 Gaussians"):
        write_sequence(tmp_path / "sequence", (0, 1), lambda frame: scene(frame)[: 400 - 100 * frame])
    assert list(tmp_path.iterdir()) == []
