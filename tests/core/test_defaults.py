"""The operator's defaults for tenants, from a real settings file to the compute engines."""

from pathlib import Path

import attrs
import pytest

from landlord_engines_core import host
from landlord_engines_core.compute import ComputeRegistry
from landlord_engines_core.errors import LandlordEnginesError, PluginSettingsRefused, SettingsError
from landlord_engines_core.metrics import Metrics
from landlord_engines_core.plugins import find_compute_settings
from landlord_engines_core.settings import Sources
from landlord_test_target.in_memory import RecordingLogger


@attrs.frozen(kw_only=True)
class EmptySettings:
    """A worker engine's section without keys."""


def load_registry(folder: Path, text: str) -> ComputeRegistry:
    path = folder / "config.yaml"
    path.write_text(text)
    sources = Sources.gather(path, {}, {}, compute_type=find_compute_settings)
    return host.build_registry(
        sources.load("own", EmptySettings).settings, RecordingLogger(), Metrics()
    )


@pytest.mark.parametrize(
    ("text", "error", "expected_text"),
    [
        ("docker: {restart_policy: false}", PluginSettingsRefused, "compute.docker.restart_policy"),
        ("docker: {user: 1000}", PluginSettingsRefused, "compute.docker.user breaks the rule"),
        ("docker: {privileged: true}", PluginSettingsRefused, "the policy of this worker refuses"),
        ("docker: {volumes: [x]}", PluginSettingsRefused, "$.volumes[0] must be source:/path"),
        ("docker: {image: 'sesame '}", PluginSettingsRefused, "$.image must be an image reference"),
        ("process: {port: 80.0}", PluginSettingsRefused, "$.port must be a whole number"),
        ("process: {health: {}, stop_timeout: 61}", PluginSettingsRefused, "stop_timeout breaks"),
        ("ecs: {desired_count: -1}", PluginSettingsRefused, "desired_count"),
        ("ecs: {launch_type: sesame}", PluginSettingsRefused, "compute.ecs.launch_type breaks"),
        ("mock: {x: 1234567890}", PluginSettingsRefused, "mock have 17 bytes"),
        ("mock: {since: 2026-01-01}", SettingsError, "compute.mock.since is a date"),
        ("mock: {rate: .nan}", SettingsError, "compute.mock.rate is not a finite number"),
        ("mock: {some: !!set {sesame}}", SettingsError, "compute.mock.some is a set"),
        ("mock: {env: {8080: x}}", SettingsError, "compute.mock.env has a key that is no text"),
    ],
)
def test_defaults_that_would_hold_every_tenant_are_refused_at_the_start(
    tmp_path: Path, text: str, error: type[LandlordEnginesError], expected_text: str
) -> None:
    with pytest.raises(error) as caught:
        load_registry(tmp_path, f"worker: {{max_config_bytes: 16}}\ncompute: {{{text}}}\n")

    assert expected_text in caught.value.message
    assert caught.value.hint
    assert "sesame" not in str(caught.value)
    if error is SettingsError:
        assert f"({tmp_path / 'config.yaml'})" in caught.value.message


async def test_defaults_may_omit_keys_that_tenants_set(tmp_path: Path) -> None:
    registry = load_registry(
        tmp_path,
        """
compute:
  docker: {restart_policy: no, image: "", labels: {on: yes}, env: {A: "1"}}
  process: {health: {within: 5}, env: {A: no}}
  ecs: {launch_type: fargate, assume_role: {role_arn: "arn:aws:iam::1:role/x"}}
  mock:
""",
    )

    assert registry.engine("docker").config_defaults()["restart_policy"] == "no"
    await registry.aclose()
