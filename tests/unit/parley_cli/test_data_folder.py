"""The data folder: one owner at a time, secrets made once, and said who is there."""

import os
import stat
from pathlib import Path

import pytest

from parley_cli.errors import CommandError
from parley_cli.up.data_folder import DataFolder, read_instance
from parley_cli.up.logs import RotatingLog
from parley_cli.up.network import host_name, lan_addresses, local_certificate


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    DataFolder(tmp_path / "data").open()

    with pytest.raises(CommandError, match=f"in use by another parley \\(process {os.getpid()}\\)"):
        DataFolder(tmp_path / "data").open()


def test_a_folder_that_can_not_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(CommandError, match=r"can't be used: .*--data-dir"):
        DataFolder(tmp_path / "file" / "data").open()


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)

    first = folder.secret("node-token")

    assert len(first) >= 32
    assert folder.secret("node-token") == DataFolder(tmp_path).secret("node-token") == first
    assert folder.secret("operator-token") != first
    assert stat.S_IMODE((tmp_path / "secrets" / "node-token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_what_runs_is_known_until_it_ends(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.publish({"pid": os.getpid(), "url": "http://localhost:1"})
    instance = read_instance(tmp_path)
    assert instance is not None
    assert instance["url"] == "http://localhost:1"

    folder.publish({"pid": 2**22 + 1, "url": "http://localhost:1"})  # Above the kernel's largest process id.
    assert read_instance(tmp_path) is None

    folder.withdraw()
    assert read_instance(tmp_path) is None


def test_logs_are_written_line_by_line(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path, "node")
    log("100 % of one line")
    log("another")
    log.close()

    assert (tmp_path / "node.log").read_text() == "100 % of one line\nanother\n"


def test_a_certificate_is_kept_while_it_fits(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, ["192.0.2.1", host_name()])
    first = files.certificate.read_bytes()

    assert local_certificate(tmp_path, ["192.0.2.1"]).certificate.read_bytes() == first
    assert local_certificate(tmp_path, ["192.0.2.7"]).certificate.read_bytes() != first
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_a_damaged_certificate_is_made_anew(tmp_path: Path) -> None:
    files = local_certificate(tmp_path, ["192.0.2.1"])
    files.key.write_text("damaged")

    local_certificate(tmp_path, ["192.0.2.1"])

    assert b"PRIVATE KEY" in files.key.read_bytes()


def test_addresses_of_the_network_are_no_loopback() -> None:
    assert not [address for address in lan_addresses() if address.startswith("127.")]
