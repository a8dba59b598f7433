"""The access option: what is decided by it, and that nothing is served without it."""

from __future__ import annotations

from contextvars import ContextVar

import pytest

from grpc_kit.access import NOBODY, AccessError, Decision, Holder, Situation, decide, read_access
from grpc_kit.interceptors import AuthInterceptor
from grpc_kit.server import GrpcServer, Service
from parley.options.v1 import access_pb2 as pb
from tests.support.services import define_service

ACCOUNT, OPERATOR = Holder(pb.TOKEN_KIND_ACCOUNT), Holder(pb.TOKEN_KIND_OPERATOR)
HOST = Holder(pb.TOKEN_KIND_PARTICIPANT, pb.MEETING_ROLE_HOST)
ATTENDEE = Holder(pb.TOKEN_KIND_PARTICIPANT, pb.MEETING_ROLE_ATTENDEE)
NEWER = Holder(pb.TOKEN_KIND_PARTICIPANT)
CALLER: ContextVar[str] = ContextVar("caller")
WAITING = Situation(waiting=True)
CHAT_OFF = Situation(conditions=frozenset({pb.CONDITION_CHAT_OFF}))

SIGN_IN = pb.Access(token=pb.TOKEN_USE_IGNORED)
LOOK_UP = pb.Access(token=pb.TOKEN_USE_OPTIONAL, kinds=[pb.TOKEN_KIND_ACCOUNT])
LEAVE = pb.Access(token=pb.TOKEN_USE_REQUIRED, kinds=[pb.TOKEN_KIND_PARTICIPANT], while_waiting=True)
END = pb.Access(
    token=pb.TOKEN_USE_REQUIRED,
    kinds=[pb.TOKEN_KIND_ACCOUNT, pb.TOKEN_KIND_PARTICIPANT],
    roles=[pb.MEETING_ROLE_HOST],
)
CHAT = pb.Access(
    token=pb.TOKEN_USE_REQUIRED,
    kinds=[pb.TOKEN_KIND_PARTICIPANT],
    restrictions=[pb.Restriction(condition=pb.CONDITION_CHAT_OFF, exempt_roles=[pb.MEETING_ROLE_HOST])],
)


@pytest.mark.parametrize(
    ("access", "holder", "situation", "decision"),
    [
        (SIGN_IN, NOBODY, Situation(), Decision.ALLOWED),
        (SIGN_IN, ATTENDEE, WAITING, Decision.ALLOWED),
        (LOOK_UP, NOBODY, Situation(), Decision.ALLOWED),
        (LOOK_UP, ACCOUNT, Situation(), Decision.ALLOWED),
        (LOOK_UP, OPERATOR, Situation(), Decision.KIND_NOT_ALLOWED),
        (END, NOBODY, Situation(), Decision.TOKEN_MISSING),
        (END, OPERATOR, Situation(), Decision.KIND_NOT_ALLOWED),
        (END, ACCOUNT, Situation(), Decision.ALLOWED),
        (END, HOST, Situation(), Decision.ALLOWED),
        (END, ATTENDEE, Situation(), Decision.ROLE_NOT_ALLOWED),
        (END, NEWER, Situation(), Decision.ROLE_NOT_ALLOWED),
        (END, ACCOUNT, WAITING, Decision.ALLOWED),
        (END, HOST, WAITING, Decision.WAITING),
        (LEAVE, NEWER, WAITING, Decision.ALLOWED),
        (CHAT, ATTENDEE, Situation(), Decision.ALLOWED),
        (CHAT, ATTENDEE, CHAT_OFF, Decision.RESTRICTED),
        (CHAT, NEWER, CHAT_OFF, Decision.RESTRICTED),
        (CHAT, HOST, CHAT_OFF, Decision.ALLOWED),
        (LEAVE, ATTENDEE, CHAT_OFF, Decision.ALLOWED),
    ],
)
def test_decision(access: pb.Access, holder: Holder, situation: Situation, decision: Decision) -> None:
    assert decide(access, holder, situation) is decision


class Unasked:
    """Knows nobody: nothing here is served."""

    def nobody(self, peer: str) -> str:
        return peer

    def verify(self, token: str, peer: str) -> tuple[str, Holder]:
        del token
        return peer, NOBODY

    async def confirm(self, caller: str) -> None:
        del caller


@pytest.mark.parametrize(
    ("access", "complaint"),
    [
        (None, "has no .parley.options.v1.access."),
        (pb.Access(), "must not be in list"),
        (pb.Access(token=pb.TOKEN_USE_REQUIRED), "kinds are named unless"),
        (pb.Access(token=pb.TOKEN_USE_IGNORED, kinds=[pb.TOKEN_KIND_NODE]), "kinds are named unless"),
        (pb.Access(token=pb.TOKEN_USE_REQUIRED, kinds=[99]), "must be one of the defined enum values"),  # type: ignore[list-item]
        (
            pb.Access(token=pb.TOKEN_USE_REQUIRED, kinds=[pb.TOKEN_KIND_NODE], roles=[pb.MEETING_ROLE_HOST]),
            "roles, and a right in the waiting room, are of participants",
        ),
    ],
)
def test_a_server_does_not_start_when_an_rpc_does_not_say_who_may_call_it(
    access: pb.Access | None, complaint: str
) -> None:
    good = pb.Access(token=pb.TOKEN_USE_REQUIRED, kinds=[pb.TOKEN_KIND_NODE])
    service = define_service({"Good": good, "Bad": access})
    with pytest.raises(AccessError, match=complaint) as raised:
        GrpcServer([Service(service, lambda _server: None)], interceptors=[AuthInterceptor(Unasked(), CALLER)])
    assert f"{service}.Bad" in str(raised.value)


def test_services_of_grpc_itself_need_no_option() -> None:
    assert read_access(["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]) == {}
