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


def read(
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
    own_section = sources.load("own", _Nothing).settings.compute[factory.info.name]
    check_section(own_section.settings)
    return own_section


def make(factory: ComputeEngineFactory, section: Mapping[str, object]) -> Any:
    """Make an engine, whose threads are the event loop's."""
    own_section = read(factory, section)
    context = ComputeContext(
        settings=own_section.settings, defaults=own_section.defaults, logger=RecordingLogger()
    )
    return factory.create_engine(context)


def docker_settings(section: Mapping[str, object]) -> DockerSettings:
    settings: DockerSettings = read(docker.factory, section).settings
    return settings


def docker_engine(section: Mapping[str, object], *, reached: Failpoint = pass_by) -> DockerCompute:
    engine: DockerCompute = make(docker.factory, section)
    return attrs.evolve(engine, reached=reached)


def ecs_engine(section: Mapping[str, object]) -> EcsCompute:
    engine: EcsCompute = make(ecs.factory, section)
    return engine


def process_engine(section: Mapping[str, object]) -> ProcessCompute:
    engine: ProcessCompute = make(process.factory, section)
    return engine
