"""The command without a name, which runs the worker, and the command config."""

import click

from landlord_engines_core.cli.loading import build_logger, load_checked_engine, load_engine
from landlord_engines_core.cli.options import Options
from landlord_engines_core.host import run_async, run_process
from landlord_engines_core.settings import format_duration

__all__ = ["print_settings", "run_worker"]


def run_worker(options: Options) -> None:
    """Run the worker until a signal drains it.

    Raises:
        LandlordEnginesError: The engine refused, failed, or could not register.
    """
    engine = load_checked_engine(options)
    settings = engine.settings
    logger = build_logger(settings.log.level, settings.log)
    for path in engine.loaded.unused:
        logger.warning("a setting that is in Landlord's examples is not read", setting=path)
    run_async(run_process(engine.factory, settings, logger, fail_fast=options.fail_fast))


def print_settings(options: Options) -> None:
    """Print each setting and its origin, and then check them together.

    Raises:
        SettingsError: A setting is wrong or missing, or settings do not fit together.
    """
    loaded = load_engine(options).loaded
    for path, value in loaded.values.items():
        text = _format_duration(value) if path in loaded.durations else repr(value)
        click.echo(f"{path} = {text}  # {loaded.origins[path]}")
    loaded.check()


def _format_duration(value: object) -> str:
    return "None" if value is None else format_duration(float(str(value)))
