"""The target: resources of tenants in SQLite behind HTTP, in a process of its own.

A resource's name (engine, location, tenant) is unique, as on real targets, unless the fault
``duplicate`` is set. The server writes every call to a ledger. `/faults` sets faults per tenant and call:

- delay_before, delay_after: Seconds before or after the call's effect.
- hold: The call has no effect and no answer while this is set.
- fail, refuse, drop: The number of calls that answer 503, 422, or have their effect and no answer; -1 for all.
- duplicate: A create makes a second resource although one exists.

Single calls of a tenant can be delayed before or after their effect. Random faults can hit every call;
the server draws them from a seed in the order of the calls:

- slow: The longest delay in seconds, drawn before the effect and again after it.
- fail, lose: The share of calls that answer 503, or have their effect and no answer.

The server can hold the next call of any tenant, before or after its effect, until a test releases it.

    python -m landlord_test_target.server --db FILE    prints the port that it listens on
"""

import argparse
import json
import random
import sqlite3
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

LONGEST_HOLD = 10.0
"""Maximum seconds for which a call is held, and for which a test waits for such a call."""

SCHEMA = """
CREATE TABLE resources (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT, engine TEXT, location TEXT, document TEXT
);
CREATE TABLE ledger (
    at REAL, tenant TEXT, engine TEXT, location TEXT, call TEXT, config_hash TEXT, outcome TEXT,
    request TEXT
);
"""


class RandomFaults(NamedTuple):
    """The faults that chance draws for a call."""

    before: float = 0
    fails: bool = False
    loses: bool = False
    after: float = 0


class Target(ThreadingHTTPServer):
    """The server and its state."""

    daemon_threads = True

    def __init__(self, database: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.database = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.database.executescript(SCHEMA)
        self.faults: dict[tuple[str, str], dict[str, float]] = {}
        self.random_faults: Mapping[str, float] = {}
        self.random = random.Random()  # not for cryptography
        self.delays: dict[str, list[dict[str, Any]]] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.held_moment = ""
        self.call_is_held = threading.Event()
        self.released = threading.Event()

    def handle_error(self, *_: object) -> None:
        """Ignore a broken connection: many tests kill the client."""

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        with self.lock:
            return [dict(row) for row in self.database.execute(sql, values)]

    def write_ledger(self, body: dict[str, Any], call: str, outcome: str, request: str) -> None:
        values = (
            body["tenant"],
            body["engine"],
            body["location"],
            call,
            body.get("config_hash", ""),
        )
        self.rows(
            "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            time.time(),
            *values,
            outcome,
            request,
        )

    def set_random_faults(self, chances: dict[str, float]) -> None:
        self.random.seed(chances.pop("seed"))
        self.random_faults = chances

    def draw_faults(self) -> RandomFaults:
        with self.lock:
            before, fails, loses, after = (self.random.random() for _ in range(4))
        slow, fail, lose = (self.random_faults.get(kind, 0) for kind in ("slow", "fail", "lose"))
        return RandomFaults(before * slow, fails < fail, loses < lose, after * slow)

    def delay(self, tenant: str, delays: list[dict[str, Any]]) -> None:
        with self.lock:
            self.delays[tenant] = delays
            for late_call in delays:
                self.counts[tenant, late_call["call"]] = 0

    def delays_of_call(self, tenant: str, call: str) -> dict[str, float]:
        """Return the delays of this call of a tenant, by moment."""
        with self.lock:
            count = self.counts[tenant, call] = self.counts.get((tenant, call), 0) + 1
            due = [
                late_call
                for late_call in self.delays.get(tenant, ())
                if (late_call["call"], late_call["nth"]) == (call, count)
            ]
        return {delay["moment"]: delay["seconds"] for delay in due}

    def hold_next_call(self, moment: str) -> None:
        self.call_is_held.clear()
        self.released.clear()
        self.held_moment = moment

    def hold_if_chosen(self, moment: str) -> None:
        with self.lock:
            if moment != self.held_moment:
                return
            self.held_moment = ""
        self.call_is_held.set()
        self.released.wait(LONGEST_HOLD)

    def fault(self, tenant: str, call: str, kind: str) -> float:
        return self.faults.get((tenant, call), {}).get(kind, 0)

    def count_down_fault(self, tenant: str, call: str, kind: str) -> bool:
        """Check whether a counted fault is due, and count it down; below zero it always is."""
        with self.lock:
            fault = self.faults.get((tenant, call), {})
            left = fault.get(kind, 0)
            if left > 0:
                fault[kind] = left - 1
            return left != 0


class Handler(BaseHTTPRequestHandler):
    """One request; the path names the call."""

    server: Target  # type: ignore[mutable-override]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/held":
            return self.answer(200, self.server.call_is_held.wait(LONGEST_HOLD))
        if url.path in ("/ledger", "/resources"):
            table = url.path.strip("/")
            sql = f"SELECT * FROM {table} WHERE ?1 IN ('', tenant) ORDER BY rowid"
            return self.answer(200, self.server.rows(sql, query.get("tenant", "")))
        query.setdefault("location", "")
        return self.call("inspect", query)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            self.server.faults[body.pop("tenant"), body.pop("call")] = body
            return self.answer(200, {})
        if self.path == "/delays":
            self.server.delay(**body)
            return self.answer(200, {})
        if self.path == "/chances":
            self.server.set_random_faults(body)
            return self.answer(200, {})
        if self.path == "/hold-next":
            self.server.hold_next_call(body["moment"])
            return self.answer(200, {})
        if self.path == "/release":
            self.server.released.set()
            return self.answer(200, {})
        return self.call(self.path.strip("/"), body)

    def call(self, name: str, body: dict[str, Any]) -> None:
        server, tenant, request = self.server, body["tenant"], uuid4().hex
        server.write_ledger(body, name, "received", request)
        if server.count_down_fault(tenant, name, "refuse"):
            return self.answer(422, {"reason": "the target refuses this"})
        if server.count_down_fault(tenant, name, "fail"):
            return self.answer(503, {"reason": "the target is in trouble"})
        server.hold_if_chosen("before")
        faults, late = server.draw_faults(), server.delays_of_call(tenant, name)
        before = late.get("before", 0.0)
        time.sleep(server.fault(tenant, name, "delay_before") + faults.before + before)
        if faults.fails:
            server.write_ledger(body, name, "failed", request)
            return self.answer(503, {"reason": "the target fails at random"})
        while server.fault(tenant, name, "hold"):
            time.sleep(0.02)
        status, document = getattr(self, f"do_{name}")(body)
        server.write_ledger(body, name, str(status), request)
        server.hold_if_chosen("after")
        after = late.get("after", 0.0)
        time.sleep(server.fault(tenant, name, "delay_after") + faults.after + after)
        if faults.loses:
            server.write_ledger(body, name, "lost", request)
        if server.count_down_fault(tenant, name, "drop") or faults.loses:
            self.close_connection = True
            return None
        return self.answer(status, document)

    def do_inspect(self, body: dict[str, Any]) -> tuple[int, object]:
        resource = self.find(body)
        return (200, resource) if resource else (404, {})

    def do_create(self, body: dict[str, Any]) -> tuple[int, object]:
        # One statement checks and inserts, so that only one of two simultaneous creates succeeds.
        sql = """
            INSERT INTO resources (tenant, engine, location, document) SELECT ?1, ?2, ?3, ?4
            WHERE ?5 OR NOT EXISTS (
                SELECT 1 FROM resources WHERE tenant = ?1 AND engine = ?2 AND location = ?3
            )
            RETURNING id
        """
        name = (body["tenant"], body["engine"], body["location"])
        duplicate = self.server.fault(body["tenant"], "create", "duplicate")
        rows = self.server.rows(sql, *name, json.dumps(body), duplicate)
        return (201 if rows else 409), self.find(body)

    def do_update(self, body: dict[str, Any]) -> tuple[int, object]:
        before = self.find(body)
        if not before:
            return 404, {}
        if body["unhealthy"]:
            return 200, {**before, "rolled_back": True}
        sql = "UPDATE resources SET document = ? WHERE id = ?"
        self.server.rows(sql, json.dumps(body), before["id"])
        return 200, self.find(body)

    def do_delete(self, body: dict[str, Any]) -> tuple[int, object]:
        resource = self.find(body)
        sql = "DELETE FROM resources WHERE tenant = ? AND engine = ? AND location = ?"
        self.server.rows(sql, body["tenant"], body["engine"], body["location"])
        return (200, {}) if resource else (404, {})

    def find(self, body: dict[str, Any]) -> dict[str, Any]:
        sql = "SELECT id, document FROM resources WHERE tenant = ? AND engine = ? AND location = ?"
        rows = self.server.rows(sql, body["tenant"], body["engine"], body["location"])
        return {**json.loads(rows[0]["document"]), "id": str(rows[0]["id"])} if rows else {}

    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            # Many tests kill the client while it waits for the answer.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing: the ledger is the log."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--db", type=Path, required=True)
    target = Target(parser.parse_args().db)
    print(target.server_address[1], flush=True)  # noqa: T201  # the caller reads the port
    target.serve_forever()


if __name__ == "__main__":
    main()
