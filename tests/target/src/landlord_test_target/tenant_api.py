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
        away: Whether the API fails all requests, so that no tenant is resynced.
        silent_about: The tenants whose requests fail.
        asked: The path of each request.
        quick: Unset while answers are held back.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.url = server.url_for("/")
        self.tenants: dict[str, dict[str, object]] = {}
        self.away = False
        self.silent_about: set[str] = set()
        self.asked: list[str] = []
        self.quick = threading.Event()
        self.quick.set()
        server.expect_request("/v1/compute/config").respond_with_json({"error": "no"}, status=400)
        server.expect_request(re.compile(r"/v1/tenants/.+")).respond_with_handler(self._tenant)

    def says(self, tenant: str, status: str, engine: str = "target", **config: object) -> None:
        self.tenants[tenant] = {
            "id": tenant,
            "status": status,
            "desired_config": config,
            "labels": {"compute_provider": engine},
        }

    def forgets(self, tenant: str) -> None:
        """Remove a tenant, as after its delete."""
        self.tenants.pop(tenant, None)

    def _tenant(self, request: Request) -> Response:
        self.asked.append(request.path)
        self.quick.wait()
        tenant = request.path.rsplit("/", 1)[1]
        if self.away or tenant in self.silent_about:
            return Response("oh", 500)
        found = self.tenants.get(tenant)
        document, status = (found, 200) if found else ({"error": "Tenant not found"}, 404)
        return Response(json.dumps(document), status, content_type="application/json")
