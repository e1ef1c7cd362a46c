"""The story of a case, kept as a line of JSON."""

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
    """The course of one case; times are seconds since the epoch, 0 for never.

    Attributes:
        api: Whether the workers know Landlord's API.
        freeze: The freeze of a worker, if there was one.
        job: The execution that was killed.
        landed: Whether the job was running when it was killed.
        took: Whether the job was the holder of the tenant's lock.
        follower: The execution that followed.
        ended: When the follower had ended.
        at_end: The target's resources at that time.
        holds: The target's resources after the last resync.
        asked: All requests for the tenant.
        findings: The judge's findings.
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
        """Describe the case in one line."""
        case = self.case
        api = "with" if self.api else "without"
        return f"case {case.number} ({case.work}, then {case.then}, {api} the API)"

    @property
    def is_late(self) -> bool:
        """Check whether a request of the job was on the wire when the job was killed."""
        return any(
            request.at < self.killed < float(str(request.detail.get("answered", 0)))
            for request in self.asked
        )

    def look(self, holds: Holds) -> None:
        """Store the final resources."""
        self.holds, self.looked = holds, time()


def told(target: str, seed: int, folder: Path, stories: Sequence[Story]) -> list[str]:
    """Write the stories to a folder, print a summary, and return all findings."""
    path = folder / f"{target}-{seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(attrs.asdict(story)) for story in stories]
    path.write_text("\n".join([*lines, ""]))
    wrong = [f"{story.title}: {'; '.join(story.findings)}" for story in stories if story.findings]
    good, landed = len(stories) - len(wrong), sum(story.landed for story in stories)
    late = sum(story.is_late for story in stories)
    sys.stdout.write(
        f"\n{target}, seed {seed}: {good} of {len(stories)} as expected. {landed} jobs were killed while"
        f" they ran, {late} of them with a request on the wire. Stories: {path}\n"
    )
    return wrong
