from __future__ import annotations

import pytest

from trackersplat.metrics.names import REGIONS, STAGES, ScoreName
from trackersplat.metrics.registry import METRICS


def test_every_name_of_a_score_is_read_back_as_it_was_written() -> None:
    names = [ScoreName(metric, region, stage) for metric in METRICS.names() for region in ("", *REGIONS) for stage in ("", *STAGES)]
    assert [ScoreName.parse(str(name)) for name in names] == names
    assert len({str(name) for name in names}) == len(names)
    assert str(ScoreName("lpips_alex", "dynamic", "unmoved")) == "unmoved_dynamic_lpips_alex"


def test_titles_say_metric_pixels_stage_and_unit() -> None:
    assert ScoreName("psnr").title == "PSNR (dB)"
    assert ScoreName("psnr", "dynamic", "unmoved").title == "PSNR dynamic, unmoved (dB)"
    assert ScoreName("ssim", "masked").title == "SSIM masked"
    assert ScoreName.parse("moved_flip").title == "flip, moved"  # a metric of another installation


@pytest.mark.parametrize("text", ["", "moved_", "unmoved_masked_"])
def test_a_name_without_a_metric_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not the name of a score"):
        ScoreName.parse(text)
