"""Landlord's tenant API, with answers that a test sets."""

import json
import re
import threading

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

__all__ = ["Landlord"]


class Landlord:
    """A simulation of Landlord's tenant API.

    Attributes:
        tenants: The known tenants; any other gets 404.
        is_down: Whether the API fails all requests. Workers then put off every resync.
        failing_tenants: The tenants whose requests fail.
        requested_paths: The path of each request.
        may_answer: Unset while answers are held back.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/")
        self.tenants: dict[str, dict[str, object]] = {}
        self.is_down = False
        self.failing_tenants: set[str] = set()
        self.requested_paths: list[str] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        # Landlord answers so for an engine without defaults.
        server.expect_request("/v1/compute/config").respond_with_json({"error": "no"}, status=400)
        server.expect_request(re.compile(r"/v1/tenants/.+")).respond_with_handler(self._tenant)

    def set_tenant(
        self, tenant: str, status: str, engine: str = "target", **config: object
    ) -> None:
        self.tenants[tenant] = {
            "id": tenant,
            "status": status,
            "desired_config": config,
            "labels": {"compute_provider": engine},
        }

    def remove_tenant(self, tenant: str) -> None:
        """Remove a tenant, as after its delete."""
        self.tenants.pop(tenant, None)

    def _tenant(self, request: Request) -> Response:
        self.requested_paths.append(request.path)
        self.may_answer.wait()
        tenant = request.path.rsplit("/", 1)[1]
        if self.is_down or tenant in self.failing_tenants:
            return Response("oh", 500)
        tenant_document = self.tenants.get(tenant)
        document, status = (
            (tenant_document, 200) if tenant_document else ({"error": "Tenant not found"}, 404)
        )
        return Response(json.dumps(document), status, content_type="application/json")
