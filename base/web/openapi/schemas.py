"""Types as JSON Schema: in the description a type stands wherever a schema may, and pydantic gives the schema."""

from collections.abc import Callable
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from base.web.forms import Form

REFERENCE = "#/components/schemas/{model}"


class _Schemas(GenerateJsonSchema):
    """Pydantic's own, without titles, and without defaults: a field that was not sent is not null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])


def with_schemas(node: Any) -> tuple[Any, dict[str, Any]]:
    """The same with schemas in place of types, and the components that these refer to."""
    types: dict[int, Any] = {}
    _replace(node, lambda each: types.setdefault(id(each), each))
    adapters: list[Any] = [(key, _direction(each), TypeAdapter(each)) for key, each in types.items()]
    schemas, definitions = TypeAdapter.json_schemas(adapters, ref_template=REFERENCE, schema_generator=_Schemas)
    components = definitions.get("$defs", {})
    for component in components.values():
        component.pop("title", None)
    return _replace(node, lambda each: schemas[id(each), _direction(each)]), components


def _direction(kind: Any) -> Literal["validation", "serialization"]:
    return "validation" if isinstance(kind, type) and issubclass(kind, Form) else "serialization"


def _replace(node: Any, replacement: Callable[[Any], Any]) -> Any:
    if isinstance(node, dict):
        return {key: _replace(value, replacement) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_replace(value, replacement) for value in node]
    return node if node is None or isinstance(node, str | int | float) else replacement(node)
