"""What became of a case, kept as a line of JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time

import attrs

from landlord_test_target.endings.ground import Asked, Holds
from landlord_test_target.endings.plan import Case

__all__ = ["Story", "told"]


@attrs.define(kw_only=True)
class Story:
    """One case as it went; times are seconds since the epoch, 0 for never.

    Attributes:
        api: Whether the workers know Landlord's API.
        freeze: When a worker stood still, if one did.
        job: The execution that was killed.
        landed: Whether it was under way when it was killed.
        took: Whether it had the tenant's lock.
        follower: What followed.
        ended: When that had ended.
        at_end: What was there then.
        holds: What is there after the last resync.
        asked: All requests for the tenant.
        findings: What is wrong.
    """

    case: Case
    api: bool
    freeze: Mapping[str, object] = attrs.field(factory=dict)
    job: str = ""
    sent: float = 0
    killed: float = 0
    landed: bool = False
    took: bool = False
    follower: str = ""
    ended: float = 0
    at_end: Holds | None = None
    holds: Holds | None = None
    history: Sequence[Mapping[str, object]] = ()
    asked: Sequence[Asked] = ()
    findings: list[str] = attrs.field(factory=list)
    looked: float = 0

    @property
    def title(self) -> str:
        """The case in a line."""
        case = self.case
        api = "with" if self.api else "without"
        return f"case {case.number} ({case.work}, then {case.then}, {api} the API)"

    @property
    def is_late(self) -> bool:
        """Whether a request of the job was on the wire when it was killed."""
        return any(
            one.at < self.killed < float(str(one.detail.get("answered", 0))) for one in self.asked
        )

    def look(self, holds: Holds) -> None:
        """Note what is there in the end."""
        self.holds, self.looked = holds, time()


def told(target: str, seed: int, folder: Path, stories: Sequence[Story]) -> list[str]:
    """Keep stories in a folder, print what came of them, and return what is wrong."""
    path = folder / f"{target}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(attrs.asdict(one)) for one in stories]
    path.write_text("\n".join([*lines, ""]))
    wrong = [f"{one.title}: {'; '.join(one.findings)}" for one in stories if one.findings]
    good, landed = len(stories) - len(wrong), sum(one.landed for one in stories)
    late = sum(one.is_late for one in stories)
    sys.stdout.write(
        f"\n{target}, seed {seed}: {good} of {len(stories)} as they should be; {landed} killed under"
        f" way; {late} with a request on the wire then. Stories: {path}\n"
    )
    return wrong
