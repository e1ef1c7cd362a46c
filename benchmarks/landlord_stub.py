"""The part of Landlord's API that a job uses, with a count of its requests.

    python -m benchmarks.landlord_stub PORT

``PUT /config`` sets the configuration of every tenant. ``GET /counts`` returns the number of requests to
each path. ``POST /v1/traces`` takes spans, as a receiver of OpenTelemetry does.
"""

import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Stub:
    """The API as a bare ASGI application, because a web framework would use more processor time."""

    def __init__(self) -> None:
        self.config: object = {}
        self.counts: Counter[str] = Counter()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["method"] == "PUT":
            self.config = json.loads((await receive())["body"])
        answer = self._answer(scope["path"].rstrip("/").split("/")[1:])
        status = 200
        if answer is None:
            status, answer = 404, {"error": "there is none"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, path: list[str]) -> object:
        match path:
            case ["v1", "tenants", tenant]:
                self.counts["tenant"] += 1
                return self._tenant(tenant)
            case ["v1", "compute", "config"]:
                self.counts["defaults"] += 1
                return {"provider": "mock", "defaults": {"replicas": 1, "port": 80}}
            case ["counts"]:
                return dict(self.counts)
            case ["config"] | ["v1", "traces"]:
                return {}
            case _:
                return None

    def _tenant(self, tenant: str) -> object:
        return self._build_document(tenant)

    def _build_document(self, tenant: str) -> dict[str, object]:
        return {
            "id": tenant,
            "name": f"name-{tenant}",
            "status": "provisioning",
            "desired_config": self.config,
            "compute_config": self.config,
            "observed_config": {},
            "labels": {"tier": "gold", "compute_provider": "mock"},
            "annotations": {"note": "made by the benchmark"},
            "workflow_execution_id": "inv_1",
            "workflow_sub_state": "running",
            "workflow_retry_count": 0,
            "created_at": "2026-11-23T05:51:26Z",
            "updated_at": "2026-11-23T05:51:26Z",
            "version": 3,
        }


if __name__ == "__main__":
    uvicorn.run(
        Stub(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
    )
