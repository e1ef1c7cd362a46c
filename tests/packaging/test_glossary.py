"""The glossary's words are used in the code, and retired words appear only in decision records."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

GLOSSARY = ROOT / "docs" / "concepts.md"

RETIRED: Mapping[str, str] = {
    r"\b[Ss]ettl(e[sd]?|ing|er)\b|\w*_settle\w*": "resync",
    r"\b[Mm]end(s|ed|ing)?\b": "repair",
    r"\b(the|its|their|tenant's) turns?\b(?! of)": "lock",
    r"\bkeep_history\b": "history_retention",
    r"\bhold_interval\b": "hold_retry_interval",
    r"\bwatch_interval\b": "registration_check_interval",
    r"drain_seconds_left": "drain_remaining_seconds",
    r"loop_silent_seconds": "event_loop_heartbeat_age_seconds",
    r"(?<!duration_)\bstep_seconds": "step_duration_seconds",
    r"cache_asks_in_flight": "cache_fetches_in_flight",
    r"slots_taken": "slots_used",
    r"step (cut|broke)\b": "step cancelled, step crashed",
    r"\bStillNeeded\b": "DeploymentInUse",
    r"\bNotSeen\b": "DemoFailed",
    r"\bFate\b": "MoveOutcome",
    r"\bstill_there\b": "remaining",
    r"\bUNHURRIED\b": "BACKGROUND_RETRIES",
    r"\bRivals\b": "DispatchOrder",
    r"\bnobody_lives\b": "stop_all",
    r"\bcensus\b": "list_engines",
    r"\b_collect_less\b": "_tune_gc",
    r"\b(is_w|IsW)anted\b": "is_desired, IsDesired",
    r"\bobserving\(\)": "begin_observation",
    r"\bown_world\b": "dedicated_harness",
    r"^\s*(told|wanted|shown|found) = |\bfor (one|told|wanted|shown|found) in\b": "what it holds",
}
"""Patterns of retired words, each with the word that replaces it."""

KEPT = (
    "docs/decisions/",
    "tests/data/",
    "tests/packaging/test_glossary.py",
    # These files handle data that servers may still have under the former names.
    "landlord_engines_restate/src/landlord_engines_restate/deployments/former_names.py",
    "tests/e2e/test_former_names.py",
    "tests/restate_engine/deployments/test_former_names.py",
    "tests/restate_engine/deployments/test_registration.py",
)


def read_texts() -> Iterator[tuple[str, str]]:
    """Return each file of the repository that people read, with its text."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if not name.startswith(KEPT) and not name.endswith("CHANGELOG.md"):
            yield name, (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("retired", RETIRED, ids=RETIRED.get)
def test_a_retired_word_is_nowhere_but_in_decision_records(retired: str) -> None:
    pattern = re.compile(retired)
    uses = [
        f"{name}: {line.strip()}"
        for name, text in read_texts()
        for line in text.splitlines()
        if pattern.search(line)
    ]

    assert uses == [], f"it is called {RETIRED[retired]} now"


def read_words() -> list[str]:
    rows = re.findall(r"^\| ([a-z][a-z ,-]*) \| .* \| .* \|$", GLOSSARY.read_text(), re.MULTILINE)
    return [word for row in rows if row != "word" for word in row.split(", ")]


def test_each_word_of_the_glossary_has_one_entry() -> None:
    assert len(read_words()) == len(set(read_words())) > 15


@pytest.mark.parametrize("word", read_words())
def test_each_word_of_the_glossary_is_used_in_the_code(word: str) -> None:
    pattern = re.compile(re.escape(word).replace(r"\ ", r"[ _-]"), re.IGNORECASE)

    assert any(
        pattern.search(text)
        for name, text in read_texts()
        if "/src/" in name and name.endswith(".py")
    )
