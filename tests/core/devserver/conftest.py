"""A Landlord in memory over a stand-in for a backend."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.devserver import Intervals, landlord_in_memory
from landlord_test_target.in_memory import RecordingLogger
from landlord_test_target.landlord import ApiUser, ScriptedDispatcher

QUICK = Intervals(reconcile=0.02, poll=0.02, retry=0.05, kill=0.02)


@pytest.fixture
def dispatcher() -> ScriptedDispatcher:
    return ScriptedDispatcher()


@pytest.fixture
def lines() -> RecordingLogger:
    return RecordingLogger()


@pytest.fixture
def compute() -> ComputeRegistry:
    return ComputeRegistry({"mock": MockCompute()})


@pytest.fixture
def intervals() -> Intervals:
    return QUICK


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def landlord(
    dispatcher: ScriptedDispatcher,
    compute: ComputeRegistry,
    lines: RecordingLogger,
    intervals: Intervals,
    http: aiohttp.ClientSession,
) -> AsyncIterator[ApiUser]:
    async with landlord_in_memory(
        dispatcher, compute=compute, logger=lines, intervals=intervals
    ) as running:
        yield ApiUser(url=running.url, http=http)
