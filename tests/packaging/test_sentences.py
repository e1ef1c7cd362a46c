"""People read short sentences with a named actor, in documents and in the code; see docs/contributing.md."""

from pathlib import Path

import pytest

from landlord_test_target.sentences import (
    faults,
    faults_of,
    sentences,
    texts_of_document,
    texts_of_source,
)

ROOT = Path(__file__).parents[2]

DOCUMENTS = sorted(
    path
    for path in ROOT.rglob("*.md")
    # Decision records are history, and hidden folders are not ours.
    if "decisions" not in path.parts
    and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
)

DISTRIBUTIONS = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)

LONGEST_PAGE = 2500


def page(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=page)
def test_a_document_has_only_plain_sentences(path: Path) -> None:
    assert list(faults(path)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=page)
def test_a_page_has_a_readable_length(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").split()) <= LONGEST_PAGE


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_sources_of_a_distribution_have_only_plain_sentences(distribution: str) -> None:
    sources = (ROOT / distribution / "src").rglob("*.py")

    assert [fault for path in sorted(sources) for fault in faults(path)] == []


@pytest.mark.parametrize(
    ("sentence", "fault"),
    [
        ("The worker drains.", []),
        (" ".join(["word"] * 26), ["26 words"]),
        ("One; two; three.", ["chain of semicolons"]),
        ("What the worker made goes.", ["the subject is a clause"]),
        ("The worker stands still.", ["dialect: stands still"]),
        ("What is a worker?", []),
    ],
)
def test_each_fault_is_named(sentence: str, fault: list[str]) -> None:
    assert list(faults_of(sentence)) == fault


def test_sentences_end_at_full_stops_and_items_and_drawings_are_left_out() -> None:
    text = "One `a.b`. Two:\n\n├── a drawing\n- three\nx: four"

    assert [sentence for sentence in sentences(text) if sentence] == [
        "One `a.b`.",
        "Two:",
        "- three",
        "x: four",
    ]


def test_a_document_is_read_without_its_code_and_its_addresses() -> None:
    document = "# Title\n\n- One [link](page.md).\n- Two `a b\nc`.\n\n| x | y |\n|---|---|\n\n```\ncode\n```\n\nLast.\n"

    texts = [(text.line, text.content) for text in texts_of_document(document)]

    assert [(line, text) for line, text in texts if text.strip("- ")] == [
        (3, "- One [link].\n- Two `X`\n."),
        (7, " x "),
        (7, " y "),
        (14, "Last."),
    ]


def test_sources_are_read_in_their_texts_and_comments() -> None:
    source = (
        '"""Fail with a text."""\n\n# One\n# comment.\nx = 1  # Other.\n\n'
        'fail(f"no {x} at {\', \'.join(y)}", "short")\n'
    )

    assert [(text.line, text.content) for text in texts_of_source(source)] == [
        (1, "Fail with a text."),
        (7, "no X at X"),
        (3, "One comment. Other."),
    ]
