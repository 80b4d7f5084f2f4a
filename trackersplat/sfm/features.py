"""Features of one image per camera and what they have in common, in a COLMAP database."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.errors import InputError
from trackersplat.sfm.colmap import load_pycolmap, stoppable, to_colmap

Intrinsics = Literal["given", "each", "shared"]

SMALL_SIDE = 640  # pixels; images whose longer side is shorter are enlarged twice, which gives several times the points
MAX_FEATURES = 8192  # per image
FEW_CAMERAS = 4  # up to which views are taken to be far apart, and more is done for each feature
SQUARE = 0.002  # difference of the focal lengths of a lens that one number describes
UNKNOWN_FOCAL = 1.2  # times the longer side, where nothing is known


@dataclass(frozen=True)
class Step:
    """What is being done, for people. ``total`` 0: nobody knows how long."""

    what: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True, eq=False)
class Photo:
    """One camera's image of the frame."""

    camera: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    lens: OpenCVLens | None = None  # None: unknown


@dataclass(frozen=True, eq=False)
class Features:
    """A folder with ``database.db`` and ``images``; its pixels are ``factors`` times as fine as the photographs'."""

    folder: Path
    cameras: tuple[str, ...]
    factors: tuple[int, ...]
    counts: tuple[int, ...]  # features per camera

    @property
    def database(self) -> Path:
        return self.folder / "database.db"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    def file(self, camera: str) -> str:
        return _file(self.cameras.index(camera))

    def factor(self, camera: str) -> int:
        return self.factors[self.cameras.index(camera)]


def find_features(folder: Path, photos: Sequence[Photo], intrinsics: Intrinsics) -> Generator[Step, None, Features]:
    """SIFT (Lowe 2004) in every photograph, and matches of every two, checked by their epipolar geometry.

    Few cameras get affine shapes and pooling over domain sizes (Dong and Soatto 2015), which take three times as long.

    ``intrinsics`` says what the database's cameras shall be, where a reconstruction without poses starts from: "given" fixes the lenses
    of the photographs, "each" is a focal length and one coefficient of radial distortion per camera, "shared" one lens of OpenCV's model
    for all; these start at the given lens, where there is one.

    Raises InputError if the intrinsics cannot be shared, being of images of different sizes.
    """
    pc = load_pycolmap()
    sizes = {photo.image.shape[:2] for photo in photos}
    if intrinsics == "shared" and len(sizes) > 1:
        raise InputError("The cameras have images of different sizes, so they cannot share their intrinsics: use --intrinsics each.")
    pc.set_random_seed(0)
    features = Features(folder, tuple(photo.camera for photo in photos), tuple(_factor(photo.image) for photo in photos), ())
    features.images.mkdir(parents=True)
    options = pc.FeatureExtractionOptions()
    options.use_gpu = False  # the wheels have no CUDA; what differs would not be repeatable
    options.sift.max_num_features = MAX_FEATURES
    options.sift.estimate_affine_shape = options.sift.domain_size_pooling = len(photos) <= FEW_CAMERAS
    for index, photo in enumerate(photos):
        yield Step("finding features", index, len(photos))
        name, factor = _file(index), features.factors[index]
        cv2.imwrite(str(features.images / name), np.ascontiguousarray(_enlarged(photo.image, factor)[..., ::-1]))
        reader = pc.ImageReaderOptions()
        if intrinsics == "shared" and index > 0:
            reader.existing_camera_id = 1
        else:
            camera = _start(photo, factor, intrinsics)
            reader.camera_model, reader.camera_params = camera.model_name, camera.params_to_string()
        stoppable(
            pc.extract_features,
            features.database,
            features.images,
            image_names=[name],
            camera_mode=pc.CameraMode.PER_IMAGE,
            reader_options=reader,
            extraction_options=options,
        )
    yield Step(f"matching {len(photos) * (len(photos) - 1) // 2} pairs of images")
    matching = pc.FeatureMatchingOptions()
    matching.use_gpu = False
    verification = pc.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    stoppable(pc.match_exhaustive, features.database, matching_options=matching, verification_options=verification)
    with pc.Database.open(features.database) as database:
        known = {image.name: image.image_id for image in database.read_all_images()}
        counts = tuple(
            database.num_keypoints_for_image(known[_file(index)]) if _file(index) in known else 0 for index in range(len(photos))
        )
    return Features(folder, features.cameras, features.factors, counts)


def _start(photo: Photo, factor: int, intrinsics: Intrinsics) -> Any:
    """The pycolmap.Camera that a reconstruction starts from."""
    height, width = photo.image.shape[:2]
    focal = UNKNOWN_FOCAL * max(width, height)
    lens = photo.lens or OpenCVLens(width, height, focal, focal, width / 2, height / 2)
    if intrinsics == "given":
        return to_colmap(lens, factor, "PINHOLE")
    square = abs(lens.fx / lens.fy - 1) < SQUARE
    return to_colmap(lens, factor, "SIMPLE_RADIAL" if intrinsics == "each" and square else "OPENCV")


def _factor(image: np.ndarray) -> int:
    return 2 if max(image.shape[:2]) < SMALL_SIDE else 1


def _enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _file(index: int) -> str:
    """A camera may be called anything; its image here is called by its number."""
    return f"{index:05d}.png"
