import pytest

from landlord_engines_core.settings.service_variables import is_service_variable

INJECTED = {
    "WORKFLOW_RESTATE_SERVICE_HOST": "10.0.0.1",
    "WORKFLOW_RESTATE_SERVICE_PORT": "8080",
    "WORKFLOW_RESTATE_SERVICE_PORT_INGRESS": "8080",
    "WORKFLOW_RESTATE_PORT": "tcp://10.0.0.1:8080",
    "WORKFLOW_RESTATE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "WORKFLOW_RESTATE_PORT_8080_TCP_PROTO": "tcp",
    "WORKFLOW_RESTATE_PORT_8080_TCP_PORT": "8080",
    "WORKFLOW_RESTATE_PORT_8080_TCP_ADDR": "10.0.0.1",
    "LOG_PORT_53_UDP": "udp://[fd00::1]:53",
    "LOG_SERVICE_HOST": "fd00::1",
}


@pytest.mark.parametrize("name", INJECTED)
def test_variables_that_kubernetes_injects_for_a_service_are_recognised(name: str) -> None:
    assert is_service_variable(name, INJECTED)
    assert is_service_variable(name, INJECTED, is_setting=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WORKFLOW_X_PORT", "8080"),
        ("WORKFLOW_X_SERVICE_HOST", "my-host"),
        ("WORKFLOW_X_SERVICE_PORT", "http"),
        ("PORT", "tcp://10.0.0.1:8080"),
        ("WORKER_PORT_9080_TCP", "9080"),
    ],
)
def test_a_similar_name_alone_makes_no_service_variable(name: str, value: str) -> None:
    assert not is_service_variable(name, {name: value})


def test_our_variable_counts_as_a_service_variable_only_beside_the_host_variable() -> None:
    alone = {"WORKFLOW_X_PORT": "tcp://10.0.0.1:80"}

    assert not is_service_variable("WORKFLOW_X_PORT", alone, is_setting=True)
    with_host = {**alone, "WORKFLOW_X_SERVICE_HOST": "10.0.0.1"}
    assert is_service_variable("WORKFLOW_X_PORT", with_host, is_setting=True)
