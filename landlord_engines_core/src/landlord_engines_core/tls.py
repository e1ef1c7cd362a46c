"""TLS, as far as the environment sets it up and errors tell of it."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from landlord_engines_core.errors import SettingsError

__all__ = ["check_certificates", "scheme_hint"]

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"

_PLAIN = ("wrong_version_number", "wrong version number", "record layer failure")
"""What OpenSSL says where the answer to its greeting is not TLS; by version."""


def check_certificates(environment: Mapping[str, str]) -> None:
    """Check what OpenSSL reads from the environment; it passes over what is not there.

    Raises:
        SettingsError: A variable names no file of certificates, or no folder.
    """
    if file := environment.get(_FILE):
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            # An SSLError is an OSError too: the file is there and holds no certificate.
            why = "holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            raise SettingsError(
                f"${_FILE} names {file}, which cannot be used: {why}",
                hint="have it name a file of certificates in PEM form, or unset it",
            ) from None
    for folder in (environment.get(_FOLDER) or "").split(":"):
        if folder and not Path(folder).is_dir():
            raise SettingsError(
                f"${_FOLDER} names {folder}, which is no folder", hint="correct or unset it"
            )


def scheme_hint(error: BaseException, setting: str) -> str:
    """What to do where one side speaks TLS and the other does not; empty for other errors."""
    text = str(error).lower()
    if any(part in text for part in _PLAIN):
        return f"what listens there speaks no TLS: write http:// in {setting}"
    return ""
