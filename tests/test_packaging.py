"""What is installed with this project, and what is in its source distribution."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COPYLEFT = re.compile(r"\b[AL]?GPL|General Public License", re.IGNORECASE)
# LGPL permits use by any program; none is needed today, so each would be a decision.


def core() -> list[str]:
    return [re.split(r"[^A-Za-z0-9_.-]", requirement)[0] for requirement in PROJECT["project"]["dependencies"]]


def needed(names: list[str]) -> dict[str, str]:
    """Name -> licence, as the packages state it, of the distributions and all that they need here without extras."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        name = left.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            metadata = distribution(name).metadata
        except PackageNotFoundError:  # for another system or version of Python
            continue
        classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License")]
        short = (metadata.get("License") or "")[:120]  # some give the whole text
        found[name] = "; ".join(filter(None, [metadata.get("License-Expression"), *classifiers, short]))
        for requirement in metadata.get_all("Requires-Dist") or []:
            if "extra ==" not in requirement:
                left.append(re.split(r"[^A-Za-z0-9_.-]", requirement)[0])
    return found


# docutils (which NiceGUI needs) is in the public domain but for a few files, of which only its mode for Emacs is under the GPL.
COPYLEFT_IN_PARTS = {"docutils"}


def test_no_core_dependency_is_copyleft() -> None:
    licences = needed(core())
    assert {"torch", "numpy", "viser", "websockets"} <= set(licences)  # both those named here and those that they need
    found = {name for name, licence in licences.items() if COPYLEFT.search(licence)}
    assert found <= COPYLEFT_IN_PARTS, found


def test_every_core_dependency_states_a_licence() -> None:
    assert [name for name, licence in needed(core()).items() if not licence] == []


@pytest.mark.parametrize(
    ("licence", "copyleft"),
    [
        ("GPL-3.0-or-later", True),
        ("License :: OSI Approved :: GNU General Public License v3 (GPLv3)", True),
        ("AGPL-3.0-only", True),
        ("LGPL-2.1", True),
        ("MIT", False),
        ("Apache-2.0 AND MPL-2.0", False),
    ],
)
def test_copyleft_is_recognised(licence: str, copyleft: bool) -> None:
    assert bool(COPYLEFT.search(licence)) is copyleft


def test_the_source_distribution_holds_all_that_its_own_tests_need() -> None:
    """Every file of the repository, but what only git reads."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    include = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    always = {"pyproject.toml", ".gitignore"}  # hatchling adds them
    left_out = [
        file
        for file in listed.stdout.splitlines()
        if file not in always and not any(file == entry or file.startswith(f"{entry}/") for entry in include)
    ]
    assert left_out == []


def test_what_the_source_distribution_includes_is_there() -> None:
    include = PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert [entry for entry in include if not (ROOT / entry).exists()] == []
