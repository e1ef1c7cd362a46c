import json
import shlex

from landlord_engines_core.dev import Stack, hints


def test_each_part_is_named_and_each_command_can_be_pasted() -> None:
    stack = Stack(
        landlord="http://127.0.0.1:1/v1", backend={"endpoint": "http://e"}, probes="http://p"
    )

    lines = list(hints(stack))

    assert lines[0].split()[-1] == "http://127.0.0.1:1/v1"
    assert "endpoint              http://e" in lines
    create = shlex.split(next(line for line in lines if "POST" in line))
    assert create[:3] == ["curl", "-X", "POST"]
    body = json.loads(create[-1])
    assert body["name"] == "acme"
    assert body["compute_config"]["command"][-1] == "version one"
    assert f"curl http://127.0.0.1:{body['compute_config']['port']}/" in "\n".join(lines)
