"""What to try once everything is up."""

import json
import shlex
from collections.abc import Iterator

from landlord_engines_core.dev.demo import command_of
from landlord_engines_core.dev.stack import Stack, free_port

__all__ = ["hints"]


def hints(stack: Stack) -> Iterator[str]:
    """Say where everything listens, with commands to try, line by line."""
    tenants = f"{stack.landlord}/tenants"
    port = free_port()
    yield f"Landlord (in memory)  {stack.landlord}"
    yield from (f"{key:<21} {value}" for key, value in stack.backend.items())
    yield f"probes                {stack.probes}/readyz"
    yield ""
    yield "Create a tenant, look at it and at its page, change it, delete it:"
    yield f"  curl -X POST {tenants} -d {_body('version one', port, name='acme')}"
    yield f"  curl {tenants}/acme"
    yield f"  curl http://127.0.0.1:{port}/"
    yield f"  curl -X PUT {tenants}/acme -d {_body('version two', port)}"
    yield f"  curl -X DELETE {tenants}/acme"
    yield ""
    yield "Ctrl-C ends all of it, tenants included."


def _body(page: str, port: int, **more: str) -> str:
    config = {"command": command_of(page), "port": port, "health": {"http": "/"}}
    return shlex.quote(json.dumps({**more, "compute_config": config}))
