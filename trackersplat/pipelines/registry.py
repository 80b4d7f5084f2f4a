"""The pipelines by name. The names are those of the published system, as are the folders they write."""

from __future__ import annotations

from trackersplat.pipelines.pipeline import Pipeline, PipelineFacts
from trackersplat.registry import Registry

PIPELINES: Registry[PipelineFacts] = Registry(
    "pipeline",
    (
        PipelineFacts(
            "base-propagate",
            "move the Gaussians by point tracks, then refine",
            "trackersplat.pipelines.base_propagate:BasePropagate",
            folder="refine/base-propagate-{tracker}",
        ),
        PipelineFacts(
            "train-base",
            "refine from the base frame without moving first",
            "trackersplat.pipelines.train_base:TrainBase",
            folder="train/base",
            tracks=False,
        ),
    ),
)


def create_pipeline(name: str) -> Pipeline:
    """Raises InputError if the name is unknown."""
    pipeline: Pipeline = PIPELINES.load(name)()
    return pipeline
