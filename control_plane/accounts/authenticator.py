"""Knows who holds a token; the contracts say whom an RPC takes, and use cases what they may do to a resource."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from control_plane.accounts.errors import session_revoked, token_expired
from control_plane.accounts.model import SignIn
from control_plane.accounts.tokens import Tokens
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.roles import ParticipantRole
from control_plane.platform.grpc.enums import enum_values
from grpc_kit.access import Holder
from parley.options.v1.access_pb2 import MEETING_ROLE_UNSPECIFIED, MeetingRole, TokenKind

_KINDS: Final[Mapping[CallerKind, TokenKind.ValueType]] = {
    kind: TokenKind.Value(f"TOKEN_KIND_{kind.name}") for kind in CallerKind if kind is not CallerKind.NOBODY
}
_ROLES: Final = enum_values(MeetingRole, ParticipantRole)


def _holder(caller: Caller) -> Holder:
    role = MEETING_ROLE_UNSPECIFIED if caller.role is None else _ROLES[caller.role]
    return Holder(_KINDS[caller.kind], role)


class TokenAuthenticator:
    """Verifies tokens, and asks whether a user's session still lives.

    The session is looked up at each call: a cache would let revoked sessions live on for a while, and these calls need
    the store anyway.
    """

    def __init__(
        self,
        tokens: Tokens,
        find_sign_in: Callable[[str], Awaitable[SignIn | None]],
        clock: Clock,
        *,
        secrets: Mapping[CallerKind, str],
    ) -> None:
        """Set it up.

        Args:
            tokens: Verifies signed tokens.
            find_sign_in: Returns a sign-in by its id.
            clock: The clock.
            secrets: The tokens of operators and nodes; an empty one lets nobody in.
        """
        self._tokens = tokens
        self._find_sign_in = find_sign_in
        self._clock = clock
        self._secrets = {kind: secret.encode() for kind, secret in secrets.items() if secret}

    def nobody(self, peer: str) -> Caller:
        """Returns the caller of a call without a token."""
        return Caller(CallerKind.NOBODY, address=peer)

    def verify(self, token: str, peer: str) -> tuple[Caller, Holder]:
        """Returns who holds a token.

        Args:
            token: Bearer token.
            peer: Where the call came from.

        Returns:
            The caller, and what the contract's access option asks of them.

        Raises:
            DomainError: TOKEN_INVALID, TOKEN_EXPIRED.
        """
        caller = self._secret_holder(token) or self._tokens.verify(token)
        return replace(caller, address=peer), _holder(caller)

    async def confirm(self, caller: Caller) -> None:
        """Asks whether the session of a user's token still lives.

        Raises:
            DomainError: SESSION_REVOKED, TOKEN_EXPIRED, STORE_UNAVAILABLE.
        """
        if not caller.session_id:
            return
        session = await self._find_sign_in(caller.session_id)
        if session is None or session.user_id != caller.user_id or session.revoke_time is not None:
            raise session_revoked()
        if session.expire_time <= self._clock.now():
            raise token_expired()

    def _secret_holder(self, token: str) -> Caller | None:
        for kind, secret in self._secrets.items():
            if hmac.compare_digest(secret, token.encode()):
                return Caller(kind, kind.value)
        return None
