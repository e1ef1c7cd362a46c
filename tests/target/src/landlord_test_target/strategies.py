"""Strategies of hypothesis: JSON values, configurations, and values of the models."""

from hypothesis import strategies as st

from landlord_engines_core.models import Placement, Record, Transition

# Half a surrogate pair is text to JSON, and to nothing else.
texts = st.text(st.characters(exclude_categories=()), max_size=20)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)

configs = st.dictionaries(texts, values, max_size=5)

words = st.sampled_from(("", "a", "b", "c"))

placements = st.builds(
    Placement,
    engine=words,
    location=words,
    resource_ids=st.dictionaries(words, texts, max_size=2),
)

transitions = st.builds(
    Transition,
    execution_id=st.sampled_from([f"inv_{number}" for number in range(8)]),
    operation=words,
    started_at=st.just("2026-01-01T00:00:00.000Z"),
    ended_at=st.just("2026-01-01T00:00:01.000Z"),
    outcome=words,
    changes=st.lists(texts, max_size=2).map(tuple),
    placement=st.none() | placements,
    removed=st.lists(placements, max_size=3).map(tuple),
)

records = st.builds(
    Record,
    placements=st.lists(placements, max_size=4, unique=True).map(tuple),
    transitions=st.lists(
        transitions, max_size=4, unique_by=lambda transition: transition.execution_id
    ).map(tuple),
)
