from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from control_plane.accounts.tokens import SigningKeyError, Tokens, load_signing_key
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.errors import DomainError
from control_plane.kernel.ids import SystemIds
from control_plane.kernel.roles import ParticipantRole
from tests.support.clock import FakeClock

USER = "3f0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
SESSION = "aa0c8d4e-6a3b-4e0e-9a5c-1f2e3d4c5b6a"
MEETING = "12345678901"
CALLERS = [
    Caller(CallerKind.ACCOUNT, f"users/{USER}", user_id=USER, session_id=SESSION),
    Caller(CallerKind.GUEST, f"users/{USER}", user_id=USER, session_id=SESSION),
    Caller(CallerKind.MEETING_GUEST, "guests/1", meeting_id=MEETING),
]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def tokens(key: Ed25519PrivateKey, clock: FakeClock) -> Tokens:
    return Tokens(key, clock, SystemIds())


def reason(tokens: Tokens, token: str) -> str:
    with pytest.raises(DomainError) as raised:
        tokens.verify(token)
    return raised.value.reason


@pytest.mark.parametrize("caller", CALLERS)
def test_an_access_token_says_who_it_was_made_for(tokens: Tokens, caller: Caller, clock: FakeClock) -> None:
    signed = tokens.access(caller)
    assert tokens.verify(signed.text) == caller
    assert signed.expire_time == clock.now() + timedelta(minutes=15)


def test_a_participant_token_names_meeting_participant_and_role(tokens: Tokens, clock: FakeClock) -> None:
    signed = tokens.issue(MEETING, USER, ParticipantRole.HOST)
    caller = tokens.verify(signed.text)
    assert (caller.kind, caller.meeting_id, caller.participant_id) == (CallerKind.PARTICIPANT, MEETING, USER)
    assert caller.role is ParticipantRole.HOST
    assert signed.expire_time == clock.now() + timedelta(minutes=10)


def test_a_token_ends_when_it_says(tokens: Tokens, clock: FakeClock) -> None:
    signed = tokens.access(CALLERS[0])
    clock.advance(timedelta(minutes=15) - timedelta(seconds=1))
    tokens.verify(signed.text)
    clock.advance(timedelta(seconds=1))
    assert reason(tokens, signed.text) == "TOKEN_EXPIRED"


def test_foreign_changed_and_unsigned_tokens_are_refused(
    tokens: Tokens, key: Ed25519PrivateKey, clock: FakeClock
) -> None:
    good = tokens.access(CALLERS[0]).text
    head, body, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    other_issuer = {**claims, "iss": "elsewhere"}
    other_audience = {**claims, "aud": "elsewhere"}
    without_expiry = {name: value for name, value in claims.items() if name != "exp"}
    bad = {
        "foreign": Tokens(Ed25519PrivateKey.generate(), clock, SystemIds()).access(CALLERS[0]).text,
        "changed": f"{head}.{body[:-2]}AA.{signature}",
        "no signature": f"{head}.{body}.",
        "alg none": jwt.encode(claims, "", algorithm="none"),
        "public key as HMAC secret": _hmac(claims, public),
        "other issuer": jwt.encode(other_issuer, key, algorithm="EdDSA"),
        "other audience": jwt.encode(other_audience, key, algorithm="EdDSA"),
        "without expiry": jwt.encode(without_expiry, key, algorithm="EdDSA"),
        "unknown kind": jwt.encode({**claims, "kind": "admin"}, key, algorithm="EdDSA"),
        "operator": jwt.encode({**claims, "kind": "operator"}, key, algorithm="EdDSA"),
        "subject of another kind": jwt.encode({**claims, "kind": "participant"}, key, algorithm="EdDSA"),
        "without session": jwt.encode({**claims, "sid": None}, key, algorithm="EdDSA"),
        "garbage": "garbage",
        "empty": "",
        "huge": "x" * 100_000,
    }
    refused = {name: reason(tokens, token) for name, token in bad.items()}
    assert refused == dict.fromkeys(bad, "TOKEN_INVALID")


def _hmac(claims: dict[str, object], secret: bytes) -> str:
    """Signs as an attacker would who hopes that the algorithm is taken from the token; PyJWT itself refuses to."""

    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    text = f"{encode(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{encode(json.dumps(claims).encode())}"
    return f"{text}.{encode(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def test_fingerprints_are_keyed_and_keep_parts_apart(tokens: Tokens, clock: FakeClock) -> None:
    assert tokens.fingerprint("a", "b") == tokens.fingerprint("a", "b")
    assert tokens.fingerprint("a", "b") != tokens.fingerprint("ab", "")
    other = Tokens(Ed25519PrivateKey.generate(), clock, SystemIds())
    assert tokens.fingerprint("a") != other.fingerprint("a")


def test_the_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "signing.pem"
    first = load_signing_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_signing_key(path).private_bytes_raw() == first.private_bytes_raw()
    assert [each.name for each in path.parent.iterdir()] == ["signing.pem"]


def test_a_key_file_that_is_none_is_one_clear_sentence(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("no key")
    with pytest.raises(SigningKeyError, match=r"key\.pem"):
        load_signing_key(path)
    rsa = generate_private_key(65537, 2048)
    path.write_bytes(
        rsa.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(SigningKeyError, match="Ed25519"):
        load_signing_key(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SigningKeyError, match="can't be read"):
        load_signing_key(path)
