"""Page tokens: opaque to clients, and good only for the list and the caller that they were made for."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from datetime import UTC, datetime

from control_plane.kernel.paging import Position, page_token_invalid

DEFAULT_PAGE_SIZE = 50
_TAG_BYTES = 16


def token_after(name: str) -> str:
    """Returns the token of the page after a resource, for lists in the order of names that operators alone see."""
    return base64.urlsafe_b64encode(name.encode()).decode()


def read_token_after(token: str, collection: str) -> str | None:
    """Returns the identifier that a token stands for, empty for an empty token; None: it is of no such collection."""
    if not token:
        return ""
    try:
        name = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        return None
    return name.removeprefix(collection) if name.startswith(collection) else None


class PageTokens:
    """Makes and reads page tokens."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, position: Position, *scope: str) -> str:
        """Returns the token of the page after a position.

        Args:
            position: The last row of the page before.
            scope: What list it is: its method, its caller, its filters.
        """
        micros = round(position.create_time.timestamp() * 1_000_000)
        payload = json.dumps([micros, position.id], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(payload, scope) + payload).decode().rstrip("=")

    def decode(self, token: str, *scope: str) -> Position | None:
        """Returns the position that a token stands for; None for an empty one, the first page.

        Raises:
            DomainError: PAGE_TOKEN_INVALID.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise page_token_invalid() from error
        tag, payload = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(payload, scope)):
            raise page_token_invalid()
        try:
            # Ours, since the tag is right; but perhaps a newer version's, of another form.
            micros, row_id = json.loads(payload)
            seconds, rest = divmod(micros, 1_000_000)
            return Position(datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), row_id)
        except (ValueError, TypeError, OverflowError) as error:
            raise page_token_invalid() from error

    def _tag(self, payload: bytes, scope: tuple[str, ...]) -> bytes:
        return hmac.digest(self._key, json.dumps(scope).encode() + b"\0" + payload, "sha256")[:_TAG_BYTES]
