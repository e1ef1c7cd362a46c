import json
from contextlib import suppress

import attrs
import pytest
from hypothesis import given, strategies as st

from landlord_engines_core import codec
from landlord_engines_core.models import Record
from landlord_test_target.strategies import configs, records, values

SECRET = "sesame-3f1c"


@attrs.frozen(kw_only=True)
class _Strict:
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    on: bool = False
    words: tuple[str, ...] = ()
    anything: dict[str, object] | None = None


KINDS = {"text": str, "number": int, "ratio": (int, float), "on": bool, "words": list}


@given(records)
def test_a_record_reads_back_as_it_was_written(record: Record) -> None:
    written = codec.dumps(record)

    assert codec.loads(written, Record) == record
    assert codec.dumps(codec.loads(written, Record)) == written


@given(records, st.dictionaries(st.text(min_size=20), values, min_size=1))
def test_keys_of_a_newer_version_are_ignored(record: Record, added: dict[str, object]) -> None:
    document = {**json.loads(codec.dumps(record)), **added}

    assert codec.structure(document, Record) == record


@given(configs)
def test_whatever_json_is_read_can_be_written_and_read_again(config: dict[str, object]) -> None:
    read = codec.loads(json.dumps({"anything": config}).encode(), _Strict)

    assert codec.loads(codec.dumps(read), _Strict) == read


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" * 400 + ".0"])
def test_a_number_that_could_not_be_written_again_is_not_read(number: str) -> None:
    with pytest.raises(codec.BadDocument, match=r"^\$ is not JSON$"):
        codec.loads(f'{{"ratio": {number}}}'.encode(), _Strict)


@given(st.sampled_from(sorted(KINDS)), values)
def test_no_value_is_accepted_as_one_of_another_type(field: str, value: object) -> None:
    fits = isinstance(value, KINDS[field])  # type: ignore[arg-type]
    if isinstance(value, bool):
        fits = field == "on"
    if field == "words":
        fits = fits and all(isinstance(word, str) for word in value)  # type: ignore[attr-defined]

    if fits:
        codec.structure({field: value}, _Strict)
    else:
        with pytest.raises(codec.BadDocument, match=rf"^\$\.{field}"):
            codec.structure({field: value}, _Strict)


@given(st.dictionaries(st.sampled_from(sorted(KINDS)), values, min_size=1))
def test_no_problem_shows_a_value(document: dict[str, object]) -> None:
    marked = json.loads(
        json.dumps(document), parse_int=lambda _: SECRET, parse_float=lambda _: SECRET
    )
    raw = json.dumps({**marked, "text": [SECRET], "number": SECRET, "words": {SECRET: SECRET}})

    for damaged in (raw, raw[:-1], raw.replace(SECRET, f'"{SECRET}', 1)):
        with pytest.raises(codec.BadDocument) as caught:
            codec.loads(damaged.encode(), _Strict)
        assert SECRET not in str(caught.value)


@given(st.binary())
def test_any_bytes_are_read_or_bad(raw: bytes) -> None:
    with suppress(codec.BadDocument):
        codec.loads(raw, Record)
