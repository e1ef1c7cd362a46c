"""Checks of the whole repository: `nox` runs them all, `nox -s tests -- -k lifecycle` a part."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
# If uv is beside nox, an environment takes a fifth of the processor time.
nox.options.default_venv_backend = "uv|virtualenv"
# uv would fetch each Python that is missing.
nox.options.download_python = "never"
nox.options.error_on_external_run = True
# nox makes it an error where CI is set; not every machine has every Python.
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["e2e", "tests", "types", "lint", "build", "demo", "coverage"]
# Most tests wait for processes, so two sessions at once keep two cores busy.
nox.options.parallel = 2
nox.options.allow_parallel = True

ROOT = Path(__file__).parent
DIST = ROOT / "dist"
DISTRIBUTIONS = (
    "landlord_engines_core",
    "landlord_engines_restate",
    "landlord_engines_stepfunctions_stub",
)
CURRENT_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PYTHONS = sorted({"3.11", "3.12", "3.13", "3.14", CURRENT_PYTHON})

# npm fetches restate-server. Where the machine has no npm, the extra brings it in a wheel of Node.js.
LOCAL = "" if shutil.which("npm") else "[local]"

# The extra of the Restate engine that runs a restate-server in a container.
CONTAINER = "[container]"

# The extras of core, for its compute engines and for traces.
ENGINES = "[docker,ecs,otel]"


# The groups whose versions constraints.txt pins, which are all of them.
PINNED_GROUPS = ("test", "lint", "types", "build", "bench", "deploy", "release")

RELEASE_REQUIREMENTS = ROOT / "release" / "requirements.txt"
"""What builds and checks a release, with hashes."""

WHOLE = ("-m", "long or not long")
"""Has pytest take the long tests of a file, too."""


def install(session: nox.Session, *requirements: str, group: str | None = None) -> None:
    """Install with every version pinned."""
    groups = nox.project.load_toml("pyproject.toml")
    needed = nox.project.dependency_groups(groups, group) if group else ()
    constraints = str(ROOT / "constraints.txt")
    environment = {"PIP_CONSTRAINT": constraints, "UV_CONSTRAINT": constraints}
    session.install(*needed, *requirements, env=environment)


def install_editable(
    session: nox.Session, group: str, *options: str, extra: str = CONTAINER
) -> None:
    """Install all distributions, the examples, the package of the tests and a group of tools, editable."""
    core, restate, stub = (f"./{name}" for name in DISTRIBUTIONS)
    examples = (f"./examples/{name}_engine" for name in ("folder", "sqlite"))
    folders = (core + ENGINES, restate + extra, stub, *examples, "./tests/target")
    editable = (argument for folder in folders for argument in ("-e", folder))
    # Build isolation would create an environment for each of them, in 8 s of processor time.
    install(session, group="build")
    install(session, "--no-build-isolation", *options, *editable, group=group)
    # The tests start hundreds of processes. Where this variable is set, each of them compiles the
    # editable packages again.
    session.env["PYTHONDONTWRITEBYTECODE"] = None


def measured_pytest(session: nox.Session, *args: str) -> None:
    """Run pytest and keep what it covers, in its subprocesses too, for the session `coverage`."""
    data = {"COVERAGE_FILE": str(ROOT / f".coverage.{session.name}")}
    session.run("coverage", "erase", env=data)
    session.run("coverage", "run", "-m", "pytest", *args, *session.posargs, env=data)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and who imports whom."""
    install(session, group="lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    # import-linter reads the imports and runs no code, so nothing has to be installed.
    folders = os.pathsep.join(str(ROOT / name / "src") for name in DISTRIBUTIONS)
    session.run("lint-imports", env={"PYTHONPATH": folders})


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly, also those of the distributions that `new-engine` writes."""
    # Writing mypy's cache costs 6 s, and a new environment never reads it.
    install_editable(session, "test", "--no-compile")
    install(session, "--no-compile", "ruff", group="types")
    session.run("mypy", f"--cache-dir={os.devnull}")
    # Here, since no other session has mypy, ruff and pytest.
    session.run("pytest", *WHOLE, "tests/core/scaffold", "-k", "ruff_and_mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build each distribution on its own: the sdist, then the wheel from the sdist."""
    install(session, group="build")
    shutil.rmtree(DIST, ignore_errors=True)
    for name in DISTRIBUTIONS:
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(DIST), name)
        (wheel,) = DIST.glob(f"{name}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = archive.namelist()
        for required in (f"{name}/py.typed", "dist-info/licenses/LICENSE"):
            if not any(file.endswith(required) for file in files):
                session.error(f"{wheel.name} lacks {required}")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests that need no backend, on each Python that is there."""
    install_editable(session, "test")
    # Many tests wait for processes, so more of them than cores can run at once.
    args = ("-n", "4", "--dist", "worksteal", "--durations=25", "--ignore=tests/e2e")
    if session.python == CURRENT_PYTHON:
        measured_pytest(session, *args)
    else:
        session.run("pytest", *args, *session.posargs)


@nox.session
def e2e(session: nox.Session) -> None:
    """Run the end-to-end tests on a real restate-server and a real Docker daemon.

    Coverage is measured only where it gains anything, see `MEASURED` in tests/e2e/conftest.py.
    `nox -s e2e -- -k drain` chooses from all tests, and measures nothing.
    """
    install_editable(session, "test", extra="[container,local]" if LOCAL else CONTAINER)
    args = ("-v", "-n", "5", "--durations=25", "tests/e2e")
    if session.posargs:
        session.run("pytest", *args, *session.posargs)
    else:
        measured_pytest(session, *args)


@nox.session(requires=[f"tests-{CURRENT_PYTHON}", "e2e"])
def coverage(session: nox.Session) -> None:
    """Require that `tests` and `e2e` together cover every branch."""
    install(session, "coverage[toml]")
    session.run("coverage", "combine", "--keep")
    session.run("coverage", "report")


@nox.session(requires=["build"])
def demo(session: nox.Session) -> None:
    """Show the built wheels at work: a tenant's life on a local restate-server, as its user sees it."""
    core, restate, stub = (str(next(DIST.glob(f"{name}-*.whl"))) for name in DISTRIBUTIONS)
    install(session, core, restate + LOCAL, stub)
    session.run("landlord-host", "engines")
    folder = Path(session.create_tmp()).resolve() / "demo"
    folder.mkdir(exist_ok=True)
    demo_env = {"TMPDIR": str(folder)}
    session.run("landlord-host", "--engine", "restate", "dev", "--demo", env=demo_env)
    if left_over := [path.name for path in folder.iterdir()]:
        session.error(f"the demo left files behind: {', '.join(left_over)}")


@nox.session(requires=["build"])
def third_party(session: nox.Session) -> None:
    """Show an engine that is not ours at work, without Restate: `nox -s third_party`.

    Not part of a plain run. Two workers serve tenants, and one of them is killed.
    """
    install(session, group="build")
    folder = Path(session.create_tmp()).resolve()
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    session.run(
        *("python", "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder)),
        "examples/sqlite_engine",
    )
    core, example = next(DIST.glob("landlord_engines_core-*.whl")), next(folder.glob("*.whl"))
    install(session, str(core), str(example))
    session.run("landlord-host", "engines")
    session.run("landlord-host", "--engine", "sqlite", "dev", "--demo")
    session.run("python", "tests/third_party/run_tenants.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Compare the worker with a service written by hand: `nox -s bench`, not part of a plain run."""
    install_editable(session, "bench", extra=LOCAL)
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Run a hundred thousand jobs: `nox -s soak -- --jobs 50000`, not part of a plain run."""
    install_editable(session, "bench", extra=LOCAL)
    session.run("python", "-m", "benchmarks.soak", *session.posargs)


@nox.session
def dashboard(session: nox.Session) -> None:
    """Draw the picture of the dashboard from a real run: `nox -s dashboard`, not part of a plain run."""
    install_editable(session, "bench", extra=LOCAL)
    session.run("python", "-m", "benchmarks.dashboard", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Send ten thousand jobs with odd bodies: `nox -s fuzz -- --seed 7`, not part of a plain run."""
    install_editable(session, "test", extra=LOCAL)
    session.run("pytest", "-s", "tests/e2e/test_fuzz.py", "--bodies=10000", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill workers and servers, at random and at each message of a worker: `nox -s faults -- --seed 7`.

    Not part of a plain run, which kills at three messages. The long tests have a short campaign.
    """
    install_editable(session, "test", extra=LOCAL)
    campaigns = ("tests/e2e/test_faults.py", "tests/e2e/test_every_point.py")
    size = (*WHOLE, "--kills=150", "--freezes=40", "--operations=1000", "--stride=1")
    session.run("pytest", "-s", *campaigns, *size, *session.posargs)


@nox.session
def killed_jobs(session: nox.Session) -> None:
    """Kill jobs while requests are late, and check what is left: `nox -s killed_jobs -- --seed 7`.

    Not part of a plain run, which runs two cases on the tests' target. `--records DIR` keeps a timeline
    of each case.
    """
    install_editable(session, "test", extra=LOCAL)
    files = (
        "tests/e2e/docker/test_killed_job_campaign.py",
        "tests/e2e/test_killed_job_campaign.py",
    )
    size = (*WHOLE, "--cases=40", "--step-timeout=20")
    session.run("pytest", "-s", *files, *size, *session.posargs)


@nox.session
def deploy(session: nox.Session) -> None:
    """Check deploy/ by Kubernetes' schemas, and run the image, compose and systemd: `nox -s deploy`.

    Not part of a plain run, which checks that the files fit the settings and each other.
    """
    install_editable(session, "test", extra="[container,local]" if LOCAL else CONTAINER)
    install(session, group="deploy")
    image, unit = (f"tests/e2e/docker/test_{name}.py" for name in ("worker_image", "systemd"))
    files = ("tests/packaging/test_deploy.py", image, unit)
    session.run("pytest", "-v", "-m", "deploy or not deploy", *files, *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """Renew the reports of the conformance kit on our engines: `nox -s conformance`."""
    install_editable(session, "test", extra=LOCAL)
    reports = "--conformance-reports=tests/data/conformance"
    # A verdict other than conformant is a result, and the documents show it.
    session.run(
        *("pytest", *WHOLE, reports, "tests/conformance", *session.posargs), success_codes=[0, 1]
    )
    session.run("python", "-m", "landlord_test_target.rule_tables")


@nox.session
def cluster(session: nox.Session) -> None:
    """Kill a node of a cluster of restate-servers: `nox -s cluster`, not part of a plain run."""
    install_editable(session, "test", extra=LOCAL)
    session.run("pytest", "-s", "-m", "cluster", "tests/e2e/test_cluster.py", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Build and check a release, up to the upload: `nox -s release`, or `-- v0.1.0` for a tag.

    Not part of a plain run. The result is in dist/release. Only the latest commit is built.
    """
    session.install("--require-hashes", "--requirement", str(RELEASE_REQUIREMENTS))
    shutil.rmtree(DIST / "release", ignore_errors=True)
    session.run("python", "-m", "release", str(DIST / "release"), *session.posargs)


@nox.session
def pins(session: nox.Session) -> None:
    """Renew constraints.txt and release/requirements.txt: `nox -s pins`, not part of a plain run."""
    session.install("uv")
    compile_pins = ("uv", "pip", "compile", "--universal", "--python-version=3.11", "--quiet")
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url")
    sources = session.create_tmp() + "/sources.txt"
    extras = dict(zip(DISTRIBUTIONS, (ENGINES, "[container,local]", ""), strict=True))
    local = [f"{ROOT / name}{extra}" for name, extra in extras.items()]
    Path(sources).write_text("\n".join(local), encoding="utf-8")
    groups = [f"--group={name}" for name in PINNED_GROUPS]
    compiled = session.run(*compile_pins, *plain, "--upgrade", sources, *groups, silent=True)
    # Our own distributions appear as paths of this machine.
    kept = [line for line in str(compiled).splitlines() if "==" in line]
    (ROOT / "constraints.txt").write_text("\n".join([*kept, ""]), encoding="utf-8")
    session.run(
        *(*compile_pins, *plain, "--constraints=constraints.txt", "--generate-hashes"),
        *("--group=release", f"--output-file={RELEASE_REQUIREMENTS}"),
    )
