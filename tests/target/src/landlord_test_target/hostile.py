"""Tenants' names, configurations and bodies as attackers write them."""

import json
import string
from collections.abc import Callable, Mapping
from random import Random

import attrs

NAMES: Mapping[str, str] = {
    "a path": "../../../etc/passwd",
    "a quoted path": "..%2f..%2fetc%2fpasswd",
    "slashes": "/a//b/",
    "dots": "..",
    "a shell": "$(touch pwned); `id` && rm -rf / #",
    "a header": "a\r\nX-Evil: 1\r\n\r\nHTTP/1.1 200 OK",
    "a label": "a=b,landlord.owner=me,{c}",
    "a query": "' OR '1'='1'; DROP TABLE state; --",
    "a log line": 'x\n{"level": "info", "message": "forged"}',
    "a terminal": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "a null": "a\0b",
    "right to left": "abc\u202edcba",
    "line separators": "a\u2028b\u2029c\x85d",
    "beyond the first plane": "\U0001f4a3\U0010ffff",
    "combining": "e\u0301" * 50,
    "blank": " \t ",
    "a format": "%s%n{0.__class__}${jndi:ldap://127.0.0.1/}",
    "long": "x" * 400,
}


def nest(depth: int) -> object:
    """Wrap a value in this many lists and maps."""
    value: object = 1
    for level in range(depth):
        value = {"k": value} if level % 2 else [value]
    return value


CONFIGS: Mapping[str, bytes] = {
    "deep": json.dumps({"deep": nest(300)}).encode(),
    "deeper than a call can go": b'{"deep": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "maps deeper than a call can go": b'{"a":' * 900 + b"1" + b"}" * 900,
    "many keys": json.dumps({f"k{number}": number for number in range(10_000)}).encode(),
    "huge": json.dumps({"image": "x" * 300_000}).encode(),
    "not read": json.dumps({"image": "x" * 5_000_000}).encode(),
    "hostile keys": json.dumps(dict.fromkeys([*NAMES.values(), ""], "x")).encode(),
    "half a character": rb'{"\ud800": "\udfff", "env": {"A": "\ud800"}}',
    "a name that is half a character": rb'{"compute_provider": "\ud800"}',
    "an engine with a long name": json.dumps({"compute_provider": "x" * 200_000}).encode(),
    "an engine's name for a terminal": rb'{"compute_provider": "\u001b[2J\n{}"}',
    "a location that is too long": json.dumps({"location": "x" * 200_000}).encode(),
    "a location for a shell": json.dumps({"location": "$(id)/../.."}).encode(),
    "numbers": b'{"a": 1e999, "b": -0.0, "c": 1e-999}',
    "a number without end": b'{"a": ' + b"9" * 10_000 + b"}",
    "not a number": b'{"a": NaN}',
    "a key twice": b'{"a": 1, "a": 2, "__proto__": {}, "__class__": 1}',
    "a thousand broken rules": json.dumps(
        {"env": dict.fromkeys(map(str, range(1000)), 1)}
    ).encode(),
}
"""The value of ``desired_config`` as it is sent."""


def body(tenant: str, config: bytes, operation: str = "provision") -> bytes:
    """Build a body with a configuration that no encoder would write."""
    valid = json.dumps({"tenant_id": tenant, "operation": operation}).encode()
    return valid[:-1] + b', "desired_config": ' + config + b"}"


@attrs.define
class Bodies:
    """An endless series of bodies, which depends only on its seed."""

    seed: int
    _random: Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = Random(self.seed)

    def next_body(self) -> bytes:
        kinds: tuple[tuple[int, Callable[[], bytes]], ...] = (
            (10, self._noise),
            (15, self._document),
            (25, self._fields),
            (20, self._damaged),
            (10, self._hostile_name),
            (5, self._hostile_config),
            (15, self._ordinary),
            (20, self._extreme),
        )
        weights, makers = zip(*kinds, strict=True)
        make: Callable[[], bytes] = self._random.choices(makers, weights)[0]
        return make()

    def _tenant(self) -> str:
        return f"fuzzed-{self._random.randrange(100)}"

    def _noise(self) -> bytes:
        return self._random.randbytes(self._random.choice((0, 1, 7, 200, 5000)))

    def _document(self) -> bytes:
        return json.dumps(self._value(4)).encode()

    def _fields(self) -> bytes:
        """Build a body with the right fields and arbitrary values."""
        fields = "tenant_id tenant_uuid operation desired_config compute_provider metadata other"
        document = {name: self._value(3) for name in fields.split() if self._random.random() < 0.6}
        likely = {"tenant_id": self._tenant(), "operation": self._operation()}
        document |= {name: word for name, word in likely.items() if self._random.random() < 0.6}
        return json.dumps(document).encode()

    def _damaged(self) -> bytes:
        raw = bytearray(self._ordinary())
        for _ in range(self._random.randrange(1, 6)):
            location = self._random.randrange(len(raw))
            match self._random.randrange(3):
                case 0:
                    raw[location] ^= 1 << self._random.randrange(8)
                case 1:
                    del raw[location : location + self._random.randrange(1, 20)]
                case _:
                    raw[location:location] = self._random.choice(
                        (b'"', b"{", b"null", b"\\u", b"\0", b"9")
                    )
            raw = raw or bytearray(b"{")
        return bytes(raw)

    def _hostile_name(self) -> bytes:
        name = self._random.choice(list(NAMES.values()))
        return body(name, b'{"version": 1}', self._operation())

    def _hostile_config(self) -> bytes:
        name, config = self._random.choice(list(CONFIGS.items()))
        if name == "not read" and self._random.random() < 0.9:
            config = b"{}"
        return body(self._tenant(), config, self._operation())

    def _extreme(self) -> bytes:
        """Build a job with a value that is deep, large, or of an unexpected type."""
        junk = self._random.choice((self._deep, self._large, self._odd))()
        field = self._random.choice(("desired_config", "metadata", "other", "compute_provider"))
        if field == "desired_config" and self._random.random() < 0.7:
            junk = b'{"version": 1, "k": ' + junk + b"}"
        members = [
            b'"tenant_id": ' + json.dumps(self._tenant()).encode(),
            b'"operation": ' + json.dumps(self._operation()).encode(),
            f'"{field}": '.encode() + junk,
        ]
        if field != "desired_config":
            members.append(b'"desired_config": {"version": %d}' % self._random.randrange(13))
        if self._random.random() < 0.2:
            members.append(self._random.choice((b'"OPERATION": "delete"', b'"tenant_uuid": 5')))
        self._random.shuffle(members)
        return b" {" + b", ".join(members) + b"}\n"

    def _deep(self) -> bytes:
        depth = int(10 ** self._random.uniform(1, 5))
        opening, closing = self._random.choice(((b"[", b"]"), (b'{"k":', b"}"), (b'[{"k":', b"}]")))
        if self._random.random() < 0.05:
            closing = b"]}"
        return opening * depth + b"1" + closing * depth

    def _large(self) -> bytes:
        """Build a text of some kilobytes, now and then of up to 12 MB."""
        most = 7.07 if self._random.random() < 0.1 else 4
        size = int(10 ** self._random.uniform(1, most))
        if self._random.random() < 0.6:
            return b'"' + b"x" * size + b'"'
        piece = self._random.choice((b"1,", b'{"a":"b"},', b'"\\u00e9",'))
        return b"[" + piece * (size // 10) + b"1]"

    def _odd(self) -> bytes:
        numbers = (b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"01", b"-", b"1e-999", b"-0")
        others = (b"null", b"true", b"[]", b'""', b"{}", b'"\\ud800"', b"tru", b'"\\x"', b'"\xff"')
        return self._random.choice((*numbers, *others))

    def _ordinary(self) -> bytes:
        config: dict[str, object] = {"version": self._random.randrange(14)}
        if self._random.random() < 0.3:
            config["env"] = {self._text(): self._text() for _ in range(3)}
        if self._random.random() < 0.3:
            config["compute_provider"] = self._random.choice(("mock", "target", "target2"))
        return body(self._tenant(), json.dumps(config).encode(), self._operation())

    def _operation(self) -> str:
        known = ("provision", "update", "delete", "plan", "apply", "destroy", "create", "")
        return self._random.choice((*known, self._text()))

    def _value(self, depth: int) -> object:
        scalars: tuple[Callable[[], object], ...] = (
            lambda: None,
            lambda: self._random.random() < 0.5,
            lambda: self._random.randrange(-(10**20), 10**20),
            lambda: self._random.uniform(-1e300, 1e300),
            self._text,
        )
        if depth == 0 or self._random.random() < 0.5:
            return self._random.choice(scalars)()
        size = self._random.randrange(4)
        if self._random.random() < 0.5:
            return [self._value(depth - 1) for _ in range(size)]
        return {self._text(): self._value(depth - 1) for _ in range(size)}

    def _text(self) -> str:
        if self._random.random() < 0.2:
            return self._random.choice(list(NAMES.values()))
        alphabet = string.printable + "\0\x1b\u202e\u2028\ud800\U0001f4a3"
        return "".join(self._random.choices(alphabet, k=self._random.randrange(12)))
