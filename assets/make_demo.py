"""Makes ``assets/demo``, the bundled capture, from rendered PNGs with truth.

    python assets/make_demo.py SOURCE [--out assets/demo]

SOURCE holds ``images/camXX/FFFF.png``, ``cameras.json``, ``poses_bounds.npy`` and ``gt/tracks.npz``. The result is in the N3DV
layout: ``camXX.mp4`` (H.264 4:4:4: with 4:2:0 these saturated colours stay near 32 dB), ``poses_bounds.npy``, ``capture.json``,
and ``gt/tracks.npz``, the truth for measuring: ``xyz`` (T, N, 3) float32 world positions of N surface points, ``vis``
(C, T, N) bool (cameras in the order of their names), ``dynamic`` (N,) bool, ``obj`` (N,) int16 into ``object_names``.
Pixel positions are the projections of ``xyz``. There are no 3D points: the demo reconstructs from the videos alone.

Every video gets the coarsest quantisation whose worst frame, read back through the package's own reader, keeps WORST_PSNR.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from rich.console import Console
from rich.table import Table

from trackersplat.captures.media.decode import VideoSource, open_videos, read_image

WORST_PSNR = 38.5  # dB, of the worst frame of each camera
MAX_BYTES = 8_000_000  # of the whole folder
COARSEST, FINEST = 18, 4  # x264 CRF
KEY_INTERVAL = 15  # frames: a jump decodes at most about twice as many
DESCRIPTION = "Path-traced room with eight kinds of moving things, 12 cameras, made for this project. Truth in gt/tracks.npz."
LICENCE = "Apache-2.0, like the package"


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the bundled demo capture from rendered images.")
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent / "demo")
    arguments = parser.parse_args()
    make_demo(arguments.source, arguments.out)


def make_demo(source: Path, out: Path) -> None:
    """Writes the capture into ``out`` (replaced) and prints size and PSNR per camera. Exits with a message if it gets too large."""
    description = json.loads((source / "cameras.json").read_text())
    fps = float(description["fps"])
    if out.exists():
        shutil.rmtree(out)
    (out / "gt").mkdir(parents=True)
    table = Table("camera", "CRF", "kB", "worst frame", "mean", title=f"{out}: PSNR of the decoded videos against the PNGs (dB)")
    for camera in description["cameras"]:
        images = np.stack([read_image(path) for path in sorted((source / "images" / camera["name"]).glob("*.png"))])
        video = out / f"{camera['name']}.mp4"
        crf, psnr = encode_at_least(images, fps, video, WORST_PSNR)
        table.add_row(camera["name"], str(crf), f"{video.stat().st_size / 1e3:.0f}", f"{psnr.min():.2f}", f"{psnr.mean():.2f}")
    np.save(out / "poses_bounds.npy", np.load(source / "poses_bounds.npy", allow_pickle=False))
    settings = {
        "name": "demo",
        "fps": fps,
        "held_out": list(description["held_out"]),
        "description": DESCRIPTION,
        "licence": LICENCE,
    }
    (out / "capture.json").write_text(json.dumps(settings, indent=1) + "\n")
    with np.load(source / "gt" / "tracks.npz", allow_pickle=False) as truth:
        kept = {key: truth[key] for key in ("xyz", "vis", "dynamic", "obj", "object_names")}
    np.savez_compressed(out / "gt" / "tracks.npz", **kept)
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    tracks = (out / "gt" / "tracks.npz").stat().st_size
    table.caption = f"tracks {tracks / 1e3:.0f} kB, whole folder {total / 1e6:.2f} MB of {MAX_BYTES / 1e6:g} MB"
    Console().print(table)
    if total > MAX_BYTES:
        raise SystemExit(f"{out} has {total} bytes, more than {MAX_BYTES}: lower WORST_PSNR.")


def encode_at_least(images: np.ndarray, fps: float, video: Path, worst: float) -> tuple[int, np.ndarray]:
    """Encodes (T, H, W, 3) uint8 RGB at the highest CRF whose worst frame has ``worst`` dB; the CRF and (T,) PSNRs."""
    for crf in range(COARSEST, FINEST - 1, -1):
        encode(images, fps, video, crf)
        psnr = psnr_through_reader(video, images)
        if psnr.min() >= worst:
            return crf, psnr
    raise SystemExit(f"{video} stays below {worst} dB even at CRF {FINEST}.")


def encode(images: np.ndarray, fps: float, video: Path, crf: int) -> None:
    """H.264 4:4:4, limited range BT.601, tagged as such: what decoders that ignore the tags assume as well."""
    _, height, width, _ = images.shape
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    command += ["-vf", "scale=out_color_matrix=bt601:out_range=tv:flags=accurate_rnd+full_chroma_int+lanczos", "-pix_fmt", "yuv444p"]
    command += ["-c:v", "libx264", "-preset", "veryslow", "-tune", "psnr", "-crf", str(crf), "-g", str(KEY_INTERVAL), "-threads", "1"]
    command += ["-colorspace", "smpte170m", "-color_primaries", "bt709", "-color_trc", "iec61966-2-1", "-color_range", "tv"]
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-movflags", "+faststart", str(video)]
    subprocess.run(command, input=images.tobytes(), check=True)


def psnr_through_reader(video: Path, images: np.ndarray) -> np.ndarray:
    """(T,) dB between the frames as the package reads them and the images."""
    source = VideoSource(open_videos([video]))
    if source.frame_count != len(images):
        raise SystemExit(f"{video} has {source.frame_count} frames, expected {len(images)}.")
    errors = [np.mean((source.read(0, frame).astype(np.float64) - image) ** 2) for frame, image in enumerate(images)]
    source.close()
    return 10 * np.log10(255**2 / np.array(errors))


if __name__ == "__main__":
    main()
