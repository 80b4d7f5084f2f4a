"""The JavaScript modules of the components: where a browser finds them."""

from __future__ import annotations

import os
from pathlib import Path

from nicegui.dependencies import compute_key, esm_modules

from viewer.components import modules


def test_the_address_changes_with_a_file_in_a_folder_below(tmp_path: Path) -> None:
    (tmp_path / "pane").mkdir()
    for name, time in (("a.js", 5), ("pane/b.js", 7), ("pane/notes.txt", 9)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time, time))
    assert modules.last_change(tmp_path) == 7
    modules.register()
    assert esm_modules[compute_key(modules.FOLDER, max_time=modules.last_change(modules.FOLDER))].name == "trackersplat-viewer"
