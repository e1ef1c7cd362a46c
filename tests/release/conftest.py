from pathlib import Path

import pytest

from release.projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A distribution that is ready to be published as v1.2.0."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "CHANGELOG.md").write_text(
        "# Changelog of own\n\n## 1.2.0 (2026-12-01)\n\n### Added\n\n"
        "- News, see [the page](../docs/page.md) and [elsewhere](https://example.com).\n\n"
        "## 1.1.0 (2026-11-01)\n\n- Old.\n"
    )
    urls = {"Source": "https://example.com/own"}
    return Project(folder=folder, about={"name": "own", "version": "1.2.0", "urls": urls})
