"""The profiles of hypothesis, and the tests that coverage measures.

hypothesis generates the same examples in each run, so that a failure is reproducible.
`pytest --hypothesis-profile=search` generates more examples, and other ones in each run.
"""

import signal
from collections.abc import Generator
from contextlib import nullcontext

import pytest
from hypothesis import settings

from landlord_test_target.measuring import unmeasured

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # The tests run under nohup. A child process inherits an ignored signal, but no handler, and a worker leaves an ignored signal ignored.
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
