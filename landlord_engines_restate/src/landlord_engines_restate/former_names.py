"""What versions before the words of today left on a server.

Their lock of a tenant had another name. A lock that is new and empty beside one that is held lets two
jobs of a tenant run at once, so that this worker does not begin beside what they have not ended.
"""

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.settings import Names

__all__ = ["refuse_former_names"]


async def refuse_former_names(admin: AdminClient, names: Names) -> None:
    """Refuse to begin beside jobs or records that are kept under the former names.

    Raises:
        RegistrationRefused: There are some; the hint says how to end them.
        AdminUnavailable: The server does not answer.
    """
    lock, resync = f"{names.service}Turn", f"{names.service}Settle"
    former = await admin.service(lock)
    if former is None:
        return
    open_jobs = await admin.query(
        "SELECT id FROM sys_invocation WHERE status <> 'completed' AND target_service_name"  # noqa: S608  # quoted
        f" IN ({literal(lock)}, {literal(resync)}) LIMIT 1"
    )
    records = await admin.query(
        f"SELECT service_key FROM state WHERE service_name = {literal(lock)} LIMIT 1"  # noqa: S608  # quoted
    )
    if open_jobs or records:
        kept = "jobs that have not ended" if open_jobs else "tenants' records"
        raise RegistrationRefused(
            f"Restate at {admin.url} keeps {kept} under the former name {lock}",
            hint="have the version that wrote them end its jobs, stop it, and remove its deployment:"
            f" DELETE {admin.url}/deployments/{former.deployment_id}?force=true. Records begin anew;"
            " jobs find what their tenants have on the targets",
        )
