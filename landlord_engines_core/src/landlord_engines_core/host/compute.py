"""Making the compute engines that the settings name."""

import json
from collections.abc import Mapping

from landlord_engines_core.compute import ComputeEngine, ComputeRegistry
from landlord_engines_core.errors import (
    ComputeRefused,
    PluginError,
    PluginSettingsRefused,
    catch_exits,
    error_kind,
)
from landlord_engines_core.plugins import load_compute_engine
from landlord_engines_core.settings import Settings

__all__ = ["build_registry", "list_sections"]


def build_registry(settings: Settings) -> ComputeRegistry:
    """Make the configured compute engines, and the worker's default and forced engines.

    Raises:
        PluginError: An engine cannot be loaded, or refuses its settings or the tenants' defaults.
    """
    sections = list_sections(settings)
    engines = {name: _build_engine(name, section) for name, section in sections.items()}
    registry = ComputeRegistry(engines)
    for name in registry:
        _check_defaults(registry, name, settings.worker.max_config_bytes)
    return registry


def list_sections(settings: Settings) -> Mapping[str, Mapping[str, object]]:
    """List the compute engines of a worker, with their sections."""
    worker = settings.worker
    named = (worker.compute_provider, worker.force_compute_provider)
    return {**{name: {} for name in named if name}, **settings.compute}


def _build_engine(name: str, section: Mapping[str, object]) -> ComputeEngine:
    candidate, factory = load_compute_engine(name)
    try:
        with catch_exits():
            return factory(section)
    except ComputeRefused as error:
        raise PluginSettingsRefused(
            f"compute engine {candidate} refuses its settings: {error.message}",
            hint=f"correct compute.{name}",
        ) from error
    except PluginError:
        # The engine's error names what is missing, such as an extra that is not installed.
        raise
    except Exception as error:
        # The error's text is left out: it may contain a settings value.
        raise PluginSettingsRefused(
            f"compute engine {candidate} cannot be created: {error_kind(error)}",
            hint=f"check compute.{name}, or report it to the authors of {candidate.distribution}",
        ) from error


def _check_defaults(registry: ComputeRegistry, name: str, max_config_bytes: int) -> None:
    """Refuse bad defaults at the start: otherwise every tenant's job would be held."""
    hint = f"correct compute.{name}"
    try:
        registry.check_defaults(name)
    except ComputeRefused as error:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} are refused: {error.message}", hint=hint
        ) from error
    size = len(json.dumps(registry.engine(name).config_defaults()))
    if size > max_config_bytes:
        raise PluginSettingsRefused(
            f"the defaults of compute engine {name} have {size} bytes, and a whole configuration"
            f" may have {max_config_bytes}",
            hint=f"{hint}, or raise worker.max_config_bytes",
        )
