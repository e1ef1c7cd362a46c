"""A program that freezes itself at a failpoint of a provision, while its job ends.

    python -m landlord_test_target.frozen_worker FOLDER POINT CONFIG

The worker stops itself with SIGSTOP. A test continues it after more than `FRESH` seconds. The worker
then asks whether its job is alive, gets ExecutionEnded, and prints that name.
"""

import asyncio
import json
import os
import signal
import sys

import attrs

from landlord_engines_core.compute import InFlightRequests, in_flight
from landlord_engines_core.errors import ExecutionEnded
from landlord_test_target.commands import spec
from landlord_test_target.compute_engines import process_engine


async def provision(folder: str, point: str, config: str) -> None:
    def reached(at: str) -> None:
        if at == point:
            os.kill(os.getpid(), signal.SIGSTOP)

    async def confirm_job() -> None:
        raise ExecutionEnded("it was killed meanwhile")

    engine = attrs.evolve(process_engine({"folder": folder}), reached=reached)
    with InFlightRequests(longest_carry=engine.longest_carry).attribute_to("t", confirm_job):
        await engine.provision(spec(json.loads(config)))


if __name__ == "__main__":
    in_flight.FRESH = 2.0
    try:
        asyncio.run(provision(*sys.argv[1:]))
    except ExecutionEnded as error:
        print(type(error).__name__)  # noqa: T201  # the caller reads it
