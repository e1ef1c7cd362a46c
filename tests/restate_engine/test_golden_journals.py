"""Replays of journals that released versions wrote.

``python -m landlord_test_target.recorder tests/data/journals/VERSION`` recorded them between a real
restate-server and a worker. Each release adds a folder, and none is ever changed.
"""

import asyncio
import base64
import gc
import json
import logging
import struct
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from restate import Context
from restate.endpoint import Endpoint

from landlord_engines_core.compute.mock import MockCompute
from landlord_engines_core.engine import EngineContext, HostInfo
from landlord_engines_core.errors import ComputeUnavailable
from landlord_engines_restate.admin import AdminClient
from landlord_engines_restate.admin.known_services import KnownServices
from landlord_engines_restate.jobs.services import build_services
from landlord_engines_restate.settings import Names
from landlord_test_target.in_memory import RecordingLogger, build_tenant_jobs

JOURNALS = Path(__file__).parent.parent / "data" / "journals"
RECORDED = sorted(JOURNALS.glob("*/*.json"))

END = 0x0003
ERROR = 0x0002
SUSPENSION = 0x0001
RUN = 0x0411
"""Types of messages of Restate's service protocol."""


@pytest.mark.parametrize(
    "journal", RECORDED, ids=[f"{path.parent.name}-{path.stem}" for path in RECORDED]
)
async def test_a_recorded_journal_is_replayed_to_its_end_without_a_new_step(journal: Path) -> None:
    compute = MockCompute()
    recorded: dict[str, str] = json.loads(journal.read_text())

    kinds = [kind for kind, _ in _messages(await _replay(recorded, compute))]

    assert kinds[-1] == END, [hex(kind) for kind in kinds]
    assert compute.resources == {}


@pytest.mark.parametrize(
    "names",
    [
        {b"resolve": b"choose"},
        {b"apply": b"act"},
        {b"apply": b"resolve", b"resolve": b"apply"},
    ],
    ids=["resolve", "apply", "order"],
)
async def test_steps_with_other_names_or_in_another_order_fail_the_replay(
    names: Mapping[bytes, bytes],
) -> None:
    recorded: dict[str, str] = json.loads((JOURNALS / "0.1.0" / "create.json").read_text())
    body = _rename_steps(base64.b64decode(recorded["body"]), names)
    changed = {**recorded, "body": base64.b64encode(body).decode()}

    messages = dict(_messages(await _replay(changed, MockCompute())))

    assert END not in messages
    assert b"mismatch" in messages[ERROR]


class UnavailableMock(MockCompute):
    """A compute engine that fails in the first step."""

    def location(self, config: Mapping[str, object]) -> str:
        raise ComputeUnavailable("the target does not answer")


async def test_memory_of_a_suspended_handler_is_freed_without_the_garbage_collector() -> None:
    left = await _objects_left_by(MockCompute(), SUSPENSION)

    assert [each for each in left if isinstance(each, Context)] == []


async def test_memory_of_a_failed_step_is_freed_without_the_garbage_collector(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # A kept log line would keep its error alive.
    caplog.set_level(logging.CRITICAL, "restate")

    frames = [
        each
        for each in await _objects_left_by(UnavailableMock(), ERROR)
        if isinstance(each, FrameType)
    ]

    assert [frame for frame in frames if frame.f_code.co_name.startswith("create_poll")] == []


async def _objects_left_by(compute: MockCompute, last: int) -> list[object]:
    """Return all objects that are left after an attempt with such a last message, before any collection."""
    recorded: dict[str, str] = json.loads((JOURNALS / "0.1.0" / "create.json").read_text())
    first = {**recorded, "body": base64.b64encode(_journal_with_input(recorded)).decode()}
    gc.collect()
    gc.disable()
    try:
        kinds = [kind for kind, _ in _messages(await _replay(first, compute))]
        assert kinds[-1] == last, [hex(kind) for kind in kinds]
        return gc.get_objects()
    finally:
        gc.enable()


def _journal_with_input(recorded: Mapping[str, str]) -> bytes:
    """Build a journal that has only the job's input."""
    (start, about), (received, body), *_ = _messages(base64.b64decode(recorded["body"]))
    # The number of entries follows the two forms of the id, each with its length before it.
    number = 2 + about[1]
    number += 2 + about[number + 1] + 1
    about = about[:number] + b"\x01" + about[number + 1 :]
    parts = ((start, about), (received, body))
    return b"".join(struct.pack(">HHI", kind, 0, len(part)) + part for kind, part in parts)


def _rename_steps(body: bytes, names: Mapping[bytes, bytes]) -> bytes:
    """Build a journal in which the steps have other names."""
    rewritten = bytearray()
    for kind, content in _messages(body):
        if kind == RUN:
            number, name = content.split(b"b", 1)
            name = names.get(name[1:], name[1:])
            renamed = number + b"b" + bytes([len(name)]) + name
        else:
            renamed = content
        rewritten += struct.pack(">HHI", kind, 0, len(renamed)) + renamed
    return bytes(rewritten)


async def _replay(recorded: Mapping[str, str], compute: MockCompute) -> bytes:
    """Give a recorded request to the application and return its answer."""
    admin = AdminClient("http://127.0.0.1:9")
    tenants = build_tenant_jobs(("mock", compute))
    context = EngineContext(
        settings=None,
        run_job=tenants.run,
        resync=tenants.resync,
        is_desired=tenants.is_desired,
        logger=RecordingLogger(),
        host=HostInfo(),
    )
    names = Names("TenantProvisioning", "TenantProvisioning")
    services = build_services(names, context, admin, known=KnownServices())
    endpoint = Endpoint()  # type: ignore[no-untyped-call]
    endpoint.bind(services.jobs, services.lock)
    body = base64.b64decode(recorded["body"])
    requests = [{"type": "http.request", "body": body, "more_body": False}]
    answer = bytearray()
    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if requests:
            return requests.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        answer.extend(message.get("body", b""))
        if not message.get("more_body", True):
            answered.set()

    scope = {
        "type": "http",
        "http_version": "1.1",
        "path": recorded["path"],
        "headers": [(b"content-type", recorded["content-type"].encode())],
    }
    await endpoint.app()(scope, receive, send)  # type: ignore[no-untyped-call]
    await admin.aclose()
    return bytes(answer)


def _messages(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the type and the content of each message of the protocol."""
    while stream:
        kind, _, length = struct.unpack(">HHI", stream[:8])
        yield kind, stream[8 : 8 + length]
        stream = stream[8 + length :]
