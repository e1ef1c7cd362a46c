"""A registry of real images, where each tag names a tenant and a version.

The proxy of the daemon recognises a tenant by its image's name.
"""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs

from landlord_test_target.docker import WEB, docker
from landlord_test_target.waiting import free_port, wait_for

__all__ = ["Registry", "run_registry"]

_SOURCES = {"1": f"{WEB}:1", "2": f"{WEB}:2", "3": f"{WEB}:3", "sick": "landlord-test/sick:1"}
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@attrs.frozen(kw_only=True)
class Registry:
    """The registry.

    Attributes:
        address: The registry's address.
    """

    address: str
    http: aiohttp.ClientSession

    def image_name(self, version: str, tenant: str) -> str:
        """Name an image for one tenant."""
        return f"{self.address}/web:{version}-{tenant}"

    async def push_for_tenant(self, tenant: str) -> None:
        """Push all images for a tenant, one tenant after the other and before any pull.

        The registry rewrites a manifest that it has already, and cannot serve it meanwhile.
        """
        headers = {"Content-Type": _MANIFEST, "Accept": _MANIFEST}
        for version in _SOURCES:
            async with self.http.get(self._url(version), headers=headers) as answer:
                manifest = await answer.read()
            url = self._url(f"{version}-{tenant}")
            async with self.http.put(url, data=manifest, headers=headers) as answer:
                assert answer.status == 201, await answer.text()

    def push(self) -> None:
        """Push the images once."""
        for version, source in _SOURCES.items():
            image = f"{self.address}/web:{version}"
            docker("tag", source, image)
            docker("push", "-q", image)
            docker("rmi", image)

    def remove_images(self) -> None:
        """Remove the images' names from the daemon."""
        names = docker("run_registry", "--format={{.Repository}}:{{.Tag}}", f"{self.address}/web")
        if names:
            docker("rmi", "-f", *names.splitlines())

    def _url(self, tag: str) -> str:
        return f"http://{self.address}/v2/web/manifests/{tag}"


@asynccontextmanager
async def run_registry(folder: Path, http: aiohttp.ClientSession) -> AsyncIterator[Registry]:
    """Run the registry."""
    image_registry = Registry(address=f"127.0.0.1:{free_port()}", http=http)
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/images}}}}\n"
        f"http: {{addr: {image_registry.address}}}\n"
    )

    async def answers() -> bool:
        try:
            async with http.get(f"http://{image_registry.address}/v2/") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        await wait_for(answers)
        image_registry.push()
        yield image_registry
    finally:
        process.kill()
        process.wait()
        image_registry.remove_images()
