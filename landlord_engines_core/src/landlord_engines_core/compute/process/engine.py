"""Tenants as local processes: for development and single hosts."""

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import errorcode
from pathlib import Path
from typing import ClassVar

import attrs

from landlord_engines_core import codec
from landlord_engines_core.compute.contract import (
    ComputeEngine,
    ComputeResult,
    ComputeSpec,
    Observation,
)
from landlord_engines_core.compute.points import Failpoint, pass_by
from landlord_engines_core.compute.process import runner
from landlord_engines_core.compute.process.config import (
    SCHEMA,
    Operator,
    TenantConfig,
    defaults_of,
    operator_of,
)
from landlord_engines_core.compute.process.folder import Folder, Run
from landlord_engines_core.compute.process.ports import PortClaims
from landlord_engines_core.compute.process.reach import usable_folder
from landlord_engines_core.compute.process.tenant import LONGEST_CARRY, Tenant
from landlord_engines_core.errors import ComputeRefused, ComputeUnavailable

__all__ = ["ProcessCompute", "create_process"]

# Isolated: it reads no variable, finds no module where it lies, and starts in half the time.
_RUNNER = (sys.executable, "-I", "-S", runner.__file__)


@attrs.frozen(kw_only=True)
class ProcessCompute(ComputeEngine):
    """Runs each tenant's command as a process that outlives the worker.

    Attributes:
        operator: What only the operator sets.
        defaults: The lowest layer of tenants' configurations.
        runner: The command line of what keeps a command.
        reached: Told the name of each point of an act.
    """

    operator: Operator
    defaults: Mapping[str, object] = attrs.field(factory=dict, repr=False)
    runner: tuple[str, ...] = _RUNNER
    reached: Failpoint = pass_by
    name: str = attrs.field(default="process", init=False)
    single_location: ClassVar[bool] = True

    def config_schema(self) -> Mapping[str, object]:
        """What a tenant's configuration may hold."""
        return SCHEMA

    def config_defaults(self) -> Mapping[str, object]:
        """The section ``compute.process`` without what only the operator sets."""
        return self.defaults

    def validate(self, config: Mapping[str, object]) -> None:
        """Refuse text that no system call takes, and 80.0 where a schema sees a whole number."""
        _check_text("$", config)
        try:
            codec.structure(dict(config), TenantConfig)
        except codec.BadDocument as error:
            raise ComputeRefused(str(error)) from None

    def validate_defaults(self) -> None:
        """Check as `validate` does, whatever command a tenant may name."""
        self.validate({"command": ["command"], **self.defaults})

    def location(self, config: Mapping[str, object]) -> str:  # noqa: ARG002  # the contract's signature
        """There is one location: this machine."""
        return ""

    async def reach(self) -> str:
        """Look whether the folder can be used, or made; it is not made."""
        return await asyncio.to_thread(usable_folder, Path(self.operator.folder))

    async def inspect(self, tenant: str, location: str) -> Observation:  # noqa: ARG002  # as above
        """Look at the tenant's folder and ask its command for its health."""
        with _translated(self.operator.folder):
            return await self._tenant(tenant).look()

    async def provision(self, spec: ComputeSpec) -> ComputeResult:
        """Start the command; one that runs with this configuration is adopted."""
        with _translated(self.operator.folder):
            return await self._tenant(spec.tenant).apply(self._run(spec))

    async def update(self, spec: ComputeSpec) -> ComputeResult:
        """End the old process and start the new; the old again if the new does not serve in time."""
        return await self.provision(spec)

    async def destroy(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """End the processes, wait until the last is gone, and remove the folder."""
        with _translated(self.operator.folder):
            return await self._tenant(tenant).destroy()

    @property
    def longest_carry(self) -> float:
        """The work under way, and of a switch's way back a stop, a write and a start."""
        return LONGEST_CARRY

    async def restore(self, tenant: str, location: str) -> bool:  # noqa: ARG002  # as above
        """End an update that was cut, and start a command that served and is not there any more."""
        with _translated(self.operator.folder):
            return await self._tenant(tenant).restore()

    async def aclose(self) -> None:
        """There is nothing to close: the processes are not this worker's."""

    def _tenant(self, tenant: str) -> Tenant:
        # A tenant's id may hold any characters, and half a surrogate pair too.
        digest = hashlib.sha256(tenant.encode("utf-8", "surrogatepass")).hexdigest()
        folder = Path(self.operator.folder) / digest
        return Tenant(
            folder=Folder(folder),
            claims=PortClaims(folder, self.operator.ports),
            runner=self.runner,
            reached=self.reached,
        )

    def _run(self, spec: ComputeSpec) -> Run:
        return Run(
            run="",
            port=0,
            config=codec.structure(dict(spec.config), TenantConfig),
            config_hash=spec.config_hash,
            key_hashes=spec.key_hashes,
            output_limit=self.operator.output_limit,
        )


def create_process(settings: Mapping[str, object]) -> ProcessCompute:
    """Make the engine from the section ``compute.process``.

    Raises:
        ComputeRefused: Naming each setting that is unknown or bad.
    """
    return ProcessCompute(operator=operator_of(settings), defaults=defaults_of(settings))


@contextmanager
def _translated(folder: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Its own text may name a file of the tenant's.
        name = errorcode.get(error.errno or 0, type(error).__name__)
        raise ComputeUnavailable(
            f"the folder of this tenant's state, in {folder}, cannot be used: {name}",
            hint="set compute.process.folder to one that this user may write to",
        ) from None


def _check_text(path: str, value: object) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            # The name of a variable is the tenant's own text, and may not be written as it is.
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
