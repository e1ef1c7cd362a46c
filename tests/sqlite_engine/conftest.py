"""The example's backend with a real worker."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from landlord_engine_sqlite import factory
from landlord_engine_sqlite.engine import SqliteSettings
from landlord_test_target.queue_harness import QueueHarness
from landlord_test_target.target import Target, target_server


@pytest.fixture
def no_restate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every import of Restate fail in a test's processes, which are not forked then."""
    for name in ("restate", "landlord_engines_restate"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))


@pytest.fixture(scope="session")
def target_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with target_server(tmp_path_factory.mktemp("target")) as url:
        yield url


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def bench(
    target_url: str, http: aiohttp.ClientSession, tmp_path: Path
) -> AsyncIterator[QueueHarness]:
    assert factory.local_backend is not None
    target = Target(url=target_url, http=http)
    async with factory.local_backend(SqliteSettings(), tmp_path) as backend:
        bench = QueueHarness(backend=backend, target=target, folder=tmp_path)
        yield bench
        await bench.aclose()
