"""TLS: certificates from the environment, and hints for errors."""

import ssl
from collections.abc import Mapping
from pathlib import Path

from landlord_engines_core.errors import SettingsError

__all__ = ["check_certificates", "scheme_hint"]

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"

_NOT_TLS = ("wrong_version_number", "wrong version number", "record layer failure")
"""OpenSSL's errors if the other side answers without TLS; they differ by version."""


def check_certificates(environment: Mapping[str, str]) -> None:
    """Check the files that OpenSSL reads from the environment's variables.

    Raises:
        SettingsError: A variable names no file of certificates, or no folder.
    """
    # OpenSSL itself ignores a missing file, and then trusts no certificate.
    if file := environment.get(_FILE):
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            # An SSLError is an OSError too: the file exists and contains no certificate.
            reason = (
                "contains no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            )
            raise SettingsError(
                f"${_FILE} names {file}, which cannot be used: {reason}",
                hint="set it to a file of certificates in PEM format, or unset it",
            ) from None
    for folder in (environment.get(_FOLDER) or "").split(":"):
        if folder and not Path(folder).is_dir():
            raise SettingsError(
                f"${_FOLDER} names {folder}, which is no folder", hint=f"correct or unset {_FOLDER}"
            )


def scheme_hint(error: BaseException, setting: str) -> str:
    """Choose the hint for a server without TLS; empty for other errors."""
    text = str(error).lower()
    if any(part in text for part in _NOT_TLS):
        return f"the server speaks no TLS: write http:// in {setting}"
    return ""
