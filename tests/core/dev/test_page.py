import os
import signal
import subprocess
import sys
from urllib.request import urlopen

from landlord_engines_core.dev import find_free_port
from landlord_test_target.harness import wait_for


async def test_a_page_has_its_text_and_its_process_id(unused_tcp_port: int) -> None:
    command = [sys.executable, "-m", "landlord_engines_core.dev.page", "version one"]
    environment = {**os.environ, "PORT": str(unused_tcp_port)}

    async def lines() -> list[str]:
        try:
            with urlopen(f"http://127.0.0.1:{unused_tcp_port}/") as answer:
                text: str = answer.read().decode()
        except OSError:
            return []
        return text.splitlines()

    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as page:
        page_text = await wait_for(lines)
        page.send_signal(signal.SIGTERM)

    assert page_text == ["version one", f"process {page.pid}"]


def test_a_free_port_can_be_listened_on() -> None:
    assert 0 < find_free_port() < 65536
