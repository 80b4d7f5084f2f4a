"""The panels about tracks in a real browser, with real mouse and keys, on the demo with a made diagnosis."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from forked import Program
from made_diagnosis import made_diagnosis
from track_page import BAD_CAMERA

from trackersplat.captures.demo import demo_capture, demo_run
from trackersplat.captures.registry import open_capture
from trackersplat.edits.log import read_log
from viewer.views.table import TrackList

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HERE = Path(__file__).parent
PER_CAMERA = 40
PATIENCE = 60_000  # milliseconds until a test gives up; no expectation


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(demo_run(), tmp_path_factory.mktemp("run") / "demo", ignore=shutil.ignore_patterns("diagnosis.npz")))


@pytest.fixture(scope="module")
def address(run: Path) -> Iterator[str]:
    with Program(str(HERE / "track_page.py"), (run, str(PER_CAMERA)), run.parent) as program:
        yield program.stdout.readline().strip()


@pytest.fixture(scope="module")
def tracks() -> TrackList:
    """As the page has them."""
    capture = open_capture(demo_capture())
    found = TrackList(made_diagnosis(capture.cameras, capture.frame_count, PER_CAMERA, bad_camera=BAD_CAMERA))
    capture.close()
    return found


@pytest.fixture(scope="module")
def opened(chromium: Browser, address: str, tracks: TrackList) -> Iterator[tuple[Page, list[str]]]:
    """The page, opened by a link to the last track of the table, and what it complains about."""
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE)
    page.route("**/stage/**", lambda route: route.fulfill(body=""))  # drawn without a GPU it costs seconds, and nobody looks at it
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(f"{address}?tracks={tracks.diagnosis.ids[int(tracks.worst_first[-1])]}")
    page.wait_for_selector(".ts-track-grid .ag-row")
    yield page, faults
    page.close()


@pytest.fixture
def page(opened: tuple[Page, list[str]]) -> Iterator[Page]:
    """One for all tests: nothing is selected, the table is on the screen from its first row on."""
    page, faults = opened
    open_tab(page, "Tracks")
    page.locator("body").press("Escape")
    page.wait_for_function("!location.search.includes('tracks=')")
    # The table may not have been drawn yet.
    page.locator(".ts-track-grid .ag-body-viewport").evaluate("table => { table.scrollTop = 0; }")
    page.wait_for_function(
        """() => { const rows = [...document.querySelectorAll('.ts-track-grid .ag-center-cols-container .ag-row')];
        return rows.length && Math.max(...rows.map(row => +row.getAttribute('row-index'))) === rows.length - 1; }"""
    )
    yield page
    assert faults == []


def row(page: Page, index: int) -> Locator:
    return page.locator(f".ts-track-grid .ag-center-cols-container .ag-row[row-index='{index}']")


def names(page: Page) -> list[str]:
    """Of the tracks on the screen, from above."""
    cells = page.locator(".ts-track-grid .ag-pinned-left-cols-container .ag-row").all()
    pairs = [(int(cell.get_attribute("row-index") or 0), cell.inner_text().strip()) for cell in cells]
    return [name for _, name in sorted(pairs)]


def wait_for_query(page: Page, **wanted: str) -> None:
    for name, value in wanted.items():
        page.wait_for_url(re.compile(rf"[?&]{name}={re.escape(value)}(&|$)"))


def wait_for_selected(page: Page, count: int) -> None:
    page.wait_for_function(
        "n => document.querySelectorAll('.ts-track-grid .ag-center-cols-container .ag-row-selected').length === n", arg=count
    )


def selected(page: Page) -> list[str]:
    return [cell.inner_text().strip() for cell in page.locator(".ts-track-grid .ag-pinned-left-cols-container .ag-row-selected").all()]


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def test_a_selection_made_elsewhere_is_scrolled_to(opened: tuple[Page, list[str]], tracks: TrackList) -> None:
    """The first of all: the link that the page is opened with selects the track."""
    page, _ = opened
    page.wait_for_selector(".ts-track-grid .ag-center-cols-container .ag-row-selected")
    assert selected(page) == [tracks.names[int(tracks.worst_first[-1])]]


def test_the_worst_track_is_first_and_a_click_selects_it_and_goes_to_its_worst_frame_and_camera(page: Page, tracks: TrackList) -> None:
    expected = [tracks.names[index] for index in tracks.worst_first.tolist()]
    shown = names(page)
    assert len(shown) > 5
    assert shown == expected[: len(shown)]
    third = int(tracks.worst_first[2])
    row(page, 2).locator(".ag-cell[col-id='2']").click()
    wait_for_query(page, frame=str(int(tracks.summary.worst[third]) + 1), tracks=str(tracks.diagnosis.ids[third]))
    wait_for_query(page, cameras=str(int(tracks.diagnosis.camera[third])))
    assert selected(page) == [tracks.names[third]]


def test_no_column_that_matters_is_cut_at_the_default_width(page: Page) -> None:
    box = page.locator(".ts-track-grid .ag-body-viewport").bounding_box()
    assert box is not None
    for column in range(6):
        cell = page.locator(f".ts-track-grid .ag-row[row-index='0'] .ag-cell[col-id='{column}']").bounding_box()
        assert cell is not None
        assert cell["x"] >= box["x"] - 1
        assert cell["x"] + cell["width"] <= box["x"] + box["width"] + 1
    cut = page.evaluate(
        "['0', '3', '5'].flatMap(id => [...document.querySelectorAll(`.ts-track-grid .ag-cell[col-id='${id}']`)])"
        ".filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.innerText)"
    )
    assert cut == []


def test_shift_selects_several_and_escape_none(page: Page, tracks: TrackList) -> None:
    row(page, 1).locator(".ag-cell[col-id='2']").click()
    row(page, 3).locator(".ag-cell[col-id='2']").click(modifiers=["Shift"])
    ids = [str(tracks.diagnosis.ids[index]) for index in tracks.worst_first[1:4].tolist()]
    page.wait_for_function("ids => ids.every(id => decodeURIComponent(location.search).includes(id))", arg=ids)
    wait_for_selected(page, 3)
    page.keyboard.press("Escape")
    page.wait_for_function("!location.search.includes('tracks=')")
    wait_for_selected(page, 0)


def test_n_goes_through_the_failures_and_back_and_the_table_follows(page: Page, tracks: TrackList) -> None:
    failures = tracks.failures().tolist()
    page.locator("body").press("n")
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[failures[0]]))
    page.locator("body").press("n")
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[failures[1]]), frame=str(int(tracks.summary.worst[failures[1]]) + 1))
    wait_for_selected(page, 1)
    assert selected(page) == [tracks.names[failures[1]]]
    page.locator("body").press("Shift+N")
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[failures[0]]))
    page.locator("body").press("Shift+N")  # round
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[failures[-1]]))


def test_up_and_down_in_the_table_select_and_left_and_right_are_time(page: Page, tracks: TrackList) -> None:
    order = tracks.worst_first.tolist()
    row(page, 0).locator(".ag-cell[col-id='2']").click()
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[order[0]]))
    page.keyboard.press("ArrowDown")
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[order[1]]))
    frame = int(tracks.summary.worst[order[1]]) + 1
    page.keyboard.press("ArrowLeft")
    wait_for_query(page, tracks=str(tracks.diagnosis.ids[order[1]]), frame=str(frame - 1))


def test_the_heat_map_names_the_bad_camera_and_a_click_goes_to_frame_and_camera(page: Page) -> None:
    open_tab(page, "Residuals")
    page.locator(".ts-finding", has_text="cam04 seems to be turned by 1.0 degrees").wait_for()
    box = page.locator(".ts-heat-box")
    box.wait_for()
    place = box.bounding_box()
    assert place is not None
    rows = (place["height"] - 18) / 12
    page.mouse.move(place["x"] + place["width"] - 2, place["y"] + 4.5 * rows)
    page.locator(".ts-heat-tip", has_text="cam04 · frame 30").wait_for()
    page.mouse.click(place["x"] + place["width"] - 2, place["y"] + 4.5 * rows)
    wait_for_query(page, frame="30", cameras="4")
    # The stripe: the pixel of cam04 is brighter than those of its neighbours.
    brightness = page.evaluate(
        """rows => { const c = document.querySelector('.ts-heat-box canvas'), s = c.width / c.clientWidth, g = c.getContext('2d');
        const sum = k => { const d = g.getImageData(c.width * 0.4, (k + 0.5) * rows * s, 1, 1).data; return d[0] + d[1] + d[2]; };
        return [3, 4, 5].map(sum); }""",
        rows,
    )
    assert brightness[1] > 1.5 * max(brightness[0], brightness[2])


def test_the_track_panel_shows_why_patches_curve_and_evidence_and_follows_the_frame(page: Page, tracks: TrackList) -> None:
    failures = tracks.failures().tolist()
    worst = int(tracks.summary.worst[failures[0]])
    page.locator("body").press("n")
    open_tab(page, "Track")
    page.get_by_text(f"Track {tracks.names[failures[0]]} in ").wait_for()
    page.get_by_text(f"In frame {worst + 1}:").wait_for()
    page.locator(f".ts-film .head .now:has-text('{worst + 1}')").wait_for()
    page.wait_for_function(
        "document.querySelector('.ts-film-row button.made')?.parentElement.style.backgroundImage.includes('data:image/jpeg')"
    )
    page.locator(".ts-evidence tr.unusual", has_text="reprojection residual").wait_for()
    page.get_by_text(f"Evidence in frame {worst + 1}").wait_for()
    page.locator(f".ts-film button[aria-label*='frame {worst}:']").first.click()
    wait_for_query(page, frame=str(worst))
    page.get_by_text(f"Evidence in frame {worst}").wait_for()
    curve = page.locator(".ts-curve-box").bounding_box()
    assert curve is not None
    page.mouse.click(curve["x"] + curve["width"] - 6, curve["y"] + 40)
    wait_for_query(page, frame="30")
    width = page.locator(".ts-track").evaluate("e => [e.scrollWidth, e.clientWidth]")
    assert width[0] <= width[1]


def test_actions_are_entries_in_the_log_with_undo_and_redo_and_frames_become_stale(page: Page, tracks: TrackList, run: Path) -> None:
    first = tracks.failures().tolist()[0]
    identity, worst = int(tracks.diagnosis.ids[first]), int(tracks.summary.worst[first])
    page.locator("body").press("n")
    open_tab(page, "Track")
    page.get_by_text(f"Track {tracks.names[first]} in ").wait_for()
    page.get_by_role("button", name="End track here").click()
    label = f"End track {tracks.names[first]} at frame {worst + 1}"
    page.locator(".ts-edit:not(.undone)", has_text=label).wait_for()
    assert [entry.label for entry in read_log(run).active] == [f"End track {identity} at frame {worst + 1}"]
    page.get_by_text("out of date: an edit came after it").wait_for()
    page.locator("body").press("Control+z")
    page.locator(".ts-edit.undone", has_text=label).wait_for()
    assert read_log(run).active == ()
    page.locator("body").press("Control+Shift+Z")
    page.locator(".ts-edit:not(.undone)", has_text=label).wait_for()
    page.locator("body").press("Control+z")
    page.locator(".ts-edit.undone", has_text=label).wait_for()
    page.get_by_role("button", name="Re-track back").click()
    page.locator(".ts-edit:not(.undone)", has_text="backward by dis").wait_for()
    assert [entry.kind for entry in read_log(run).active] == ["retrack"]
    page.locator("body").press("Control+z")
    page.get_by_text("Edits of this run: 0").wait_for()


def test_text_and_chips_filter_and_any_column_sorts(page: Page, tracks: TrackList) -> None:
    """It leaves the table in another order."""
    page.get_by_label("Filter the tracks").fill("cam03 drift")
    expected = [tracks.names[index] for index in tracks.matching("cam03 drift").tolist()]
    page.get_by_text(f"{len(expected)} of {len(tracks)} tracks").wait_for()
    page.wait_for_function(
        "n => document.querySelectorAll('.ts-track-grid .ag-center-cols-container .ag-row').length === n", arg=len(expected)
    )
    assert names(page) == expected
    page.get_by_label("Filter the tracks").fill("")
    page.get_by_text(f"{len(tracks)} of {len(tracks)} tracks").wait_for()
    kind, count = next(iter(tracks.counts().items()))
    chip = page.locator(".ts-chip", has_text=kind.title)
    assert chip.locator(".ts-chip-count").inner_text() == str(count)
    chip.click()
    page.get_by_text(f"{count} of {len(tracks)} tracks").wait_for()
    page.locator(".ts-triage-row", has_text=f"{kind.title}: {count} failure").wait_for()
    page.locator(".ts-chip.on").click()
    page.get_by_text(f"{len(tracks)} of {len(tracks)} tracks").wait_for()
    page.locator(".ts-track-grid .ag-header-cell[col-id='4']").click()  # the worst frame, late ones first
    latest = int(tracks.summary.worst.max()) + 1
    page.wait_for_function(
        "text => document.querySelector(\".ts-track-grid .ag-row[row-index='0'] .ag-cell[col-id='4']\")?.innerText === text",
        arg=str(latest),
    )


def test_the_button_of_a_category_mends_all_its_failures(page: Page, tracks: TrackList, run: Path) -> None:
    page.locator(".ts-chip", has_text="one bad camera").click()
    page.locator(".ts-triage-row").get_by_role("button", name="Drop the camera").click()
    open_tab(page, "Track")
    page.locator(".ts-edit:not(.undone)", has_text="Drop the camera cam04").wait_for()
    assert [entry.kind for entry in read_log(run).active] == ["drop_camera"]
    page.locator("body").press("Control+z")
    page.get_by_text("Edits of this run: 0").wait_for()
