"""The judge of a case: checks the target once no request of the case can be alive any more."""

from landlord_test_target.endings.plan import Then, Work
from landlord_test_target.endings.story import Story

__all__ = ["findings", "right"]


def findings(story: Story) -> list[str]:
    """List the faults of a case, as sentences."""
    case, holds = story.case, story.holds
    assert holds is not None, "it was looked at"
    if case.then is not Then.NOTHING and not story.ended:
        return [f"what followed ({case.then}) has not ended"]
    faults = []
    if case.then is Then.DELETE:
        late = [
            request
            for request in story.asked
            if request.call == "create" and request.at > story.ended
        ]
        faults += [f"asked to create {one.at - story.ended:.2f} s after the delete" for one in late]
    expected = right(story)
    if holds.serving not in expected:
        faults.append(f"version {holds.serving} serves and not one of {sorted(expected)}")
    # A resource that never served may stay, as long as it does not run.
    most = 0 if case.then is Then.DELETE else 1
    if holds.count > most or (holds.running and not holds.serving):
        faults.append(f"{holds.count} are there, of which {holds.running} run")
    return faults


def right(story: Story) -> set[int]:
    """Return the versions of which one has to serve; 0 stands for none."""
    case = story.case
    if case.then is Then.DELETE:
        return {0}
    if case.then is Then.YOUNGER:
        return {case.younger, *_landed_late(story)}
    if not story.took:
        return {case.former}
    goes = case.work in (Work.PROVISION, Work.UPDATE)
    aim = case.version if goes else case.former
    # Without Landlord's API nobody knows which of the two versions is desired.
    return {aim} if story.api else {aim, case.former}


def _landed_late(story: Story) -> set[int]:
    """Return the version that a killed job's late update in place may have put over the younger job's.

    The late request outlived the younger job, which saw its own version in place. This target keeps no
    former version, so without Landlord's API nobody can restore the right one.
    """
    case = story.case
    is_late = any(
        request.call == "update"
        and request.at < story.killed
        and float(str(request.detail["answered"])) > story.ended
        for request in story.asked
    )
    return {case.version} if is_late and not story.api and case.work is Work.UPDATE else set()
