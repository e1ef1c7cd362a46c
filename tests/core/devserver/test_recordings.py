"""Landlord in memory gives the recorded answers of the real Landlord."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from landlord_test_target.landlord import SUCCEEDED, Answer, ApiUser, ScriptedDispatcher
from landlord_test_target.waiting import wait_for

RECORDED = Path(__file__).parents[2] / "data" / "landlord-wire" / "tenant-api.json"
FORMS = (
    ("a UUID", re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
    ("a time", re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z")),
    ("an execution", re.compile(r"inv_\w+")),
)


def with_placeholders(value: Any) -> Any:
    """Replace each id and each time in a value by the name of its form."""
    if isinstance(value, dict):
        return {key: with_placeholders(below) for key, below in value.items()}
    if isinstance(value, list):
        return [with_placeholders(below) for below in value]
    if isinstance(value, str):
        for name, pattern in FORMS:
            value = pattern.sub(f"<{name}>", value)
    return value


def differences(path: str, recorded: Any, answered: Any) -> Iterator[str]:
    """List the fields, at any depth, that differ from the recording."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        for key in {**recorded, **answered}:
            yield from differences(f"{path}.{key}", recorded.get(key), answered.get(key))
    elif isinstance(recorded, list) and isinstance(answered, list):
        if len(recorded) != len(answered):
            yield f"{path}: {len(recorded)} recorded, {len(answered)} answered"
        for number, pair in enumerate(zip(recorded, answered, strict=False)):
            yield from differences(f"{path}[{number}]", *pair)
    elif with_placeholders(recorded) != with_placeholders(answered):
        yield f"{path}: {recorded!r} recorded, {answered!r} answered"


@attrs.define
class Replay:
    """Sends the recorded requests in order to a Landlord that assigns other ids."""

    landlord: ApiUser
    id: str = ""

    async def send(self, exchange: dict[str, Any]) -> Answer:
        """Send one request; a read waits until the tenant is in the recorded state."""
        request, response = exchange["request"], exchange["response"]
        path = self._with_own_id(request["path"])
        body = request["body"]
        raw = body.encode() if isinstance(body, str) else body
        answer: Answer | None = None

        async def check() -> bool:
            nonlocal answer
            answer = await self.landlord.call(request["method"], path, raw)
            return request["method"] != "GET" or has_caught_up(answer, response)

        await wait_for(check)
        assert answer is not None
        if exchange["name"] == "create":
            self.id = answer.body["id"]
        return answer

    def _with_own_id(self, path: str) -> str:
        return FORMS[0][1].sub(self.id, path)


def has_caught_up(answer: Answer, response: dict[str, Any]) -> bool:
    if answer.status != response["status"]:
        return False
    recorded = response["body"]
    return not isinstance(recorded, dict) or recorded.get("status") == answer.body.get("status")


def compare_answer(exchange: dict[str, Any], answer: Answer) -> Iterator[str]:
    name, response = exchange["name"], exchange["response"]
    kind = answer.headers.get("Content-Type")
    body = answer.body if response["content_type"] == "application/json" else answer.raw.decode()
    yield from differences(f"{name}: status", response["status"], answer.status)
    yield from differences(f"{name}: content type", response["content_type"], kind)
    yield from differences(f"{name}: body", response["body"], body)


async def test_every_recorded_request_is_answered_as_it_was_recorded(
    landlord: ApiUser, dispatcher: ScriptedDispatcher
) -> None:
    exchanges: list[dict[str, Any]] = json.loads(RECORDED.read_text())
    replay = Replay(landlord)
    all_differences: list[str] = []
    dispatcher.default_answer = SUCCEEDED
    dispatcher.may_accept.clear()

    for exchange in exchanges:
        all_differences += compare_answer(exchange, await replay.send(exchange))
        if exchange["name"] == "get-requested":
            dispatcher.may_accept.set()

    assert not all_differences, (
        f"{len(exchanges)} exchanges compared, {len(all_differences)} differences: {all_differences}"
    )
    assert len(exchanges) == 26
    assert dispatcher.operations() == ["provision", "update", "delete", "delete"]


def test_a_difference_would_be_found_at_any_depth() -> None:
    recorded = {"id": "inv_1", "a": {"b": [1, {"c": "x"}]}, "only": 1}
    answered = {"id": "inv_2", "a": {"b": [1, {"c": "y"}]}, "more": [1]}

    assert list(differences("$", recorded, answered)) == [
        "$.a.b[1].c: 'x' recorded, 'y' answered",
        "$.only: 1 recorded, None answered",
        "$.more: None recorded, [1] answered",
    ]
    assert list(differences("$", [1], [])) == ["$: 1 recorded, 0 answered"]
