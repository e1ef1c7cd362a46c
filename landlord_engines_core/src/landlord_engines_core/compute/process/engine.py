"""The compute engine ``process``, for development and single machines."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
    digest_of,
)
from landlord_engines_core.compute.factory import ComputeContext
from landlord_engines_core.compute.in_flight import Failpoint, pass_by
from landlord_engines_core.compute.process import runner
from landlord_engines_core.compute.process.config import SCHEMA, TenantConfig
from landlord_engines_core.compute.process.errors import translate_errors
from landlord_engines_core.compute.process.folder import Folder, Run
from landlord_engines_core.compute.process.observe import observe
from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.reconcile import LONGEST_CARRY, TenantProcess
from landlord_engines_core.compute.process.settings import (
    ProcessSettings,
    check_folder,
)
from landlord_engines_core.errors import ComputeRefused

__all__ = ["ProcessCompute"]

# -I and -S: the runner reads no PYTHON* variable, imports nothing from its folder, and starts in half
# the time.
_RUNNER = (sys.executable, "-I", "-S", runner.__file__)


@attrs.frozen(kw_only=True)
class ProcessCompute(ComputeEngine):
    """One process for each tenant, which outlives the worker.

    Attributes:
        context: The operator's settings, and the worker's threads.
        runner: The runner's command line, without its arguments.
        reached: Called with the name of each failpoint.
    """

    context: ComputeContext
    runner: tuple[str, ...] = _RUNNER
    reached: Failpoint = pass_by
    single_location: ClassVar[bool] = True

    @property
    def settings(self) -> ProcessSettings:
        """The operator's settings."""
        settings: ProcessSettings = self.context.settings
        return settings

    def config_schema(self) -> Mapping[str, object]:
        """Return the schema of a tenant's configuration."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """Return the section ``compute.process`` without the operator's keys."""
        return self.context.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Refuse text that no system call accepts, and 80.0 in place of a whole number."""
        _check_text("$", config)
        try:
            codec.structure(dict(config), TenantConfig)
        except codec.BadDocument as error:
            raise ComputeRefused(str(error)) from None

    def validate_defaults(self) -> None:
        """Validate the defaults, with a placeholder for the command."""
        self.validate({"command": ["command"], **self.context.defaults})

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """Return the only location, this machine."""
        return ""

    async def reach(self) -> str:
        """Check that the folder can be used, without creating it."""
        return await self.context.run_in_thread(check_folder, Path(self.settings.folder))

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Read the tenant's folder and check its command's health."""
        with translate_errors(self.settings.folder):
            _, observation = await observe(self._process(tenant).folder)
            return observation

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Start the command, or adopt one that runs with this configuration."""
        with translate_errors(self.settings.folder):
            return await self._process(spec.tenant).apply(self._build_run(spec))

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """Replace the process; the previous one starts again if the new one does not become healthy."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Stop the processes, wait until the last one has ended, and remove the folder."""
        with translate_errors(self.settings.folder):
            return await self._process(tenant).destroy()

    @property
    def longest_carry(self) -> float:
        """Seconds to finish the current work and to start the previous command again."""
        return LONGEST_CARRY

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """Complete an interrupted update, and start a healthy command that was killed."""
        with translate_errors(self.settings.folder):
            return await self._process(tenant).restore()

    async def aclose(self) -> None:
        """Do nothing: the processes outlive the worker."""

    def _process(self, tenant: str) -> TenantProcess:
        folder = Path(self.settings.folder) / digest_of(tenant)
        return TenantProcess(
            folder=Folder(folder),
            claims=PortClaims(folder, self.settings.ports),
            runner=self.runner,
            reached=self.reached,
        )

    def _build_run(self, spec: ComputeSpec) -> Run:
        return Run(
            run="",
            port=0,
            config=codec.structure(dict(spec.config), TenantConfig),
            config_hash=spec.config_hash,
            key_hashes=spec.key_hashes,
            output_limit=self.settings.output_limit,
        )


def _check_text(path: str, value: object) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            # The tenant chooses a variable's name, so it is escaped for the error.
            _check_text(f"{path}.{ascii(key)[1:-1]}", key)
            _check_text(f"{path}.{ascii(key)[1:-1]}", item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_text(f"{path}[{number}]", item)
    elif isinstance(value, str):
        try:
            os.fsencode(value)
        except UnicodeEncodeError:
            raise ComputeRefused(f"{path} is not valid Unicode") from None
