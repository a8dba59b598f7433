"""TURN credentials that expire by themselves (draft-uberti-behave-turn-rest, coturn's `use-auth-secret`)."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.media.model import IceServer

LIFETIME: Final = timedelta(hours=12)
"""How long credentials are good for. A relay in use is refreshed with them, so they outlive a long meeting."""


@dataclass(frozen=True, slots=True)
class TurnServers:
    """The TURN servers of a deployment, which share a secret with the control plane.

    Attributes:
        clock: The time.
        uris: `turn:` and `turns:` URIs (RFC 7065) of the servers; none: there are no servers.
        secret: The servers' `static-auth-secret`.
    """

    clock: Clock
    uris: Sequence[str] = ()
    secret: str = field(default="", repr=False)

    def servers(self, participant_id: str) -> tuple[IceServer, ...]:
        """Returns the servers with credentials of a participant.

        The name is the time of expiry and the participant, the credential the name's HMAC-SHA-1 with the secret: a
        server checks both without asking anyone.
        """
        if not self.uris:
            return ()
        expiry = int((self.clock.now() + LIFETIME).timestamp())
        username = f"{expiry}:{participant_id}"
        digest = hmac.digest(self.secret.encode(), username.encode(), "sha1")
        return (IceServer(tuple(self.uris), username, base64.b64encode(digest).decode()),)
