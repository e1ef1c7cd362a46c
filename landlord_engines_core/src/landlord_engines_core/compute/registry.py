"""The compute engines of a worker, with their configuration schemas compiled once."""

from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from functools import partial
from itertools import islice

import attrs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from landlord_engines_core.compute.contract import ComputeEngine
from landlord_engines_core.compute.guarded import GuardedCompute, build_compute_boundary
from landlord_engines_core.compute.unknown_keys import near_misses, properties_of
from landlord_engines_core.declarations import describe
from landlord_engines_core.errors import ComputeRefused

__all__ = ["ComputeRegistry", "find_schema_problems"]


MAX_PROBLEMS = 20
"""Maximum of broken rules in one message; a configuration can break thousands."""


def _describe_rule(error: ValidationError | SchemaError) -> str:
    """Name the broken rule by the schema's words, never by the value."""
    if error.validator == "additionalProperties" and error.validator_value is False:
        schema = error.schema if isinstance(error.schema, Mapping) else {}
        instance = error.instance if isinstance(error.instance, Mapping) else {}
        unknown = (str(key) for key in instance if key not in properties_of(schema))
        return f"breaks the rule 'additionalProperties', unknown: {', '.join(islice(unknown, MAX_PROBLEMS))}"
    rule = error.validator_value if isinstance(error.validator_value, str | int | list) else ""
    return f"breaks the rule {error.validator!r} {rule}".rstrip()


def _pointer(error: ValidationError) -> str:
    return "/" + "/".join(str(part) for part in error.absolute_path)


_COMPLETABLE = ("dependentRequired", "minProperties", "required")
"""Rules that more keys can satisfy."""
_CHOICES = ("anyOf", "oneOf")


def _is_incomplete(error: ValidationError) -> bool:
    """Return whether a tenant's configuration can repair an error of the defaults with more keys."""
    if any(isinstance(part, int) for part in error.absolute_path):
        # A tenant's list replaces the default's; it adds no key to an item.
        return False
    if error.validator in _CHOICES:
        # The first element of an inner error's path is the number of its choice.
        choices: dict[object, list[ValidationError]] = {}
        for inner in error.context or ():
            choices.setdefault(inner.schema_path[0], []).append(inner)
        return any(all(map(_is_incomplete, errors)) for errors in choices.values())
    return error.validator in _COMPLETABLE


ObserveCall = Callable[[str, str, float], None]
"""Function that takes the name of an engine, a method, and the seconds that a call of it took."""


def ignore_call(name: str, method: str, seconds: float) -> None:
    """Observe nothing: the default without metrics."""


def find_schema_problems(schema: object) -> tuple[str, ...]:
    """List what is wrong with an engine's JSON Schema."""
    try:
        Draft202012Validator.check_schema(schema)  # type: ignore[arg-type]  # it may be anything
    except SchemaError as error:
        return (
            f"its config_schema is no JSON Schema 2020-12: {error.json_path} {_describe_rule(error)}",
        )
    if not isinstance(schema, Mapping):
        return (f"its config_schema returns {describe(schema)}, and not a mapping",)
    return ()


@attrs.frozen
class ComputeRegistry:
    """The configured compute engines by name, called inside error boundaries, and their threads."""

    _created: Mapping[str, ComputeEngine]
    _threads: Collection[Executor] = ()
    _observe: ObserveCall = ignore_call
    _engines: Mapping[str, ComputeEngine] = attrs.field(init=False)
    _validators: Mapping[str, Draft202012Validator] = attrs.field(init=False)

    @_engines.default
    def _guard(self) -> Mapping[str, ComputeEngine]:
        return {
            name: GuardedCompute(
                name, engine, build_compute_boundary(name, partial(self._observe, name))
            )
            for name, engine in self._created.items()
        }

    @_validators.default
    def _compile(self) -> Mapping[str, Draft202012Validator]:
        return {
            name: Draft202012Validator(engine.config_schema())
            for name, engine in self._engines.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def __contains__(self, name: object) -> bool:
        return name in self._engines

    def engine(self, name: str) -> ComputeEngine:
        """Return the engine of this name.

        Raises:
            ComputeRefused: This worker does not have it.
        """
        try:
            return self._engines[name]
        except KeyError:
            names = ", ".join(sorted(self._engines)) or "none"
            raise ComputeRefused(
                f"compute engine {name!r} is not configured on this worker (it has: {names})",
                hint=f"add compute.{name} to the worker's settings, or change compute_provider",
            ) from None

    @property
    def longest_carry(self) -> float:
        """Maximum seconds from a cancellation until a request or a switch of any engine has ended."""
        return max((engine.longest_carry for engine in self._engines.values()), default=0.0)

    def has_locations(self) -> bool:
        """Return whether a configuration can choose a location on any of the engines."""
        return not all(engine.single_location for engine in self._engines.values())

    def schema_problems(self, name: str, config: Mapping[str, object]) -> list[str]:
        """Check a configuration against the JSON Schema of the engine of this name.

        Returns:
            A line for each broken rule, ``/pointer: rule``, never a value.
        """
        errors = self._validators[name].iter_errors(config)
        return sorted(f"{_pointer(error)}: {_describe_rule(error)}" for error in errors)

    def check(self, name: str, config: Mapping[str, object]) -> None:
        """Check an effective configuration against the engine's schema and rules.

        Raises:
            ComputeRefused: One line that names each bad key and the rule, never a value.
        """
        engine = self.engine(name)
        problems = sorted(
            f"{error.json_path} {_describe_rule(error)}"
            for error in islice(self._validators[name].iter_errors(config), MAX_PROBLEMS)
        )
        problems += islice(near_misses(config, engine.config_schema()), MAX_PROBLEMS)
        if problems:
            raise ComputeRefused(f"{name} refuses the configuration: {'; '.join(problems)}")
        engine.validate(config)

    def check_defaults(self, name: str) -> None:
        """Check the operator's defaults, before they fail in each tenant's job.

        They need not be complete: a tenant's configuration may add what they lack.

        Raises:
            ComputeRefused: One line that names each bad key and the rule, never a value.
        """
        engine = self.engine(name)
        problems = sorted(
            f"compute.{name}{error.json_path.removeprefix('$')} {_describe_rule(error)}"
            for error in self._validators[name].iter_errors(engine.config_defaults())
            if not _is_incomplete(error)
        )
        if problems:
            raise ComputeRefused("; ".join(problems[:MAX_PROBLEMS]))
        engine.validate_defaults()

    async def aclose(self) -> None:
        """Close all engines, even if one of them raises. Threads end with their current work."""
        async with AsyncExitStack() as closing:
            for executor in self._threads:
                # A thread whose target hangs would hold up the worker's end.
                closing.callback(executor.shutdown, wait=False, cancel_futures=True)
            for engine in self._engines.values():
                closing.push_async_callback(engine.aclose)
