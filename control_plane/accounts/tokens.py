"""What identity and meetings need from outside: the store, tokens, passwords, limits, and who is in a meeting now."""

from __future__ import annotations

import hashlib
import hmac
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control_plane.accounts.errors import token_expired, token_invalid
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.ids import IdFactory
from control_plane.kernel.records import read_enum
from control_plane.kernel.roles import ParticipantRole


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A signed token.

    Attributes:
        text: The token.
        expire_time: When it expires.
        lifetime: For how long it is good from when it was made.
    """

    text: str
    expire_time: datetime
    lifetime: timedelta = timedelta()


class ParticipantTokens(Protocol):
    """Making participant tokens."""

    def issue(self, meeting_id: str, participant_id: str, role: ParticipantRole) -> SignedToken:
        """Returns a new token."""
        ...


ACCESS_LIFETIME = timedelta(minutes=15)
PARTICIPANT_LIFETIME = timedelta(minutes=10)
_ISSUER = "parley"
_AUDIENCE = "parley.dev"
_ALGORITHM = "EdDSA"
_LONGEST_TOKEN = 4096


class SigningKeyError(Exception):
    """The key file can't be used; the message is one sentence for the operator."""


class Tokens:
    """Makes and verifies access tokens and participant tokens."""

    def __init__(self, key: Ed25519PrivateKey, clock: Clock, ids: IdFactory) -> None:
        self._key = key
        self._public = key.public_key()
        self._clock = clock
        self._ids = ids
        raw = self._public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._key_id = hashlib.sha256(raw).hexdigest()[:16]
        self._fingerprint_key = derive_key(key, b"parley request fingerprints")

    def access(self, caller: Caller) -> SignedToken:
        """Returns an access token of an ACCOUNT, GUEST or MEETING_GUEST."""
        claims = {"kind": caller.kind.value, "sub": caller.subject, "sid": caller.session_id, "mtg": caller.meeting_id}
        return self._sign({key: value for key, value in claims.items() if value}, ACCESS_LIFETIME)

    def issue(self, meeting_id: str, participant_id: str, role: ParticipantRole) -> SignedToken:
        """Returns a participant token."""
        claims = {
            "kind": CallerKind.PARTICIPANT.value,
            "sub": f"meetings/{meeting_id}/participants/{participant_id}",
            "role": role.value,
        }
        return self._sign(claims, PARTICIPANT_LIFETIME)

    def verify(self, token: str) -> Caller:
        """Returns who a token says is calling; TOKEN_INVALID or TOKEN_EXPIRED otherwise."""
        if len(token) > _LONGEST_TOKEN:
            raise token_invalid()
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_AUDIENCE,
                options={"require": ["exp", "iat", "sub"], "verify_exp": False, "verify_iat": False},
            )
            caller = _caller(claims)
            expired = self._clock.now().timestamp() >= float(claims["exp"])
        except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
            raise token_invalid() from error
        if expired:
            raise token_expired()
        return caller

    def fingerprint(self, *parts: str) -> bytes:
        """Returns a keyed hash of texts; equal lists of texts have equal ones."""
        text = b"".join(len(encoded).to_bytes(8, "big") + encoded for encoded in (part.encode() for part in parts))
        return hmac.digest(self._fingerprint_key, text, "sha256")

    def _sign(self, claims: Mapping[str, str], lifetime: timedelta) -> SignedToken:
        # JWT times are whole seconds; the answer says what the token says.
        now = self._clock.now().replace(microsecond=0)
        expire_time: datetime = now + lifetime
        common = {"iss": _ISSUER, "aud": _AUDIENCE, "iat": now, "exp": expire_time, "jti": self._ids.uuid()}
        text = jwt.encode({**common, **claims}, self._key, algorithm=_ALGORITHM, headers={"kid": self._key_id})
        return SignedToken(text, expire_time, lifetime)


def _caller(claims: Mapping[str, Any]) -> Caller:
    kind, subject = CallerKind(claims["kind"]), _text(claims, "sub")
    match kind, subject.split("/"):
        case ((CallerKind.ACCOUNT | CallerKind.GUEST), ["users", user_id]):
            return Caller(kind, subject, user_id=user_id, session_id=_text(claims, "sid"))
        case CallerKind.MEETING_GUEST, ["guests", _]:
            return Caller(kind, subject, meeting_id=_text(claims, "mtg"))
        case CallerKind.PARTICIPANT, ["meetings", meeting_id, "participants", participant_id]:
            role = read_enum(ParticipantRole, claims["role"])
            life = (datetime.fromtimestamp(claims["iat"], UTC), datetime.fromtimestamp(claims["exp"], UTC))
            return Caller(
                kind, subject, meeting_id=meeting_id, participant_id=participant_id, role=role, token_life=life
            )
        case _:
            raise token_invalid()


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims[name]
    if not isinstance(value, str) or not value:
        raise token_invalid()
    return value


def derive_key(key: Ed25519PrivateKey, purpose: bytes) -> bytes:
    """Returns a symmetric key of 32 bytes for one purpose (HKDF, RFC 5869), so that replicas share it too."""
    raw = key.private_bytes_raw()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(raw)


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Reads the signing key; makes it, with mode 0600, where there is none.

    Args:
        path: The PEM file.

    Returns:
        The key.

    Raises:
        SigningKeyError: The file can't be read, written or used.
    """
    try:
        if not path.exists():
            _make(path)
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        message = f"The signing key {path} can't be read or made: {error.strerror}."
        raise SigningKeyError(message) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        message = f"The signing key {path} is no unencrypted private key in PEM form."
        raise SigningKeyError(message) from error
    if not isinstance(key, Ed25519PrivateKey):
        message = f"The signing key {path} is no Ed25519 key."
        raise SigningKeyError(message)
    return key


def _make(path: Path) -> None:
    """Writes a new key so that the file is never seen half written; of two at a time the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".signing-key-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()
