"""Values of settings with their sources, and the check of one value against its type."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import typed_settings as ts
from typed_settings.dict_utils import set_path
from typed_settings.loaders import DictLoader
from typed_settings.types import OptionInfo

from landlord_engines_core.settings.types import Converter, describe_type

__all__ = ["Value", "build", "check_value", "list_values", "more_variables"]


@attrs.frozen
class Value:
    """Value of one setting.

    Attributes:
        value: The value, before its conversion.
        origin: The source.
    """

    value: Any = attrs.field(repr=False)
    origin: str


def check_value(option: OptionInfo, path: str, value: Value) -> list[str]:
    """Check one value against its setting's type, and return the problem, if any."""
    try:
        Converter().structure(value.value, option.cls)
    except Exception:  # noqa: BLE001  # the error's text may contain the value
        return [f"{path} must be {describe_type(option.cls)} ({value.origin})"]
    return []


def build(settings_type: type, values: Mapping[str, Value]) -> Any:
    """Build an attrs class from the values of its settings by path, each of which was checked.

    Raises:
        InvalidSettingsError: The class refuses the combination. The error may contain values.
    """
    document: dict[str, Any] = {}
    for path, value in values.items():
        set_path(document, path, value.value)
    return ts.load_settings(settings_type, [DictLoader(document)], converter=Converter())


def list_values(settings: Any, paths: Iterable[str]) -> Iterator[tuple[str, object]]:
    """List the values of settings by path; the values of secrets mask themselves."""
    for path in paths:
        value = settings
        for part in path.split("."):
            value = getattr(value, part)
        yield path, value


def more_variables(option: OptionInfo) -> Mapping[str, str]:
    """List the variables in a setting's metadata, with their templates."""
    field = attrs.fields_dict(option.parent_cls)[option.name]
    variables: Mapping[str, str] = field.metadata.get("environment", {})
    return variables
