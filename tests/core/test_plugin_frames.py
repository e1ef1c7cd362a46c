import sys

import pytest

from landlord_engines_core.plugin_frames import find_owner, find_whereabouts, thread_whereabouts


def test_code_of_an_engine_is_named_by_its_distribution() -> None:
    package = __name__.partition(".")[0]

    whereabouts = find_whereabouts(sys._getframe(), {f"{package}.engine": "worker engine own"})

    assert whereabouts.engine == "worker engine own"
    assert whereabouts.location.startswith("test_plugin_frames.py:")
    assert whereabouts.location.endswith("in test_code_of_an_engine_is_named_by_its_distribution")


def test_a_built_in_engine_is_named_by_its_module() -> None:
    exec_globals: dict[str, object] = {
        "__name__": "landlord_engines_core.compute.docker.client",
        "sys": sys,
    }
    exec("def frame(): return sys._getframe()", exec_globals)
    frame = exec_globals["frame"]()  # type: ignore[operator]
    engines = {
        "landlord_engines_core.compute.mock": "compute engine mock",
        "landlord_engines_core.compute.docker": "compute engine docker",
    }

    assert find_whereabouts(frame, engines).engine == "compute engine docker"


@pytest.mark.parametrize(
    ("module", "owner"),
    [
        ("acme.queue", "worker engine queue"),
        ("acme.queue.steps", "worker engine queue"),
        ("acme.queue.fast.steps", "worker engine fast"),
        ("acme.shared", "worker engine queue or worker engine fast or compute engine boxes"),
        ("acmeother", ""),
    ],
)
def test_a_module_that_engines_share_names_them_all(module: str, owner: str) -> None:
    engines = {
        "acme.queue": "worker engine queue",
        "acme.queue.fast": "worker engine fast",
        "acme": "compute engine boxes",
    }

    assert find_owner(module, engines) == owner


def test_outside_of_engines_the_innermost_frame_is_named() -> None:
    whereabouts = find_whereabouts(sys._getframe(), {})

    assert str(whereabouts).startswith("the worker at test_plugin_frames.py:")


def test_an_ended_thread_has_no_frame() -> None:
    assert thread_whereabouts(-1, {}).location == "an unknown location"
