import json
import subprocess
import sys

CODE = """
import logging, sys, structlog
from landlord_engines_core.logs import configure, job_context
logger = configure(level="{level}", form="{form}")
with job_context(tenant="t", operation="update", execution_id="e"):
    logger.debug("fine")
    logger.info("hello", a=1)
    try:
        raise ValueError("sesame")
    except ValueError:
        logging.getLogger("library").exception("broke")
logging.getLogger("library").info("chatter")
logger.error("oh")
logger.error("hostile", name="a\\x1b[2J\\nforged\\u202e", half="\\ud800", many=["\\n"], n=1)
"""


def lines(level: str = "info", form: str = "auto") -> str:
    """Set up logging, which is global to a process, separately for each test."""
    code = CODE.format(level=level, form=form)
    completed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert completed.stdout == ""
    return completed.stderr


def test_without_a_terminal_every_line_is_json_with_the_jobs_ids() -> None:
    hello, broke, oh, _ = map(json.loads, lines().splitlines())

    ids = {"tenant": "t", "operation": "update", "execution_id": "e"}
    assert ids.items() <= hello.items()
    assert ids.items() <= broke.items()
    assert (hello["message"], hello["a"], hello["level"]) == ("hello", 1, "info")
    assert not ids.items() & oh.items()


def test_a_librarys_error_is_named_by_its_type_and_its_text_is_not_shown() -> None:
    text = lines()

    assert '"error": "ValueError"' in text
    assert "sesame" not in text
    assert "chatter" not in text


def test_the_log_level_is_that_of_the_settings() -> None:
    assert "fine" in lines("debug")
    assert "hello" not in lines("error")


def test_the_format_development_is_for_people() -> None:
    text = lines(form="development")

    assert "hello" in text
    assert "{" not in text


def test_the_format_production_is_json() -> None:
    assert lines(form="production").startswith("{")


def test_in_the_text_format_control_characters_are_escaped() -> None:
    text = lines(form="console")

    (hostile,) = [line for line in text.splitlines() if "hostile" in line]
    assert hostile.isprintable()
    assert r"a\x1b[2J\nforged\u202e" in hostile
    assert r"\ud800" in hostile


def test_in_the_json_format_a_record_stays_one_line() -> None:
    (hostile,) = [line for line in lines().splitlines() if "hostile" in line]

    assert json.loads(hostile)["name"] == "a\x1b[2J\nforged\u202e"
