from collections.abc import Mapping
from contextlib import suppress

import attrs
import pytest
from hypothesis import given, strategies as st

from landlord_engines_core import codec


@attrs.frozen(kw_only=True)
class _Leaf:
    word: str
    number: int = 0


@attrs.frozen(kw_only=True)
class _Ground:
    kind: str = ""


@attrs.frozen(kw_only=True)
class _Tree:
    leaf: _Leaf
    ratio: float = 0.5
    on: bool = False
    labels: Mapping[str, str] = attrs.field(factory=dict)
    anything: Mapping[str, object] = attrs.field(factory=dict)
    leaves: tuple[_Leaf, ...] = ()
    soil: _Ground = _Ground()


@attrs.frozen(kw_only=True)
class _Limited:
    word: str = attrs.field(validator=attrs.validators.max_len(3))


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def test_a_document_becomes_a_value_with_its_nested_values() -> None:
    raw = b'{"leaf": {"word": "oak", "number": 3}, "leaves": [{"word": "elm"}], "on": true}'

    tree = codec.loads(raw, _Tree)

    assert tree == _Tree(leaf=_Leaf(word="oak", number=3), leaves=(_Leaf(word="elm"),), on=True)


def test_unknown_keys_are_passed_over() -> None:
    raw = b'{"word": "oak", "added_by_a_newer_version": 1}'

    leaf = codec.loads(raw, _Leaf)

    assert leaf == _Leaf(word="oak")


def test_an_integer_is_accepted_as_a_number() -> None:
    tree = codec.loads(b'{"leaf": {"word": "oak"}, "ratio": 2}', _Tree)

    assert tree.ratio == 2


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b'{"leaf": {"word": 5}}', "$.leaf.word must be a string"),
        (b'{"leaf": {"word": "oak", "number": "5"}}', "$.leaf.number must be a whole number"),
        (b'{"leaf": {"word": "oak", "number": true}}', "$.leaf.number must be a whole number"),
        (b'{"leaf": {"word": "oak"}, "on": 1}', "$.on must be true or false"),
        (b'{"leaf": {"word": "oak"}, "ratio": "2"}', "$.ratio must be a number"),
        (b'{"leaf": {"word": "oak"}, "labels": []}', "$.labels must be an object"),
        (b'{"leaf": {"word": "oak"}, "labels": {"a": 1}}', "$.labels must be a string"),
        (b'{"leaf": {"word": "oak"}, "leaves": {}}', "$.leaves must be a list"),
        (b'{"leaf": {"word": "oak"}, "soil": "loam"}', "$.soil must be an object"),
        (b'{"leaf": {"word": "oak"}, "soil": []}', "$.soil must be an object"),
        (b'{"leaf": {"word": "oak"}, "leaves": "elm"}', "$.leaves must be a list"),
        (b'{"leaf": {}}', "$.leaf.word is missing"),
        (b'{"leaf": {"word": "oak"}, "leaves": [{"word": 1}]}', "$.leaves[0].word must be"),
    ],
)
def test_a_bad_field_is_named_by_its_path(raw: bytes, problem: str) -> None:
    with pytest.raises(codec.BadDocument) as caught:
        codec.loads(raw, _Tree)

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(problem)


def test_each_bad_field_gets_a_line_of_its_own() -> None:
    with pytest.raises(codec.BadDocument) as caught:
        codec.loads(b'{"leaf": {"word": 5}, "on": 1}', _Tree)

    assert caught.value.problems == [
        "$.leaf.word must be a string",
        "$.on must be true or false",
    ]
    assert str(caught.value) == "$.leaf.word must be a string; $.on must be true or false"


def test_a_problem_never_repeats_the_value() -> None:
    with pytest.raises(codec.BadDocument) as caught:
        codec.loads(b'{"word": "secret"}', _Limited)

    assert caught.value.problems == ["$ is not valid (ValueError)"]


@pytest.mark.parametrize("raw", [b"[]", b'"oak"', b"null", b"3"])
def test_a_document_of_another_kind_is_bad(raw: bytes) -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$"):
        codec.loads(raw, _Leaf)


def test_a_bare_value_of_another_kind_is_bad() -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$ must be a string$"):
        codec.structure(3, str)


def test_a_json_error_shows_only_the_position() -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$ is not JSON at character 9$"):
        codec.loads(b'{"word": secret}', _Leaf)


@pytest.mark.parametrize("raw", [b'{"word": "\xff"}', b'{"number": NaN}', b'{"number": -Infinity}'])
def test_bytes_that_json_does_not_allow_are_bad(raw: bytes) -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$ is not JSON$"):
        codec.loads(raw, _Leaf)


def test_a_document_nested_too_deeply_is_bad() -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$ is nested too deeply$"):
        codec.loads(b"[" * 100_000, _Leaf)


def test_equal_values_are_written_as_the_same_bytes() -> None:
    tree = _Tree(leaf=_Leaf(word="oak"), labels={"a": "1", "b": "2"})
    other = _Tree(leaf=_Leaf(word="oak"), labels={"b": "2", "a": "1"})

    written = codec.dumps(tree)

    assert written == codec.dumps(other)
    assert b" " not in written


@given(st.dictionaries(st.text(), _json))
def test_a_written_value_is_read_back_unchanged(anything: dict[str, object]) -> None:
    tree = _Tree(leaf=_Leaf(word="oak"), anything=anything, leaves=(_Leaf(word="elm"),))

    assert codec.loads(codec.dumps(tree), _Tree) == tree


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_or_reported_as_bad(raw: bytes) -> None:
    with suppress(codec.BadDocument):
        assert isinstance(codec.loads(raw, _Tree), _Tree)
