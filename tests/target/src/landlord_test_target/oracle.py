"""An oracle: it predicts the result of a job's body by Go's rules of JSON, without core's code.

The oracle has its own JSON reader, which follows Go's encoding/json. It remembers for each tenant the
resource that the last good job asked for.
"""

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"([^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*)"')
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORD = re.compile(r"true|false|null|NaN|-?Infinity")
_WORDS = {"true": True, "false": False, "null": None}
_SHORT = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

UNREADABLE = math.nan
"""A placeholder for a number beyond float64, and for words that JSON does not have."""

FIELDS = ("tenant_id", "tenant_uuid", "operation", "desired_config", "compute_provider")
APPLIES = ("", "provision", "create", "apply", "update")
DELETES = ("delete", "destroy")
DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "target": {"location": "main"},
    "target2": {"location": "main"},
    "mock": {"placeholder": "1"},
}
READ, EFFECTIVE, DEEPEST, LONGEST_NAME = 4 * 1024 * 1024, 256 * 1024, 500, 512


class NotJson(ValueError):
    """A text that Go's reader refuses."""


def go_text(raw: bytes) -> str:
    """Decode UTF-8, and replace each invalid byte."""
    parts: list[str] = []
    while True:
        try:
            return "".join((*parts, raw.decode()))
        except UnicodeDecodeError as error:
            parts += (raw[: error.start].decode(), "\ufffd")
            raw = raw[error.start + 1 :]


def go_members(text: str) -> list[tuple[str, object, int]]:
    """Read an object: its keys in order, each with its value and the value's length."""
    return _Reader(text).document()


@attrs.define
class _Reader:
    text: str
    at: int = 0
    members: list[tuple[str, object, int]] = attrs.field(factory=list)
    stack: list[tuple[Any, str, int]] = attrs.field(factory=list)
    """The open lists and maps, each with its current key and the position where that key's value begins."""

    def document(self) -> list[tuple[str, object, int]]:
        if self._peek() != "{":
            raise NotJson
        self._value()
        while self.stack:
            container, _, _ = self.stack[-1]
            self._take(",")
            if isinstance(container, dict):
                self._key()
            self._value()
        if self._peek():
            raise NotJson
        return self.members

    def _peek(self) -> str:
        match = _SPACE.match(self.text, self.at)
        assert match is not None
        self.at = match.end()
        return self.text[self.at : self.at + 1]

    def _take(self, sign: str) -> None:
        if self._peek() != sign:
            raise NotJson
        self.at += 1

    def _key(self) -> None:
        if self._peek() != '"':
            raise NotJson
        key = self._scalar()
        self._take(":")
        self._peek()
        container, _, _ = self.stack[-1]
        self.stack[-1] = (container, key, self.at)

    def _value(self) -> None:
        """Read a value up to the position of the next comma."""
        while (sign := self._peek()) in ("{", "["):
            self.at += 1
            self.stack.append(({} if sign == "{" else [], "", 0))
            if self._peek() in ("}", "]"):
                break
            if sign == "{":
                self._key()
        else:
            self._attach(self._scalar())
        while self.stack and self._peek() in ("}", "]"):
            container, _, _ = self.stack.pop()
            self._take("}" if isinstance(container, dict) else "]")
            if self.stack:
                self._attach(container)

    def _attach(self, value: object) -> None:
        container, key, begun = self.stack[-1]
        if isinstance(container, dict):
            container[key] = value
            if len(self.stack) == 1:
                self.members.append((key, value, self.at - begun))
        else:
            container.append(value)

    def _scalar(self) -> Any:
        if match := _STRING.match(self.text, self.at):
            self.at = match.end()
            return _unescaped(match[1])
        if match := _WORD.match(self.text, self.at):
            self.at = match.end()
            return _WORDS.get(match[0], UNREADABLE)
        if match := _NUMBER.match(self.text, self.at):
            self.at = match.end()
            number = float(match[0])
            if math.isinf(number):
                return UNREADABLE
            return number if match[1] or match[2] else int(match[0])
        raise NotJson


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(
        lambda match: chr(int(match[1], 16)) if match[1] else _SHORT.get(match[2], match[2]), text
    )
    # A surrogate pair becomes one character, and half of a pair the replacement character.
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [inner for inner in level if isinstance(inner, dict | list)]:
        depth += 1
        level = [below for inner in level for below in _inner(inner)]
    return depth


def _inner(value: Any) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _has_unreadable(value: object) -> bool:
    level = [value]
    while level:
        if any(isinstance(inner, float) and math.isnan(inner) for inner in level):
            return True
        level = [
            below for inner in level if isinstance(inner, dict | list) for below in _inner(inner)
        ]
    return False


@attrs.frozen
class Resource:
    """The resource of a tenant."""

    engine: str
    location: str
    config_hash: str


@attrs.frozen
class Expected:
    """The expected result of a body: refused, held or done, and the resource that its tenant has then."""

    tenant: str
    verdict: str
    resource: Resource | None = None
    changes: bool = False


@attrs.frozen
class Request:
    """A body with a readable tenant and operation; ``config`` is ``None`` if it is unreadable."""

    tenant: str
    operation: str
    config: dict[str, Any] | None
    provider: object
    name: object


def request_of(raw: bytes) -> Request | None:
    """Read a body; ``None`` if it is no JSON, or names no tenant or no known operation."""
    try:
        fields, sizes = _fields(raw)
    except NotJson:
        return None
    key, word = _tenant(fields), fields.get("operation")
    word = "" if word is None else word
    if not key or not isinstance(word, str) or word not in (*APPLIES, *DELETES, "plan"):
        return None
    config = _config(fields.get("desired_config"), sizes.get("desired_config", 0))
    return Request(key, word, config, fields.get("compute_provider"), fields.get("tenant_id"))


@attrs.define
class Oracle:
    """The expected resource of each tenant after all jobs so far."""

    tenants: dict[str, Resource | None] = attrs.field(factory=dict)

    def expect(self, job: "Request | None") -> Expected:
        """Predict the result of a job after all earlier ones; ``None`` is an unreadable job."""
        if job is None:
            return Expected("", "refused")
        has = self.tenants.get(job.tenant)
        if job.operation in DELETES:
            # Without a record only the configuration names the location. A delete leaves a record.
            held = job.config is None and job.tenant not in self.tenants
            return Expected(job.tenant, "held" if held else "done", changes=not held)
        resource = _resource(job, has)
        if resource is None or job.operation == "plan":
            return Expected(job.tenant, "done" if resource else "held", has)
        return Expected(job.tenant, "done", resource, changes=True)

    def remember(self, expected: Expected) -> None:
        """Remember that this result came true."""
        if expected.changes:
            self.tenants[expected.tenant] = expected.resource


def _fields(raw: bytes) -> tuple[dict[str, object], dict[str, int]]:
    fields, sizes = {}, {}
    for key, value, size in go_members(go_text(raw)):
        # Go compares keys without regard to case, by Unicode's simple folding.
        folded = key.replace("\u212a", "k").replace("\u017f", "s").lower()
        if folded in FIELDS:
            fields[folded], sizes[folded] = value, size
    return fields, sizes


def _tenant(fields: Mapping[str, object]) -> str:
    for field in ("tenant_uuid", "tenant_id"):
        value = fields.get(field)
        if value in (None, ""):
            continue
        return value if isinstance(value, str) and len(value) <= LONGEST_NAME else ""
    return ""


def _config(value: object, size: int) -> dict[str, Any] | None:
    """Return the configuration; ``None`` if it is unreadable."""
    if value is None:
        return {}
    readable = isinstance(value, dict) and size <= READ and _depth(value) <= DEEPEST
    return value if readable and not _has_unreadable(value) else None  # type: ignore[return-value]


def _resource(job: Request, has: Resource | None) -> Resource | None:
    """Compute the resource that a job asks for; ``None`` if the job is held."""
    config, named, name = job.config, job.provider, job.name
    texts = all(value is None or isinstance(value, str) for value in (named, name))
    if config is None or not texts or len(str(name or "")) > LONGEST_NAME:
        return None
    controls = (config.get(key) for key in ("compute_provider", "compute_provider_type"))
    named = named or next((name for name in controls if isinstance(name, str) and name), "")
    engine = str(named or (has.engine if has else "target"))
    if engine not in DEFAULTS:
        return None
    effective = {**DEFAULTS[engine], **config}
    for key in ("compute_provider", "compute_provider_type"):
        effective.pop(key, None)
    if len(json.dumps(effective)) > EFFECTIVE:
        return None
    if engine != "mock" and not _accepted(effective):
        return None
    text = json.dumps(effective, sort_keys=True, separators=(",", ":"))
    location = "" if engine == "mock" else effective["location"]
    return Resource(engine, location, hashlib.sha256(text.encode()).hexdigest())


def _accepted(config: Mapping[str, Any]) -> bool:
    """Check a configuration by the target's own rules."""
    version, location, env = config.get("version", 0), config["location"], config.get("env", {})
    whole = isinstance(version, float) and version.is_integer()
    return (
        (whole or (isinstance(version, int) and not isinstance(version, bool)))
        and version != 13
        and isinstance(location, str)
        and len(location) <= 20
        and isinstance(config.get("unhealthy", False), bool)
        and isinstance(env, dict)
        and all(isinstance(value, str) for value in env.values())
        and not any(_is_typo(key) for key in config)
    )


def _is_typo(key: str) -> bool:
    """Check whether a key is similar to one that the target knows."""
    known = ("env", "location", "unhealthy", "version")
    return key not in known and bool(difflib.get_close_matches(key, known, 1, 0.8))
