"""What the page says before a reconstruction starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trackersplat.errors import InputError
from trackersplat.pipelines.settings import ReconstructSettings
from trackersplat.tracking.consistency.settings import ConsistencySettings
from viewer.jobs import Options
from viewer.plan import PRESETS, Target, make_plan, new_folder, options_of, plan_again
from viewer.progress import Pace

NEW = Target(Path("output/c"))
OPTIONS = Options(pipeline="base-propagate")


def run(*frames: int) -> Target:
    return Target(Path("output/c"), frames, OPTIONS)


def test_a_whole_clip_says_where_it_starts_and_how_long_it_takes() -> None:
    plan = make_plan((0, 5), NEW, OPTIONS, [("the frames of demo-run", Pace(30.0, 5.0))])
    assert (plan.frames, plan.scratch, plan.seconds) == ((0, 1, 2, 3, 4, 5), (0,), 55.0)
    assert plan.warning == plan.refused == ""
    text = " ".join(plan.sentences)
    assert "Frames 1 to 6 will be reconstructed." in text
    assert "Frame 1 is fitted from scratch" in text
    assert "About 55 s, by what the frames of demo-run took." in text


def test_a_frame_without_an_earlier_one_is_said_to_be_fitted_from_scratch_and_the_way_there_is_offered() -> None:
    plan = make_plan((28, 28), NEW, OPTIONS)
    assert plan.scratch == (28,)
    assert "no earlier frame in this run, so frame 29 would be fitted from scratch" in plan.warning
    assert plan.better == (0, 28)
    assert "not known" in plan.sentences[-1]


def test_a_frame_far_from_its_base_offers_the_frames_in_between() -> None:
    plan = make_plan((9, 9), run(0, 1, 2), OPTIONS)
    assert plan.scratch == ()
    assert "It follows from frame 3." in plan.sentences
    assert "7 frames before" in plan.warning
    assert plan.better == (3, 9)
    near = make_plan((3, 3), run(0, 1, 2), OPTIONS)
    assert (near.warning, near.better) == ("", None)


def test_frames_that_are_there_are_counted_and_all_of_them_is_refused() -> None:
    plan = make_plan((0, 3), run(0, 1), OPTIONS)
    assert plan.frames == (2, 3)
    assert "2 of the frames asked for are there already" in plan.sentences[0]
    assert "Frames 1 to 2 are there already; nothing would be done" in make_plan((0, 1), run(0, 1), OPTIONS).refused


def test_frames_that_jobs_before_it_will_make_are_there_by_then() -> None:
    plan = make_plan((3, 4), run(0), OPTIONS, waiting=(1, 2))
    assert (plan.frames, plan.scratch, plan.warning) == ((3, 4), (), "")
    assert "They follow from frame 3." in plan.sentences


def test_frames_that_edits_have_made_out_of_date_are_made_again_and_no_others() -> None:
    target = replace(run(0, 1, 2, 3, 4), stale=frozenset({2, 3, 4}))
    plan = make_plan((1, 3), target, OPTIONS, [("the frames of c", Pace(30.0, 5.0))])
    assert (plan.redo, plan.frames, plan.scratch, plan.seconds, plan.refused) == (True, (2, 3), (), 10.0, "")
    text = " ".join(plan.sentences)
    assert "Frames 3 to 4 are made again, with the edits that came after them." in text
    assert "Frame 5 is out of date, too, and stays so." in text
    assert "there already" in make_plan((0, 1), target, OPTIONS).refused
    assert "there already" in make_plan((2, 4), target, OPTIONS, waiting=(2, 3, 4)).refused  # a job before it makes them


def test_frames_that_are_missing_come_first_and_the_others_are_named() -> None:
    target = replace(run(0, 1, 2), stale=frozenset({1, 2}))
    plan = make_plan((1, 4), target, OPTIONS)
    assert (plan.redo, plan.frames) == (False, (3, 4))
    assert "Frames 2 to 3, which edits have made out of date, are made again in another job." in plan.sentences
    again = plan_again((0, 9), target, OPTIONS)
    assert (again.redo, again.frames) == (True, (1, 2))
    assert "nothing would be done" in plan_again((0, 9), run(0, 1), OPTIONS).refused


def test_the_options_of_a_run_are_read_from_its_settings() -> None:
    settings = ReconstructSettings().to_json()
    options = options_of(settings, ["cam00"], ("cam00",))
    assert (options.tracker, options.batch, options.seed, options.match_rounds, options.hold_out) == ("dis", 1, 0, 1, None)
    assert options.steps == settings["refine"]["steps"]
    assert options_of(settings, ["cam01"], ("cam00",)).hold_out == "cam01"
    assert options.tracking == "fast"
    joined = replace(ReconstructSettings(), motion=replace(ReconstructSettings().motion, agreement=ConsistencySettings())).to_json()
    assert options_of(joined, ["cam00"], ("cam00",)).tracking == "accurate"


@pytest.mark.parametrize("change", [{"tracker": "--out=/etc"}, {"tracker": "a\nb"}, {"batch": "many"}, {"refine": {}}, {"first": None}])
def test_settings_that_are_not_ours_are_refused_and_never_become_options(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="start a new run"):
        options_of({**ReconstructSettings().to_json(), **change})


def test_a_new_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    assert new_folder(out) == out
    out.mkdir()
    assert new_folder(out) == out
    (out / "run.json").touch()
    assert new_folder(out).name == "demo-2"
    assert new_folder(out, {tmp_path / "demo-2"}).name == "demo-3"


def test_presets_change_steps_and_rounds_alone() -> None:
    assert [preset.name for preset in PRESETS] == ["draft", "standard", "best"]
    for preset in PRESETS:
        changed = {option.removeprefix("--") for option in preset.options.arguments()[::2]}
        assert changed <= {"steps", "first-steps", "match-rounds"}
        for number in (preset.options.steps, preset.options.first_steps):
            assert number is None or str(number) in preset.hint
