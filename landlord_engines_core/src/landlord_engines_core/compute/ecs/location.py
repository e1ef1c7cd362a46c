"""Where a tenant's service is: all that is needed to find it again, as readable text."""

import re
from urllib.parse import parse_qsl, quote, urlencode

import attrs

from landlord_engines_core.compute.ecs.config import EcsConfig
from landlord_engines_core.compute.ecs.digest import digest
from landlord_engines_core.errors import ComputeRefused

__all__ = ["Location", "location_of"]

_PLAIN = re.compile(r"(?!sha256-)[A-Za-z0-9_-]+")
_LONGEST = 255
_DIGESTED = "sha256-"


@attrs.frozen(kw_only=True)
class Location:
    """A region, a cluster, the service's name there, and the role that reaches it.

    Attributes:
        service: The name; with ``*`` at its end the tenant's key stands in that star's place.
        role: The ARN of the role to assume, or empty. Its external id is the operator's secret and
            not in here.
        session: The name of the role's session, or empty.
    """

    region: str
    cluster: str
    service: str
    role: str = ""
    session: str = ""

    def __str__(self) -> str:
        known = {key: value for key, value in attrs.asdict(self).items() if value}
        return urlencode(known, safe=":/*", errors="surrogatepass", quote_via=quote)

    @classmethod
    def read(cls, text: str) -> "Location":
        """Read a location out of a tenant's record.

        Raises:
            ComputeRefused: It is not a location of this engine.
        """
        try:
            return cls(**dict(parse_qsl(text, strict_parsing=True, errors="surrogatepass")))
        except (TypeError, ValueError):
            raise ComputeRefused(
                "the tenant's record holds a location that is none of ecs",
                hint="was another compute engine called ecs when the record was written?",
            ) from None

    @property
    def fingerprint(self) -> str:
        """Short text that stands for this location, however long that is."""
        return digest(str(self))[:32]

    def service_name(self, tenant: str) -> str:
        """The name of this tenant's service.

        A tenant's key that ECS would not take as part of a name, or that is too long for one, is
        there as a digest.
        """
        prefix = self.service.removesuffix("*")
        if prefix == self.service:
            return self.service
        if _PLAIN.fullmatch(tenant) and len(prefix) + len(tenant) <= _LONGEST:
            return prefix + tenant
        end = _DIGESTED + digest(f"{prefix}*{tenant}")
        return prefix[: _LONGEST - len(end)] + end


def location_of(config: EcsConfig) -> Location:
    """Where a configuration puts its tenant.

    Raises:
        ComputeRefused: It leaves that open.
    """
    named = config.service_name or config.service_name_prefix
    missing = [
        what
        for what, value in (
            ("a cluster (cluster_arn)", config.cluster_arn),
            ("a service (service_name or service_name_prefix)", named),
            ("a region (region, or the ARN of cluster or task definition)", config.resolved_region),
        )
        if not value
    ]
    if missing:
        raise ComputeRefused(
            f"the configuration does not name {' nor '.join(missing)}",
            hint="set it for the tenant, or for all in compute.ecs",
        )
    role = config.assume_role
    return Location(
        region=config.resolved_region,
        cluster=config.cluster_arn,
        service=config.service_name or f"{config.service_name_prefix}*",
        role=role.role_arn if role else "",
        session=role.session_name if role else "",
    )
