"""Features of one image per camera and their matches, in a COLMAP database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trackersplat.captures.media.lens import OpenCVLens
from trackersplat.errors import InputError
from trackersplat.events import Event
from trackersplat.sfm.colmap import load_pycolmap, stoppable, to_colmap
from trackersplat.sfm.events import Step
from trackersplat.sfm.settings import FeatureSettings, Intrinsics

FEATURES = FeatureSettings()


@dataclass(frozen=True, eq=False)
class Photo:
    """One camera's image of the frame."""

    camera: str
    image: np.ndarray  # (H, W, 3) uint8 RGB
    lens: OpenCVLens | None = None  # None: unknown


@dataclass(frozen=True, eq=False)
class Features:
    """A folder with ``database.db`` and ``images``, which are ``factors`` times as large as the photographs."""

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


@dataclass(frozen=True, eq=False)
class FeaturesFound(Event):
    """The last event of `find_features`."""

    features: Features


def find_features(folder: Path, photos: Sequence[Photo], intrinsics: Intrinsics, settings: FeatureSettings = FEATURES) -> Iterator[Event]:
    """SIFT (Lowe 2004) in every photograph, and matches of every two that fit one epipolar geometry: `Step` events, then `FeaturesFound`.

    Few cameras get affine shapes and domain-size pooling (Dong and Soatto 2015), which take three times as long.

    ``intrinsics`` are those of the cameras in the database, from which a reconstruction without poses starts: "given" are the lenses of the
    photographs; "each" is one focal length and one coefficient of radial distortion per camera; "shared" is one lens of OpenCV's model for
    all cameras. The last two start at the given lens, where there is one.

    Raises InputError if the intrinsics are to be shared by images of different sizes.
    """
    pc = load_pycolmap()
    sizes = {photo.image.shape[:2] for photo in photos}
    if intrinsics == "shared" and len(sizes) > 1:
        raise InputError("The cameras have images of different sizes, so they cannot share their intrinsics: use --intrinsics each.")
    pc.set_random_seed(settings.seed)
    features = Features(folder, tuple(photo.camera for photo in photos), tuple(_factor(photo.image, settings) for photo in photos), ())
    features.images.mkdir(parents=True)
    options = pc.FeatureExtractionOptions()
    options.use_gpu = False  # published wheels have no CUDA, and results must not depend on the build
    options.sift.max_num_features = settings.max_features
    options.sift.estimate_affine_shape = options.sift.domain_size_pooling = len(photos) <= settings.few_cameras
    for index, photo in enumerate(photos):
        yield Step("finding features", index, len(photos))
        name, factor = _file(index), features.factors[index]
        cv2.imwrite(str(features.images / name), np.ascontiguousarray(_enlarged(photo.image, factor)[..., ::-1]))
        reader = pc.ImageReaderOptions()
        if intrinsics == "shared" and index > 0:
            reader.existing_camera_id = 1
        else:
            camera = _start(photo, factor, intrinsics, settings)
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
    verification.ransac.random_seed = settings.seed
    stoppable(pc.match_exhaustive, features.database, matching_options=matching, verification_options=verification)
    with pc.Database.open(features.database) as database:
        known = {image.name: image.image_id for image in database.read_all_images()}
        counts = tuple(
            database.num_keypoints_for_image(known[_file(index)]) if _file(index) in known else 0 for index in range(len(photos))
        )
    yield FeaturesFound(Features(folder, features.cameras, features.factors, counts))


def _start(photo: Photo, factor: int, intrinsics: Intrinsics, settings: FeatureSettings) -> Any:
    """The pycolmap.Camera that a reconstruction starts from."""
    height, width = photo.image.shape[:2]
    focal = settings.unknown_focal * max(width, height)
    lens = photo.lens or OpenCVLens(width, height, focal, focal, width / 2, height / 2)
    if intrinsics == "given":
        return to_colmap(lens, factor, "PINHOLE")
    square = abs(lens.fx / lens.fy - 1) < settings.square_tolerance
    return to_colmap(lens, factor, "SIMPLE_RADIAL" if intrinsics == "each" and square else "OPENCV")


def _factor(image: np.ndarray, settings: FeatureSettings) -> int:
    return 2 if max(image.shape[:2]) < settings.small_side else 1


def _enlarged(image: np.ndarray, factor: int) -> np.ndarray:
    return image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def _file(index: int) -> str:
    """The image's name in the database. Names of cameras may be anything, so it is a number."""
    return f"{index:05d}.png"
