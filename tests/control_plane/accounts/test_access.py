"""Who may call what on a running control plane, against the table of the contracts' options."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

import pytest

from control_plane.accounts.tokens import Tokens, load_signing_key
from control_plane.kernel.ids import SystemIds
from control_plane.kernel.roles import ParticipantRole
from parley.identity.v1 import identity_service_pb2 as identity
from tests.support.access import expected, methods, reason_of_garbage
from tests.support.control_plane import NODE_TOKEN, OPERATOR_TOKEN, Running

SERVED = [path for path in methods() if not path.startswith("/parley.sfu.")]


async def tokens_of(plane: Running) -> Mapping[str, str]:
    """A good token of each kind, and of each role in a meeting."""
    account = (await plane.sign_up()).credentials.access_token
    meeting = await plane.create(account, passcode="1234")
    guest = await plane.accounts.CreateGuestSession(identity.CreateGuestSessionRequest())
    visitor = await plane.accounts.CreateGuestSession(
        identity.CreateGuestSessionRequest(meeting=meeting.name, passcode="1234")
    )
    signer = Tokens(load_signing_key(plane.settings.signing_key_file), plane.clock, SystemIds())
    number = meeting.name.removeprefix("meetings/")
    return {
        "nobody": "",
        "account": account,
        "guest": guest.credentials.access_token,
        "meeting_guest": visitor.credentials.access_token,
        "operator": OPERATOR_TOKEN,
        "node": NODE_TOKEN,
        **{f"participant {role.value}": signer.issue(number, str(uuid4()), role).text for role in ParticipantRole},
    }


@pytest.fixture(scope="module")
async def tokens(plane: Running) -> Mapping[str, str]:
    return await tokens_of(plane)


@pytest.mark.parametrize("path", SERVED)
async def test_an_rpc_takes_whom_the_table_names_before_it_looks_at_the_request(
    plane: Running, tokens: Mapping[str, str], path: str
) -> None:
    """Who may call hears that the bytes are no message; who may not, hears that and nothing else. Nothing is done."""
    row = expected()[path]
    for holder, token in tokens.items():
        kind, _, role = holder.partition(" ")
        if kind not in row:
            reason = "TOKEN_KIND_NOT_ALLOWED" if token else "TOKEN_MISSING"
        elif role and row[kind] != "all" and role not in row[kind].split(","):
            reason = "PERMISSION_DENIED"
        else:
            reason = "INVALID_ARGUMENT"
        assert await reason_of_garbage(plane.channel, path, token) == reason, holder
