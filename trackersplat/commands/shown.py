"""Text of others, such as the name of a capture, made safe for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """On one line, with everything that a terminal could obey written out: "\\x1b[2J" is then eight letters and no command.

    Names of files may also hold bytes that are no text, and letters that turn the direction of writing.
    """
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def escape(text: str) -> str:
    """`printable`, and no markup of rich's either."""
    from rich.markup import escape as without_markup

    return without_markup(printable(text))
