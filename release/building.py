"""Building the distributions twice from one commit, which has to give the same bytes."""

import sys
import tarfile
import tempfile
from hashlib import sha256
from pathlib import Path

from release.programs import ReleaseFailed, run
from release.projects import DISTRIBUTIONS

__all__ = ["build_twice", "export", "hash_file", "require_equal"]


def build_twice(root: Path, packages: Path) -> None:
    """Build all distributions from the latest commit, in two folders, and keep the first result.

    Raises:
        ReleaseFailed: A build failed, or the second one gave other bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        second = Path(folder) / "second"
        _build(root, Path(folder) / "a", packages)
        # A folder with another name and length shows a path that got into a file.
        _build(root, Path(folder) / "another", second)
        require_equal(packages, second)


def export(root: Path, target: Path) -> None:
    """Write the files of the latest commit into a folder."""
    target.mkdir(parents=True)
    archive = target.with_suffix(".tar")
    run("git", "archive", f"--output={archive}", "HEAD", folder=root)
    with tarfile.open(archive) as files:
        files.extractall(target, filter="data")


def hash_file(file: Path) -> str:
    """Hash a file."""
    return sha256(file.read_bytes()).hexdigest()


def require_equal(first: Path, second: Path) -> None:
    """Compare the files of two folders.

    Raises:
        ReleaseFailed: They differ. The text names the files.
    """
    hashes, others = (
        {file.name: hash_file(file) for file in top.iterdir()} for top in (first, second)
    )
    differing = sorted(name for name in {*hashes, *others} if hashes.get(name) != others.get(name))
    if differing:
        raise ReleaseFailed(f"two builds of one commit differ in {', '.join(differing)}")


def _build(root: Path, source: Path, packages: Path) -> None:
    export(root, source)
    # Archives hold the time of their files; this one is the same in each build of the commit.
    date = run("git", "log", "-1", "--format=%ct", folder=root).strip()
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", str(packages))
    for name in DISTRIBUTIONS:
        run("env", f"SOURCE_DATE_EPOCH={date}", *build, str(source / name))
