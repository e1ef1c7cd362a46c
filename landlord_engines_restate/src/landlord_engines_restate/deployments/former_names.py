"""Services with previous names, which an earlier version of this worker left on a server.

That version's tenant lock had another name. A job may still have the old lock, and a new empty lock
would let a second job of the tenant run. So this worker refuses to register until such jobs have ended.
"""

from landlord_engines_core.errors import RegistrationRefused
from landlord_engines_restate.admin import AdminClient, literal
from landlord_engines_restate.admin.queries import Status
from landlord_engines_restate.settings import Names

__all__ = ["refuse_former_names"]


async def refuse_former_names(admin: AdminClient, names: Names) -> None:
    """Refuse to register while jobs or records exist under the previous names.

    Raises:
        RegistrationRefused: There are such jobs or records; the hint says how to end them.
        AdminUnavailable: The server does not answer.
    """
    lock, resync = f"{names.service}Turn", f"{names.service}Settle"
    old_service = await admin.service(lock)
    if old_service is None:
        return
    open_jobs = await admin.query(
        f"SELECT id FROM sys_invocation WHERE status <> '{Status.COMPLETED}'"  # noqa: S608  # quoted
        f" AND target_service_name IN ({literal(lock)}, {literal(resync)}) LIMIT 1"
    )
    records = await admin.query(
        f"SELECT service_key FROM state WHERE service_name = {literal(lock)} LIMIT 1"  # noqa: S608  # quoted
    )
    if open_jobs or records:
        kept = "jobs that have not ended" if open_jobs else "tenants' records"
        raise RegistrationRefused(
            f"Restate at {admin.url} keeps {kept} under the previous name {lock}",
            hint="have the version that wrote them end its jobs, stop it, and remove its deployment:"
            f" DELETE {admin.url}/deployments/{old_service.deployment_id}?force=true. New records start"
            " empty; jobs find their tenants' resources on the targets",
        )
