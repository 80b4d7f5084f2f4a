"""pycolmap beside OpenCV in one process."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_a_png_can_be_written_after_pycolmap_was_imported_first_of_all(tmp_path: Path):
    pytest.importorskip("pycolmap")
    script = (
        "import sys; from trackersplat.captures.formats.pycolmap_import import import_pycolmap; import_pycolmap(); "
        "import cv2, numpy; assert cv2.imwrite(sys.argv[1], numpy.full((8, 8, 3), 7, 'uint8')); print(cv2.imread(sys.argv[1]).mean())"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "a.png"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "7.0\n"), done.stderr


def test_no_other_module_imports_pycolmap():
    importing = []
    for path in [*(ROOT / "trackersplat").rglob("*.py"), *(ROOT / "viewer").rglob("*.py")]:
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if "pycolmap" in text else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "pycolmap" for name in names):
                importing.append(path.name)
    assert importing == ["pycolmap_import.py"]
