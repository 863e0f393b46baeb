"""A scenario's file as YAML: short, without aliases, tags and repeated names, and with the line of each field."""

from collections.abc import Iterator
from typing import Any

import yaml

from base.words import harmless

MOST_BYTES, MOST_NODES, MOST_DEPTH = 65_536, 5_000, 8
# Longer than any text; a number of more digits could not even be shown.
MOST_CHARACTERS = 3_000
# A field's place: names and numbers of a list, from the outside.
Place = tuple[str | int, ...]


class ScenarioError(Exception):
    """What is wrong with a scenario's file, a line for each fault."""

    def __init__(self, words: str) -> None:
        # It goes to a terminal, and quotes the file.
        super().__init__(harmless(words))


class Lines:
    """The line of each field, for the words of a fault."""

    def __init__(self, name: str, lines: dict[Place, int]) -> None:
        self._name, self._lines = name, lines

    def at(self, place: Place, words: str) -> str:
        """The fault in words: file, line, field, and the rule that it breaks."""
        known = place
        while known and known not in self._lines:
            known = known[:-1]
        line = self._lines.get(known, 1)
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
        return f"{self._name}, line {line}, {field or 'the file'}: {words}"


def read_text(name: str, content: bytes) -> tuple[dict[str, Any], Lines]:
    """The mapping in the file. Raises ScenarioError."""
    if len(content) > MOST_BYTES:
        raise ScenarioError(f"{name}: a scenario has at most {MOST_BYTES:,} bytes, this file has {len(content):,}")
    try:
        text = content.decode("utf-8")
        _refuse_costly(name, text)
        root = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: byte {error.start} is not UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{name}{where}: this is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ScenarioError(f"{name}: this is not YAML: {error}") from error
    if not isinstance(data, dict) or root is None:
        raise ScenarioError(f"{name}, line 1: a scenario is fields with values, such as `title: Price discovery`")
    return data, Lines(name, dict(_lines(name, root, ())))


def _refuse_costly(name: str, text: str) -> None:
    """Before anything is built of it: an alias may stand for a million copies."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader), 1):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ScenarioError(f"{name}, line {line}: anchors and aliases (& and *) are not taken here")
        if getattr(event, "tag", None) is not None:
            # Each has a way of its own to fail.
            raise ScenarioError(f"{name}, line {line}: tags (!) are not taken here")
        if isinstance(event, yaml.ScalarEvent) and len(event.value) > MOST_CHARACTERS:
            raise ScenarioError(f"{name}, line {line}: more than {MOST_CHARACTERS:,} characters in one value")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH or count > MOST_NODES:
            raise ScenarioError(f"{name}, line {line}: more than {MOST_NODES} values, or nested over {MOST_DEPTH} deep")


def _lines(name: str, node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    yield place, node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for number, child in enumerate(node.value):
            yield from _lines(name, child, (*place, number))
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            line, word = key.start_mark.line + 1, str(key.value)
            if not isinstance(key, yaml.ScalarNode) or word in seen:
                raise ScenarioError(f"{name}, line {line}: {word} is there twice, or is no name")
            seen.add(word)
            yield from ((found, max(at, line)) for found, at in _lines(name, child, (*place, word)))
