"""A cluster of restate-servers on loopback, with a load balancer for each of its APIs."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from landlord_engines_restate.local.server import RestateServer
from landlord_test_target.balancer import run_balancer

__all__ = ["Cluster", "Node", "cluster"]


@attrs.define(kw_only=True)
class Node(RestateServer):
    """A node; the first one provisions the cluster.

    Attributes:
        number: The node's number, from 0.
        peers: All nodes, this one included.
    """

    number: int
    peers: Sequence["Node"] = ()

    @property
    def address(self) -> str:
        """Return the address for the node's peers."""
        return f"http://127.0.0.1:{self._ports[2]}"

    def _write_config(self) -> Path:
        ingress, admin, node = self._ports
        config = self.folder / "restate.toml"
        config.write_text(f"""\
cluster-name = "cluster"
node-name = "n{self.number + 1}"
base-dir = {json.dumps(str(self.folder))}
bind-ip = "127.0.0.1"
bind-port = {node}
advertised-address = "{self.address}"
listen-mode = "tcp"
auto-provision = {"false" if self.number else "true"}
default-replication = 2
default-num-partitions = 4
disable-telemetry = true

[metadata-client]
addresses = {json.dumps([peer.address for peer in self.peers])}

[admin]
bind-port = {admin}

[ingress]
bind-port = {ingress}
""")
        return config


@attrs.define(kw_only=True)
class Cluster(RestateServer):
    """All nodes, with one address for clients."""

    nodes: Sequence[Node]
    ingress_url: str
    admin_url: str

    @property
    def endpoint(self) -> str:
        """Return the ingress, from any running node."""
        return self.ingress_url

    @property
    def admin_endpoint(self) -> str:
        """Return the admin API, from any running node."""
        return self.admin_url


@asynccontextmanager
async def cluster(binary: Path, folder: Path, count: int = 3) -> AsyncIterator[Cluster]:
    """Run a cluster with this many nodes."""
    nodes = [
        Node(binary=binary, folder=folder / f"n{number + 1}", number=number)
        for number in range(count)
    ]
    for node in nodes:
        node.peers = nodes
    endpoints = [node.endpoint.removeprefix("http://") for node in nodes]
    admins = [node.admin_endpoint.removeprefix("http://") for node in nodes]
    async with run_balancer(endpoints) as ingress, run_balancer(admins) as admin:
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            yield Cluster(
                binary=binary,
                folder=folder,
                nodes=nodes,
                ingress_url=ingress.url,
                admin_url=admin.url,
            )
        finally:
            await asyncio.gather(*(node.stop() for node in nodes))
