import math
from datetime import date

import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.settings.formats import read_json, read_yaml


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("n", "n"),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("Null", None),
        ("", None),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("+12", 12),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("0x_1", "0x_1"),
        ("12:30:45", "12:30:45"),
        ("1.10", 1.1),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", -math.inf),
        ("1.2.3", "1.2.3"),
        ("=", "="),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("2026-01-01", date(2026, 1, 1)),
    ],
)
def test_scalars_are_read_as_yaml_1_2(written: str, value: object) -> None:
    assert read_yaml(f"a: {written}", "f.yaml") == {"a": value}


def test_a_yaml_directive_does_not_enable_the_scalars_of_yaml_1_1() -> None:
    assert read_yaml("%YAML 1.1\n---\na: no", "f.yaml") == {"a": "no"}


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "---\n"])
def test_a_document_without_content_is_an_empty_map(text: str) -> None:
    assert read_yaml(text, "f.yaml") == {}
    assert read_json(" \n", "f.json") == {}


def test_merge_keys_and_anchors_that_are_used_again_are_yaml() -> None:
    text = "a: &x {k: 1}\nb: &x {l: 2}\nc: {<<: *x, m: 3}\n"

    assert read_yaml(text, "f.yaml") == {"a": {"k": 1}, "b": {"l": 2}, "c": {"l": 2, "m": 3}}


YAML_TWICE = """
worker:
  drain_timeout: 1s
compute:
  docker:
    labels: {a: 1, b: 2, "a": 3}
    volumes:
      - {k: 1, k: 2}
worker:
  step_timeout: 1m
"""

JSON_TWICE = """{
\t"worker": {"drain_timeout": "1s: {"},
\t"compute": {"docker": {"labels": {"a": "\\"a\\": 1",
\t\t"b": 2, "a" : 3}, "volumes": [{"k": 1, "k": 2}, {"k": 1}]}},
\t"worker": {"drain_timeout": "1m"}
}"""


def test_a_key_that_is_written_twice_is_refused_with_its_path_and_its_lines() -> None:
    with pytest.raises(SettingsError) as of_yaml:
        read_yaml(YAML_TWICE, "f.yaml")
    with pytest.raises(SettingsError) as of_json:
        read_json(JSON_TWICE, "f.json")

    for caught, file, lines in ((of_yaml, "f.yaml", "2, 9"), (of_json, "f.json", "2, 5")):
        assert f"worker is written 2 times in {file}, at lines {lines}" in caught.value.message
        assert "compute.docker.labels.a is written 2 times" in caught.value.message
        assert "compute.docker.volumes.k is written 2 times" in caught.value.message
        assert "drain_timeout" not in caught.value.message


def test_keys_of_several_maps_and_maps_that_hold_themselves_are_no_duplicates() -> None:
    assert read_json('[{"a": 1}, {"a": {"a": 2}}]', "f") == [{"a": 1}, {"a": {"a": 2}}]
    assert read_yaml("? [a, b]\n: 1\n? [c]\n: 2\n", "f") == {("a", "b"): 1, ("c",): 2}
    self_containing = read_yaml("a: &x [*x]", "f")
    assert isinstance(self_containing, dict)
    assert self_containing["a"][0] is self_containing["a"]


def test_json_may_be_indented_with_tabs() -> None:
    assert read_json('{\n\t"log":\t{"level": "warn"}\n}\n', "f") == {"log": {"level": "warn"}}


@pytest.mark.parametrize(
    ("text", "line"), [("{,}", 1), ('{"a": 1,\n"b": sesame}', 2), ("a: sesame", 1)]
)
def test_a_json_error_names_the_line_and_does_not_quote_it(text: str, line: int) -> None:
    with pytest.raises(SettingsError, match=f"f.json is not JSON at line {line}") as caught:
        read_json(text, "f.json")

    assert "sesame" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "text", ["a: 1\nb: [sesame", "a: 1\nb: *sesame", "a: 1\nb: !sesame 1", "a: 1\n\tb: sesame"]
)
def test_a_yaml_error_names_the_line_and_does_not_quote_it(text: str) -> None:
    with pytest.raises(SettingsError, match=r"f.yaml is not YAML at line 2") as caught:
        read_yaml(text, "f.yaml")

    assert "sesame" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("text", ["a: sesame\0", "a: !!int sesame", "a: 1" + "0" * 5000])
def test_a_yaml_error_without_a_line_is_refused_too(text: str) -> None:
    with pytest.raises(SettingsError, match=r"f\.yaml is not YAML;") as caught:
        read_yaml(text, "f.yaml")

    assert "sesame" not in str(caught.value)
