"""Creates, updates and deletes tenants with two workers of a third-party engine, and kills a worker.

`nox -s third_party` runs this file in an environment that has only core and the example of ours.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from landlord_engine_sqlite import factory
from landlord_engines_core.dev import User, find_free_port
from landlord_engines_core.dev.demo import page_command
from landlord_engines_core.devserver import landlord_in_memory
from landlord_engines_core.host import build_registry
from landlord_engines_core.landlord import add_version
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.settings import Sources

TENANTS = 6

HOST = Path(sys.executable).with_name("landlord-host")


class Silent:
    """Logger of Landlord in memory, without output."""

    def debug(self, event: str, **values: object) -> None:
        """Log nothing."""

    info = warning = error = debug


@asynccontextmanager
async def start_worker(config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker in a process of its own."""
    worker = await asyncio.create_subprocess_exec(
        *(HOST, "--engine", "sqlite", "--config", config, "--log-level", "error")
    )
    try:
        yield worker
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


async def run_tenants(folder: Path) -> None:
    """Create, update and delete tenants, and kill a worker while the updates run."""
    assert factory.local_backend is not None
    async with factory.local_backend(factory.settings_type(), folder / "queue") as backend:
        document: dict[str, dict[str, Any]] = {
            "workflow": {"sqlite": {**backend.settings, "lease": "3s"}},
            "compute": {"process": {"folder": str(folder / "tenants")}},
            "worker": {"probe_address": ""},
        }
        sources = Sources(document=document, file="", environment={}, flags={})
        settings = sources.load("sqlite", factory.settings_type).settings
        registry = build_registry(settings, Silent(), Metrics())
        async with landlord_in_memory(
            backend.dispatcher, compute=registry, logger=Silent()
        ) as landlord:
            url = add_version(landlord.url)
            document["worker"] |= {"landlord_api_url": url}
            config = folder / "config.yaml"
            config.write_text(json.dumps(document))
            async with User.connect(url) as user:
                await run_user(user, config)


def print_step(line: str) -> None:
    """Show a step that is done."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def run_user(user: User, config: Path) -> None:
    """Act as the tenants' user, with two workers."""
    ports = {f"tenant-{number}": find_free_port() for number in range(TENANTS)}
    async with start_worker(config) as killed, start_worker(config) as remaining:
        tenants = {name: await user.create(name, page(port, "one")) for name, port in ports.items()}
        await asyncio.gather(*map(user.wait_ready, tenants.values()))
        print_step(f"{TENANTS} tenants are ready")

        await asyncio.gather(
            *(user.update(tenants[name], page(port, "two")) for name, port in ports.items())
        )
        killed.kill()
        print_step(f"the first worker was killed: {await killed.wait()}")
        await asyncio.gather(*(wait_page(user, port, "two") for port in ports.values()))
        await asyncio.gather(*map(user.wait_ready, tenants.values()))
        print_step("all pages say two")

        await asyncio.gather(*map(user.delete, tenants.values()))
        await asyncio.gather(*(wait_gone(user, tenant) for tenant in tenants.values()))
        remaining.terminate()
        code = await remaining.wait()
        print_step(f"all tenants are gone, and the other worker drained: {code}")
        assert code == 0


def page(port: int, text: str) -> dict[str, object]:
    """Return the configuration of a tenant whose page says this."""
    return {"command": page_command(text), "port": port, "health": {"http": "/"}}


async def wait_page(user: User, port: int, text: str) -> None:
    """Wait until a tenant's page says this."""

    async def shows_text() -> bool:
        return (await user.page(f"http://127.0.0.1:{port}/"))[:1] == [text]

    await user.wait_for(f"a page that says {text}", shows_text)


async def wait_gone(user: User, tenant: str) -> None:
    """Wait until Landlord has removed a tenant."""

    async def is_gone() -> bool:
        return not await user.tenant(tenant)

    await user.wait_for("the tenant gone", is_gone)


def main() -> None:
    """Run the tenants, in an environment without Restate."""
    for module in ("restate", "landlord_engines_restate"):
        assert find_spec(module) is None, f"{module} is installed"
    with TemporaryDirectory() as folder:
        asyncio.run(run_tenants(Path(folder)))


if __name__ == "__main__":
    main()
