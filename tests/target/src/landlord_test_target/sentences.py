"""Finds sentences that break the rules of docs/contributing.md, in documents and in Python sources.

python -m landlord_test_target.sentences README.md docs landlord_engines_core/src
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import attrs

LONGEST = 25
LONGEST_IN_TABLES = 30

CLAUSE_SUBJECT = re.compile(r"(What|Whoever|Whatever|Whose|Who) (?!.*\?)")

DIALECT = re.compile(
    r"\b("
    r"gone back from|stands? still|stood still|gives? way|takes? for|in the way|is meant|for good"
    r"|comes? of|came of|becomes? of|became of|be had|had out|such a one|that of"
    r")\b"
)
"""Phrases with a plain word in their place."""

_SENTENCE_END = re.compile(r"(?<=[.!?])(?:\*\*)?\s+(?=[A-Z`*\[])")
_PARAGRAPH_END = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*]|\w+(?: \([^)]*\))?: ))")
_DRAWING = re.compile(r"^.*[\u2500-\u257f].*$", re.MULTILINE)
_SHORTEST_TEXT = 4


@attrs.frozen
class Text:
    """A text that people read, with its line.

    Attributes:
        longest: The longest allowed sentence, in words.
    """

    line: int
    content: str
    longest: int = LONGEST


def faults(path: Path) -> Iterator[str]:
    """List the bad sentences of a file, each with its line, its fault and its first words."""
    read = texts_of_document if path.suffix == ".md" else texts_of_source
    for text in read(path.read_text(encoding="utf-8")):
        for sentence in sentences(text.content):
            for fault in faults_of(sentence, text.longest):
                yield f"{path}:{text.line}: {fault}: {sentence[:160]}"


def faults_of(sentence: str, longest: int = LONGEST) -> Iterator[str]:
    """List the faults of one sentence."""
    words = [word for word in sentence.split() if re.search(r"\w", word)]
    if len(words) > longest:
        yield f"{len(words)} words"
    if sentence.count(";") > 1:
        yield "chain of semicolons"
    if CLAUSE_SUBJECT.match(sentence):
        yield "the subject is a clause"
    if phrase := DIALECT.search(sentence):
        yield f"dialect: {phrase[0]}"


def sentences(text: str) -> Iterator[str]:
    """Split a text into sentences at paragraphs, list items and full stops, without drawings."""
    for paragraph in _PARAGRAPH_END.split(_DRAWING.sub("", text)):
        yield from _SENTENCE_END.split(" ".join(paragraph.split()))


def texts_of_document(document: str) -> Iterator[Text]:
    """Read the prose and the tables of a Markdown file, without code blocks and generated parts."""
    blocks = re.compile(
        r"^```.*?^```$|<!-- (\w+): begin -->.*?<!-- \1: end -->", re.MULTILINE | re.DOTALL
    )
    prose = blocks.sub(lambda block: "\n" * block[0].count("\n"), document)
    # A span of code, or a link's address, is no word that makes a sentence long.
    plain = re.sub(r"`[^`]+`", lambda span: "`X`" + "\n" * span[0].count("\n"), prose)
    plain = re.sub(r"\]\([^)]*\)", "]", plain)
    paragraph: list[str] = []
    start = 1
    for number, line in enumerate([*plain.splitlines(), ""], 1):
        if line.startswith("|"):
            yield from (Text(number, cell, LONGEST_IN_TABLES) for cell in line[1:-1].split("|"))
        elif line.strip() and not line.startswith("#"):
            start = start if paragraph else number
            paragraph.append(re.sub(r"^\d+\. ", "- ", line))
            continue
        if paragraph:
            yield Text(start, "\n".join(paragraph))
            paragraph = []


def texts_of_source(source: str) -> Iterator[Text]:
    """Read the texts of a few words or more, docstrings included, and the comments of a Python file."""
    tree = ast.parse(source)
    # The parts of an f-string are read with it, not as texts of their own.
    f_strings = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {part for node in f_strings for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if not isinstance(node, ast.expr) or node in parts:
            continue
        text = _text(node) or ""
        if len(text.split()) >= _SHORTEST_TEXT:
            yield Text(node.lineno, text)
    yield from _comments(source)


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.JoinedStr):
        return "".join("X" if (part := _text(value)) is None else part for value in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _comments(source: str) -> Iterator[Text]:
    """Join comments on lines that follow each other."""
    block: list[str] = []
    start = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if block and token.start[0] != start + len(block):
            yield Text(start, " ".join(block))
            block = []
        start = start if block else token.start[0]
        block.append(token.string.lstrip("# "))
    if block:
        yield Text(start, " ".join(block))


def files(paths: list[Path]) -> Iterator[Path]:
    """List the documents and the sources at and below some paths."""
    for path in paths:
        yield from sorted((*path.rglob("*.md"), *path.rglob("*.py"))) if path.is_dir() else [path]


if __name__ == "__main__":
    bad = [fault for path in files([Path(name) for name in sys.argv[1:]]) for fault in faults(path)]
    sys.exit("\n".join(bad) or None)
