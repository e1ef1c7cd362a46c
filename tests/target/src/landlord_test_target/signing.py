"""Restate's request signatures, version 1: keys, a server that signs, and signatures made here."""

import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from landlord_engines_restate.local.server import RestateServer

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


@attrs.frozen
class Key:
    """A signing key, as an operator of Restate creates it."""

    private: Ed25519PrivateKey = attrs.field(factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        """Return the public key as ``identity_keys`` takes it."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        number, text = int.from_bytes(raw), ""
        while number:
            number, digit = divmod(number, 58)
            text = BASE58[digit] + text
        zeros = len(raw) - len(raw.lstrip(b"\0"))
        return f"publickeyv1_{BASE58[0] * zeros}{text}"

    @property
    def pem(self) -> bytes:
        """Return the private key as restate-server reads it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def headers(
        self, path: str, *, key_id: str = "", lasts: float = 60.0, since: float = 0.0
    ) -> dict[str, str]:
        """Build the headers with which restate-server 1.7.12 signs a request to this path."""
        now = int(time.time() + since)
        head = {"typ": "JWT", "alg": "EdDSA", "kid": key_id or self.public}
        claims = {"aud": path, "iat": now, "nbf": now, "exp": now + int(lasts)}
        signed = f"{_part(head)}.{_part(claims)}"
        token = f"{signed}.{_base64(self.private.sign(signed.encode()))}"
        return {"x-restate-signature-scheme": "v1", "x-restate-jwt-v1": token}


@attrs.define(kw_only=True)
class SigningServer(RestateServer):
    """A restate-server that signs its requests."""

    key: Key

    def _write_config(self) -> Path:
        pem = self.folder / "identity.pem"
        pem.write_bytes(self.key.pem)
        config = super()._write_config()
        with config.open("a") as text:
            text.write(f"""
[worker.invoker]
request-identity-private-key-pem-file = {json.dumps(str(pem), ensure_ascii=False)}
""")
        return config


def _part(document: Mapping[str, object]) -> str:
    return _base64(json.dumps(document).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
