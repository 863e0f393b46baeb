"""What packages show on the admin's page of a model that stands below them: a title and the content.

A package registers its part by the model's label. Content that is empty is left out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString

Render = Callable[[HttpRequest, Any], SafeString | str]


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a page. Lower places come first; one that is `whole` takes the width of the page."""

    title: str
    render: Render
    place: int
    whole: bool


_blocks: dict[str, list[Block]] = {}


def page_block(label: str, title: str, place: int = 5, *, whole: bool = False) -> Callable[[Render], Render]:
    """Have the decorated function render a part of each page of the model, such as "users.User"."""

    def register(render: Render) -> Render:
        _blocks.setdefault(label, []).append(Block(title, render, place, whole))
        return render

    return register


def render_blocks(request: HttpRequest, shown_object: Model | None) -> list[dict[str, Any]]:
    """The parts that other packages show of the object, for admin/blocks.html."""
    if shown_object is None:
        return []
    blocks = sorted(_blocks.get(shown_object._meta.label, ()), key=lambda block: block.place)
    rendered = [(block, block.render(request, shown_object)) for block in blocks]
    return [{"title": block.title, "whole": block.whole, "content": content} for block, content in rendered if content]
