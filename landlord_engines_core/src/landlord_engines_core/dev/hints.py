"""Commands to try in ``landlord-host dev``."""

import json
import shlex
from collections.abc import Iterator

from landlord_engines_core.dev.demo import page_command
from landlord_engines_core.dev.stack import Stack, find_free_port

__all__ = ["hints"]


def hints(stack: Stack) -> Iterator[str]:
    """Make the lines that show all addresses and commands to try."""
    tenants = f"{stack.landlord}/tenants"
    port = find_free_port()
    yield f"Landlord (in memory)  {stack.landlord}"
    yield from (f"{key:<21} {value}" for key, value in stack.backend.items())
    yield f"probes                {stack.probes}/readyz"
    yield ""
    yield "Create a tenant, show it and its page, update it, delete it:"
    yield f"  curl -X POST {tenants} -d {_body('version one', port, name='acme')}"
    yield f"  curl {tenants}/acme"
    yield f"  curl http://127.0.0.1:{port}/"
    yield f"  curl -X PUT {tenants}/acme -d {_body('version two', port)}"
    yield f"  curl -X DELETE {tenants}/acme"
    yield ""
    yield "Ctrl-C ends everything, tenants included."


def _body(page: str, port: int, **more: str) -> str:
    config = {"command": page_command(page), "port": port, "health": {"http": "/"}}
    return shlex.quote(json.dumps({**more, "compute_config": config}))
