"""The README and the pages of docs say what is true: commands, options, modules, names and links."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import tyro

from trackersplat.cli import _COMMANDS
from viewer.app import Arguments

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
MOST_WORDS = 1800  # of the README

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@dataclasses.dataclass(frozen=True)
class Option:
    """What may follow an option; ``choices`` is None if any text may."""

    takes_value: bool
    choices: tuple[str, ...] | None


def options_of(command: Callable[..., Any]) -> dict[str, Option]:
    """The options that tyro makes of a dataclass."""
    hints = get_type_hints(command, include_extras=True)
    found = {"--help": Option(False, None)}
    for field in dataclasses.fields(command):  # type: ignore[arg-type]
        kind, marks = hints[field.name], getattr(hints[field.name], "__metadata__", ())
        kind = get_args(kind)[0] if marks else kind
        if tyro.conf.Positional in marks:
            continue
        renamed = [mark.name for mark in marks if getattr(mark, "name", None)]
        name = (renamed[0] if renamed else field.name).replace("_", "-")
        if kind is bool:
            names = [name] if tyro.conf.FlagCreatePairsOff in marks else [name, f"no-{name}"]
            found |= {f"--{each}": Option(False, None) for each in names}
            continue
        literals = [part for part in (kind, *get_args(kind)) if get_origin(part) is Literal]
        found[f"--{name}"] = Option(True, tuple(map(str, get_args(literals[0]))) if literals else None)
    return found


def with_subcommands(name: str, command: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """The command by its name; one whose only field names several, such as `bench`, by the names of these."""
    hints = list(get_type_hints(command, include_extras=True).values())
    parts = get_args(hints[0]) if len(hints) == 1 else ()
    below = {part.__metadata__[0].name: get_args(part)[0] for part in get_args(parts[0] if parts else None)}
    return {f"{name} {part}": chosen for part, chosen in below.items()} or {name: command}


OPTIONS = {
    name: options_of(command)
    for first, whole in _COMMANDS.items()
    for name, command in with_subcommands(f"trackersplat {first}", whole).items()
}
OPTIONS["trackersplat-view"] = options_of(Arguments)
ALL_OPTIONS = {option for options in OPTIONS.values() for option in options}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def inline_code(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose)]


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every command in shell blocks and inline code."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()] + inline_code(text)
    for line in lines:
        for part in line.split("&&"):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # a lone quotation mark: no command
                continue
            if words:
                yield words


def wrong_in(words: list[str]) -> list[str]:
    """What a command of ours does not know."""
    program = Path(words[0]).name
    if program not in ("trackersplat", "trackersplat-view") or words[1:] in ([], ["--version"]):
        return []
    name = program if program == "trackersplat-view" else f"trackersplat {words[1]}"
    below = [known for known in OPTIONS if known.startswith(f"{name} ")]
    if below and len(words) == 2:
        return []
    name = f"{name} {words[2]}" if below else name
    if name not in OPTIONS:
        return [f"there is no command {name}"]
    known, wrong = OPTIONS[name], []
    for index, word in enumerate(words):
        option, _, value = word.partition("=")
        if not option.startswith("--"):
            continue
        if option not in known:
            wrong.append(f"{name} has no option {option}")
        elif known[option].takes_value:
            value = value or " ".join(words[index + 1 : index + 2])
            if not value or value.startswith("--"):
                wrong.append(f"{name} {option} needs a value")
            choices = known[option].choices
            if choices is not None and value not in choices:
                wrong.append(f"{name} {option} is one of {', '.join(choices)}, not {value}")
    return wrong


def slug(heading: str) -> str:
    """The anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    command = next(block.strip() for block in blocks(README.read_text(), "sh") if "tests/run.py" in block)
    ci = (ROOT / ".ci" / "run").read_text().replace("install --quiet", "install")
    assert command in ci


def test_the_readme_is_short() -> None:
    assert len(README.read_text().split()) <= MOST_WORDS


@each_page
def test_every_picture_and_file_that_is_linked_to_is_there(page: Path) -> None:
    missing = []
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        if "://" in link:
            continue
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if anchor and target.is_file() else []
        if not target.exists() or (anchor and anchor not in map(slug, headings)):
            missing.append(link)
    assert missing == []


def test_the_readme_shows_pictures_and_leads_to_every_page() -> None:
    links = set(re.findall(r"\]\(([^)#]+)\)", README.read_text()))
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= links
    assert {f"docs/images/{image.name}" for image in (ROOT / "docs" / "images").glob("*.jpg")} <= links


@each_page
def test_every_command_and_option_exists(page: Path) -> None:
    assert [wrong for words in command_lines(page.read_text()) for wrong in wrong_in(words)] == []


@each_page
def test_every_option_that_is_named_alone_exists(page: Path) -> None:
    named = [words[0].partition("=")[0] for words in command_lines(page.read_text()) if words[0].startswith("--")]
    assert [option for option in named if option not in ALL_OPTIONS] == []


@each_page
def test_every_benchmark_that_is_named_exists(page: Path) -> None:
    names = re.findall(r"python -m trackersplat\.benchmarks\.(\w+)", page.read_text())
    assert [name for name in names if not (ROOT / "trackersplat" / "benchmarks" / f"{name}.py").is_file()] == []


@each_page
def test_every_name_that_an_example_in_python_imports_exists(page: Path) -> None:
    """Found in the source, because importing the modules would load torch."""
    missing = []
    for block in blocks(page.read_text(), "python"):
        for node in ast.parse(block).body:
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trackersplat"):
                path = ROOT.joinpath(*(node.module or "").split(".")).with_suffix(".py")
                body = ast.parse(path.read_text()).body if path.is_file() else []
                defined = {each.name for each in body if isinstance(each, (ast.FunctionDef, ast.ClassDef))}
                missing += [f"{node.module}.{alias.name}" for alias in node.names if alias.name not in defined]
    assert missing == []


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ("trackersplat reconstruct PATH --frames 1:20 --compact", []),
        ("trackersplat bench motion PATH --run output/NAME", []),
        ("trackersplat-view PATH --no-browser --port 0", []),
        ("trackersplat --version", []),
        ("trackersplat film PATH", ["there is no command trackersplat film"]),
        ("trackersplat reconstruct PATH --looks 2", ["trackersplat reconstruct has no option --looks"]),
        ("trackersplat reconstruct PATH --batch", ["trackersplat reconstruct --batch needs a value"]),
        ("trackersplat prepare PATH --poses guess", ["trackersplat prepare --poses is one of keep, refine, estimate, not guess"]),
        ("trackersplat bench motion PATH --run-folder A", ["trackersplat bench motion has no option --run-folder"]),
    ],
)
def test_wrong_commands_are_found(command: str, wrong: list[str]) -> None:
    (words,) = command_lines(f"`{command}`")
    assert wrong_in(words) == wrong
