"""Decides by method and token whether somebody may call at all; use cases decide what they may do to a resource."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import replace

from control_plane.application.callers import Caller, CallerKind
from control_plane.application.ports import Store, Tokens
from control_plane.domain.clock import Clock
from control_plane.domain.errors import permission_denied
from control_plane.domain.identity_errors import (
    session_revoked,
    token_expired,
    token_kind_not_allowed,
    token_missing,
)
from control_plane.rpc.access import ACCESS, Access, TokenUse

CURRENT_CALLER: ContextVar[Caller] = ContextVar("parley_caller")


def current_caller() -> Caller:
    """Returns who makes the call that is being answered."""
    return CURRENT_CALLER.get()


class TableAuthenticator:
    """Looks up the method's row, verifies the token, and asks whether a user's session still lives.

    The session is looked up at each call: a cache would let revoked sessions live on for a while, and these calls need
    the store anyway.
    """

    def __init__(
        self,
        tokens: Tokens,
        store: Store,
        clock: Clock,
        *,
        secrets: Mapping[CallerKind, str],
        table: Mapping[str, Access] = ACCESS,
    ) -> None:
        """Set it up.

        Args:
            tokens: Verifies signed tokens.
            store: Knows users' sessions.
            clock: The clock.
            secrets: The tokens of operators and nodes; an empty one lets nobody in.
            table: Rows by method.
        """
        self._tokens = tokens
        self._store = store
        self._clock = clock
        self._secrets = {kind: secret.encode() for kind, secret in secrets.items() if secret}
        self._table = table

    async def authenticate(self, method: str, token: str | None, peer: str) -> Caller:
        """Returns who calls.

        Args:
            method: Full method name.
            token: Bearer token; None: none.
            peer: Where the call came from.

        Returns:
            The caller.

        Raises:
            DomainError: TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED, SESSION_REVOKED, TOKEN_KIND_NOT_ALLOWED,
                STORE_UNAVAILABLE.
        """
        access = self._table.get(method)
        if access is None:
            raise permission_denied()
        if access.token is TokenUse.IGNORED or (token is None and access.token is TokenUse.OPTIONAL):
            return Caller(CallerKind.NOBODY, address=peer)
        if token is None:
            raise token_missing()
        caller = self._secret_holder(token) or self._tokens.verify(token)
        if caller.kind not in access.kinds:
            raise token_kind_not_allowed()
        if caller.session_id:
            await self._check_session(caller)
        return replace(caller, address=peer)

    def _secret_holder(self, token: str) -> Caller | None:
        for kind, secret in self._secrets.items():
            if hmac.compare_digest(secret, token.encode()):
                return Caller(kind, kind.value)
        return None

    async def _check_session(self, caller: Caller) -> None:
        async with self._store.read() as unit:
            session = await unit.sessions.get(caller.session_id)
        if session is None or session.user_id != caller.user_id or session.revoke_time is not None:
            raise session_revoked()
        if session.expire_time <= self._clock.now():
            raise token_expired()
