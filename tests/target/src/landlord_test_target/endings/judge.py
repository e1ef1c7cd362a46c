"""What has to be there once nothing of a case can be alive any more."""

from landlord_test_target.endings.plan import Then, Work
from landlord_test_target.endings.story import Story

__all__ = ["findings", "right"]


def findings(story: Story) -> list[str]:
    """What is wrong, in sentences."""
    case, holds = story.case, story.holds
    assert holds is not None, "it was looked at"
    if case.then is not Then.NOTHING and not story.ended:
        return [f"what followed ({case.then}) has not ended"]
    found = []
    if case.then is Then.DELETE:
        late = [one for one in story.asked if one.call == "create" and one.at > story.ended]
        found += [f"asked to create {one.at - story.ended:.2f} s after the delete" for one in late]
    wanted = right(story)
    if holds.serving not in wanted:
        found.append(f"version {holds.serving} serves and not one of {sorted(wanted)}")
    # What never served may lie there, as long as it does not run.
    most = 0 if case.then is Then.DELETE else 1
    if holds.count > most or (holds.running and not holds.serving):
        found.append(f"{holds.count} are there, of which {holds.running} run")
    return found


def right(story: Story) -> set[int]:
    """The versions of which one has to serve; 0 for none."""
    case = story.case
    if case.then is Then.DELETE:
        return {0}
    if case.then is Then.YOUNGER:
        return {case.younger, *_landed_late(story)}
    if not story.took:
        return {case.former}
    goes = case.work in (Work.PROVISION, Work.UPDATE)
    aim = case.version if goes else case.former
    # Without Landlord's word nobody knows which of the two it is.
    return {aim} if story.api else {aim, case.former}


def _landed_late(story: Story) -> set[int]:
    """What the killed job's update in place may have made of what the younger job left.

    It was on the wire for longer than that job took, which may have found all as it wanted it. The
    target knows no former version to go back to, and without Landlord's word nobody else does.
    """
    case = story.case
    is_late = any(
        one.call == "update"
        and one.at < story.killed
        and float(str(one.detail["answered"])) > story.ended
        for one in story.asked
    )
    return {case.version} if is_late and not story.api and case.work is Work.UPDATE else set()
