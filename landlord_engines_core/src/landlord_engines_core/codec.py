"""The one converter between JSON documents and attrs classes; no other module imports cattrs.

Reading ignores unknown keys, since a newer version may have written them. It is strict about types:
a number is never read as a string.
"""

import json
import math
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, TypeVar, get_origin

import attrs
from cattrs import BaseValidationError, Converter, transform_error
from cattrs.cols import homogenous_tuple_structure_factory
from cattrs.gen import make_dict_unstructure_fn, override
from cattrs.preconf.json import JsonConverter, make_converter

__all__ = ["ADDED_LATER", "BadDocument", "dumps", "loads", "structure", "unstructure"]

T = TypeVar("T")

_Hook = Callable[[object, Any], object]

_KINDS = {str: "a string", int: "a whole number", bool: "true or false", float: "a number"}


ADDED_LATER = {"omit_if_default": True}
"""Metadata of a field that is not written if it has its default.

Backends compare a replayed call with the journaled one byte by byte. A job that an earlier version began
has no value for the field, so its calls stay the same.
"""


class BadDocument(ValueError):
    """A document does not have the expected form.

    Attributes:
        problems: One line for each bad field, with its path; no line contains a value.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _WrongKind(TypeError):
    """A value has another JSON type than the message names."""


def _check_type(kind: type, *accepted: type) -> _Hook:
    kinds = (kind, *accepted)

    def check(value: object, _: object) -> object:
        if type(value) not in kinds:
            raise _WrongKind(_KINDS[kind])
        return value

    return check


# Hooks for container types are created once for each type. The hooks of cattrs look up the inner type's
# hook again for each value.


def _is_a(origin: object) -> Callable[[Any], bool]:
    return lambda kind: get_origin(kind) is origin


def _is_optional(kind: Any) -> bool:
    return isinstance(kind, UnionType) and set(kind.__args__[1:]) == {NoneType}


def _optional(kind: Any, converter: Converter) -> _Hook:
    of = kind.__args__[0]
    inner = converter.get_structure_hook(of)
    return lambda value, _: None if value is None else inner(value, of)


def _object(kind: Any, converter: Converter) -> _Hook:
    _, of = kind.__args__
    inner = converter.get_structure_hook(of)

    def check(value: object, _: object) -> object:
        if not isinstance(value, dict):
            raise _WrongKind("an object")
        return {key: inner(item, of) for key, item in value.items()}

    return check


def _fields(kind: Any, converter: Converter) -> _Hook:
    inner = converter.gen_structure_attrs_fromdict(kind)

    def check(value: object, _: object) -> object:
        # cattrs would look for the fields in a string too.
        if not isinstance(value, dict):
            raise _WrongKind("an object")
        return inner(value, kind)

    return check


def _list(kind: Any, converter: Converter) -> _Hook:
    inner = homogenous_tuple_structure_factory(kind, converter)

    def check(value: object, _: object) -> object:
        # cattrs would iterate over a string or an object too.
        if not isinstance(value, list):
            raise _WrongKind("a list")
        return inner(value, kind)

    return check


def _has_later_fields(kind: Any) -> bool:
    return attrs.has(kind) and any(
        field.metadata.get("omit_if_default") for field in attrs.fields(kind)
    )


def _without_defaults(kind: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    later = {
        field.name: override(omit_if_default=True)
        for field in attrs.fields(kind)
        if field.metadata.get("omit_if_default")
    }
    return make_dict_unstructure_fn(kind, converter, **later)  # type: ignore[arg-type]  # a mapping


def _make_converter(*, detailed: bool) -> JsonConverter:
    converter = make_converter(detailed_validation=detailed)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _check_type(kind))
    converter.register_structure_hook(float, _check_type(float, int))
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_factory(_is_optional, _optional)
    converter.register_structure_hook_factory(_is_a(Mapping), _object)
    converter.register_structure_hook_factory(_is_a(tuple), _list)
    converter.register_structure_hook_factory(attrs.has, _fields)
    converter.register_unstructure_hook_factory(_has_later_fields, _without_defaults)
    return converter


def _refuse_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")


def _read_finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError("the number is too large for a float")
    return number


# One decoder and encoder for all calls: with options, json.loads and json.dumps create one in each.
_decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_read_finite)
_encoder = json.JSONEncoder(separators=(",", ":"), sort_keys=True)

_converter = _make_converter(detailed=False)
# Slower. If the fast converter refuses a document, this one reads it again to say where and why.
_explainer = _make_converter(detailed=True)


def _describe(error: BaseException, _: type | None) -> str:
    """Describe the error in one field, without its value."""
    if isinstance(error, _WrongKind):
        return f"must be {error}"
    if isinstance(error, KeyError):
        return "is missing"
    return f"is not valid ({type(error).__name__})"


def structure(document: object, kind: type[T]) -> T:
    """Build a value of ``kind`` from a document of plain JSON values.

    Raises:
        BadDocument: The document has bad fields, such as ``$.path.to.field must be a string``.
    """
    try:
        return _converter.structure(document, kind)
    except Exception:  # noqa: BLE001  # the second reading finds the reason
        return _explain(document, kind)


def _explain(document: object, kind: type[T]) -> T:
    try:
        return _explainer.structure(document, kind)
    except BaseValidationError as error:
        lines = transform_error(error, format_exception=_describe)
        problems = [f"{path} {text}" for text, _, path in (line.partition(" @ ") for line in lines)]
    except Exception as error:  # noqa: BLE001  # cattrs lets a hook's error through at the top level
        problems = [f"$ {_describe(error, None)}"]
    raise BadDocument(problems)


def unstructure(value: object) -> Any:
    """Turn a value into plain JSON values, the reverse of `structure`."""
    return _converter.unstructure(value)


def loads(raw: bytes, kind: type[T]) -> T:
    """Read a JSON document into a value of ``kind``.

    Raises:
        BadDocument: The document is not JSON, is nested too deeply, or has bad fields.
    """
    try:
        document = _decoder.decode(raw.decode())
    except RecursionError:
        raise BadDocument(["$ is nested too deeply"]) from None
    except ValueError as error:
        # The text of a decoding error may quote the document; its position does not.
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadDocument([f"$ is not JSON{where}"]) from None
    return structure(document, kind)


def dumps(value: object) -> bytes:
    """Write a value as a compact JSON document; equal values give equal bytes."""
    return _encoder.encode(unstructure(value)).encode()
