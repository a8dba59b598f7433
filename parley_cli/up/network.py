"""This machine's addresses on its networks, and the certificate for them."""

import datetime as dt
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from media_plane.addresses import local_addresses

# Browsers refuse certificates of more than 398 days.
_VALID_DAYS = 397
_RENEW_DAYS = 30
_CLOCK_SKEW = dt.timedelta(hours=1)


@dataclass(frozen=True)
class CertificateFiles:
    """Where certificate and key are, PEM."""

    certificate: Path
    key: Path


def lan_addresses() -> Sequence[str]:
    """IPv4 addresses at which other machines reach this one, the one of the default route first."""
    return [each for each in local_addresses(ipv6=False) if not ipaddress.ip_address(each).is_loopback]


def local_certificate(folder: Path, names: Sequence[str]) -> CertificateFiles:
    """A certificate of our own making for these names and addresses, kept in `folder` while it fits.

    Browsers warn once, since nobody they know has signed it; a deployment that others use sets a certificate of its
    own.
    """
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem")
    if not _fits(files, names):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(files, names)
    return files


def host_name() -> str:
    """This machine's name on the local network (mDNS)."""
    return f"{socket.gethostname().split('.')[0].lower()}.local"


def _fits(files: CertificateFiles, names: Sequence[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    remaining = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    return set(_alternative_names(names)) <= set(present) and remaining.days > _RENEW_DAYS


def _make(files: CertificateFiles, names: Sequence[str]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Parley on this network")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files.key.unlink(missing_ok=True)
    files.key.touch(mode=0o600)
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in names]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
