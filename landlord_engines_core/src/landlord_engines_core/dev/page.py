"""Web page of a tenant for first steps: shows a text and the id of its process.

Run it as::

    PORT=18080 python -m landlord_engines_core.dev.page "version one"
"""

import os
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["serve"]


def serve(text: str, port: int) -> None:
    """Answer every GET with the text and the process id, a line each, until the process ends."""
    body = f"{text}\nprocess {os.getpid()}\n".encode()

    class Page(BaseHTTPRequestHandler):
        """Handler for the page."""

        def do_GET(self) -> None:
            """Send the page."""
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    ThreadingHTTPServer(("127.0.0.1", port), Page).serve_forever()


if __name__ == "__main__":
    serve(sys.argv[1], int(os.environ["PORT"]))  # noqa: TID251  # a tenant's own program
