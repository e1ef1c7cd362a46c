"""The HTTP endpoint that Restate calls: its server, and the connections that it accepts."""
