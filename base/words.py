"""Texts that somebody else wrote, for a page or a terminal: a terminal obeys control characters, and a reader is
deceived by those that turn the direction of writing.
"""

from typing import Any


def one_line(text: str) -> str:
    """The words with one space between. Raises ValueError where nothing is left, or what no line shows."""
    line = " ".join(text.split())
    if not line or not line.isprintable():
        raise ValueError("must be words in one line, without control characters")
    return line


def harmless(text: str) -> str:
    """The text with each character that would not be shown written out, as `\\x1b`. Lines stay lines."""
    return "".join(each if each.isprintable() or each == "\n" else _written(each) for each in text)


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def all_harmless(data: Any) -> Any:
    """What JSON has, with each text in it made harmless."""
    if isinstance(data, str):
        return harmless(data)
    if isinstance(data, list):
        return [all_harmless(each) for each in data]
    if isinstance(data, dict):
        return {name: all_harmless(value) for name, value in data.items()}
    return data
