import errno
import os
import resource
import subprocess
import sys

import pytest

from landlord_engines_core import descriptors
from landlord_engines_core.descriptors import Reserve, max_connections

CODE = """
import resource
from landlord_engines_core.descriptors import raise_limit, read_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
print(read_limit(), raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["64", "128", "128", "128"]


def test_if_the_system_refuses_the_hard_limit_its_own_maximum_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = [(256, resource.RLIM_INFINITY)]

    def set_limit(_: int, limit: tuple[int, int]) -> None:
        if limit[0] == resource.RLIM_INFINITY:
            raise ValueError
        limits.append(limit)

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", set_limit)

    assert descriptors.raise_limit() == descriptors.OPEN_MAX


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int, __: tuple[int, int]) -> None:
        raise OSError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    monkeypatch.setattr(resource, "setrlimit", refuse)

    assert descriptors.raise_limit() == descriptors.UNLIMITED


@pytest.mark.parametrize(("files", "connections"), [(256, 64), (400, 112), (1024, 320), (16, 8)])
def test_connections_get_a_third_of_what_is_not_reserved(files: int, connections: int) -> None:
    assert max_connections(files) == connections


def test_a_call_without_a_free_descriptor_gets_one_from_the_reserve() -> None:
    reserve = Reserve(size=2)
    reserve.fill()
    kept = len(reserve)
    tries = 0

    def open_descriptor() -> str:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise OSError(errno.EMFILE, "none")
        return "done"

    assert (kept, reserve.spend(open_descriptor), len(reserve)) == (2, "done", 1)
    reserve.close()
    assert len(reserve) == 0


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ECONNABORTED])
def test_another_failure_and_an_empty_reserve_are_raised(number: int) -> None:
    def open_descriptor() -> None:
        raise OSError(number, "no")

    with pytest.raises(OSError, match="no"):
        Reserve(size=1).spend(open_descriptor)


def test_a_descriptor_of_the_reserve_is_lent_temporarily() -> None:
    reserve = Reserve(size=1)
    with reserve.lend():
        nothing = len(reserve)
    with reserve.lend():
        lend = len(reserve)

    assert (nothing, lend, len(reserve)) == (0, 0, 1)
    reserve.close()


def test_a_reserve_is_filled_as_far_as_there_are_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "none")

    monkeypatch.setattr(os, "open", refuse)
    reserve = Reserve(size=3)

    reserve.fill()

    assert len(reserve) == 0
