"""The command dev: everything on this machine."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import click

from landlord_engines_core import dev as local
from landlord_engines_core.cli.loading import build_logger, gather_sources, load_engine
from landlord_engines_core.cli.options import Options
from landlord_engines_core.host import run_async

__all__ = ["run_local_stack"]


def run_local_stack(options: Options, backend: str | None, *, demo: bool) -> None:
    """Run a local backend, Landlord in memory and a worker until a signal, or for one demo.

    Raises:
        LandlordEnginesError: A part cannot start, or the demo failed.
    """
    engine = load_engine(options)
    log = engine.settings.log
    selection = local.EngineSelection(
        name=engine.name,
        factory=engine.factory,
        sources=gather_sources(options),
        backend=backend,
    )
    # The demo prints its own progress, and log lines in between would hide it.
    is_quiet = demo and engine.loaded.origins["log.level"] == "default"
    logger = build_logger("error" if is_quiet else log.level, log)
    foreground = _run_demo if demo else _print_hints
    run_async(local.run(selection, logger, foreground))


async def _run_demo(stack: local.Stack) -> None:
    async with local.User.connect(stack.landlord) as user:
        await local.Demo(user=user, port=local.find_free_port(), progress=_show_progress).run()


async def _print_hints(stack: local.Stack) -> None:
    for line in local.hints(stack):
        click.echo(line)
    # Until a signal cancels it.
    await asyncio.Event().wait()


@contextmanager
def _show_progress(title: str) -> Iterator[None]:
    """Show the demo's current step on a terminal, and then how long it took."""
    began = monotonic()
    if sys.stdout.isatty():
        click.echo(f"  ... {title}\r", nl=False)
    yield
    click.echo(f"  {monotonic() - began:4.1f} s  {title}")
