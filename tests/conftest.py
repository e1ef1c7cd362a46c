"""How hypothesis searches, and which tests coverage measures.

hypothesis generates the same examples each time, so that a run says the same thing again.
`pytest --hypothesis-profile=search` looks further, and elsewhere each time.
"""

import signal
from collections.abc import Generator
from contextlib import nullcontext

import pytest
from hypothesis import settings

from landlord_test_target.measuring import unmeasured

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # Under nohup. A worker leaves an ignored signal ignored; a handler is not passed on to it.
    signal.signal(signal.SIGHUP, lambda *_: None)

settings.register_profile(
    "same", derandomize=True, database=None, deadline=None, max_examples=25, print_blob=True
)
settings.register_profile("search", deadline=None, max_examples=3000, print_blob=True)
settings.load_profile("same")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stop coverage for a test that is marked so."""
    with unmeasured() if item.get_closest_marker("unmeasured") else nullcontext():
        return (yield)
