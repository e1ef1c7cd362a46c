"""The built-in compute engines from a section of settings, as a worker makes them."""

from collections.abc import Mapping
from typing import Any

import attrs

from landlord_engines_core.compute import ComputeContext, ComputeEngineFactory, docker, ecs, process
from landlord_engines_core.compute.docker.engine import DockerCompute
from landlord_engines_core.compute.docker.settings import DockerSettings
from landlord_engines_core.compute.ecs.engine import EcsCompute
from landlord_engines_core.compute.in_flight import Failpoint, pass_by
from landlord_engines_core.compute.process import ProcessCompute
from landlord_engines_core.settings import ComputeSection, Sources, check_section
from landlord_test_target.in_memory import RecordingLogger


@attrs.frozen(kw_only=True)
class _Nothing:
    """A worker engine's section without keys."""


def read_section(
    factory: ComputeEngineFactory,
    section: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> ComputeSection:
    """Read a section of a file, and check its settings.

    Raises:
        SettingsError: A setting is wrong.
    """
    sources = Sources(
        document={"compute": {factory.info.name: section}},
        file="f.yaml",
        environment=environment or {},
        flags={},
        compute_type=lambda _: factory.settings_type,
    )
    settings_and_defaults = sources.load("own", _Nothing).settings.compute[factory.info.name]
    check_section(settings_and_defaults.settings)
    return settings_and_defaults


def make_compute_engine(factory: ComputeEngineFactory, section: Mapping[str, object]) -> Any:
    """Make an engine, whose threads are the event loop's."""
    settings_and_defaults = read_section(factory, section)
    context = ComputeContext(
        settings=settings_and_defaults.settings,
        defaults=settings_and_defaults.defaults,
        logger=RecordingLogger(),
    )
    return factory.create_engine(context)


def docker_settings(section: Mapping[str, object]) -> DockerSettings:
    settings: DockerSettings = read_section(docker.factory, section).settings
    return settings


def docker_engine(section: Mapping[str, object], *, reached: Failpoint = pass_by) -> DockerCompute:
    engine: DockerCompute = make_compute_engine(docker.factory, section)
    return attrs.evolve(engine, reached=reached)


def ecs_engine(section: Mapping[str, object]) -> EcsCompute:
    engine: EcsCompute = make_compute_engine(ecs.factory, section)
    return engine


def process_engine(section: Mapping[str, object]) -> ProcessCompute:
    engine: ProcessCompute = make_compute_engine(process.factory, section)
    return engine
