"""A worker process, and waits for its log lines and its end."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import yaml

from landlord_test_target.forks import ForkedProcess, fork_host
from landlord_test_target.waiting import wait_for

HOST = Path(sys.executable).parent / "landlord-host"


def _variables() -> dict[str, str]:
    # These variables change from test to test, and no worker reads them.
    ignored = ("COVERAGE_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ignored)}


_INITIAL_VARIABLES = _variables()


@attrs.define(kw_only=True)
class Worker:
    """A `landlord-host` process.

    Attributes:
        environment: Variables of its own. With such variables the worker is not forked, because some
            modules read them when they are imported.
        may_fork: Whether the worker may be forked. A forked worker loses a signal that comes at once,
            because Python drops signals that a new fork has not handled yet.
    """

    config: Mapping[str, Any]
    folder: Path
    arguments: tuple[str, ...] = ()
    engine: str = "restate"
    environment: Mapping[str, str] = attrs.field(factory=dict)
    may_fork: bool = True
    process: Process | ForkedProcess | None = None
    log: Path = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.log = self.folder / f"worker-{uuid4().hex}.log"

    @property
    def probe_address(self) -> str:
        address: str = self.config["worker"]["probe_address"]
        return address

    @property
    def probe_url(self) -> str:
        return f"http://{self.probe_address}"

    def write_config(self) -> Path:
        path = self.folder / f"{uuid4().hex}.yaml"
        path.write_text(yaml.safe_dump(dict(self.config)))
        return path

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def command(self, *arguments: str, engine: str = "restate") -> tuple[int, str]:
        """Run a command with this worker's settings, and return its exit code and all output."""
        output = self.folder / f"output-{uuid4().hex}.log"
        process = await self._run(
            (f"--engine={engine}", f"--config={self.write_config()}", *arguments), output
        )
        code = await process.wait()
        return code, output.read_text()

    async def start(self) -> "Worker":
        engine, config = f"--engine={self.engine}", f"--config={self.write_config()}"
        command = (engine, config, "--log-format=json", *self.arguments)
        self.process = await self._run(command, self.log)
        return self

    async def _run(self, arguments: tuple[str, ...], output: Path) -> Process | ForkedProcess:
        command = (str(HOST), *arguments)
        if self.may_fork and not self.environment and _variables() == _INITIAL_VARIABLES:
            return fork_host(command, output)
        with output.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def wait_registered(self) -> "Worker":
        await self.wait_logged("registration changed", state="registered")
        return self

    def log_lines(self) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def log_text(self) -> str:
        return self.log.read_text()

    async def wait_logged(
        self, message: str, count: int = 1, **values: object
    ) -> list[dict[str, Any]]:
        """Wait for ``count`` log lines with this message and these values, and return them."""

        async def check() -> list[dict[str, Any]]:
            expected = {"message": message, **values}.items()
            matches = [line for line in self.log_lines() if expected <= line.items()]
            return matches if len(matches) >= count else []

        try:
            return await wait_for(check)
        except AssertionError as error:
            raise AssertionError(f"not logged: {message} {values}\n{self.log_text()}") from error

    def send_signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def wait_ended(self, within: float = 40.0) -> int:
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), within)

    async def terminate(self) -> int:
        self.send_signal(signal.SIGTERM)
        return await self.wait_ended()

    async def kill(self) -> None:
        if self.process is not None and self.is_running:
            self.process.kill()
            await self.process.wait()
