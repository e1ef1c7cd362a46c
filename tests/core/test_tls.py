from pathlib import Path

import certifi
import pytest

from landlord_engines_core.errors import SettingsError
from landlord_engines_core.tls import check_certificates, scheme_hint


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SSL_CERT_FILE names .*No such file"):
        check_certificates({"SSL_CERT_FILE": str(tmp_path / "none.pem")})


def test_a_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")

    with pytest.raises(SettingsError, match="contains no certificate"):
        check_certificates({"SSL_CERT_FILE": str(tmp_path / "empty.pem")})


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"SSL_CERT_DIR names .* is no folder"):
        check_certificates({"SSL_CERT_DIR": f"{tmp_path}:{tmp_path}/none"})


def test_valid_and_unset_variables_are_accepted(tmp_path: Path) -> None:
    check_certificates({"SSL_CERT_FILE": certifi.where(), "SSL_CERT_DIR": str(tmp_path)})
    check_certificates({"SSL_CERT_FILE": "", "SSL_CERT_DIR": ""})


def test_an_error_unrelated_to_tls_gets_no_hint() -> None:
    assert scheme_hint(OSError("refused"), "x") == ""
