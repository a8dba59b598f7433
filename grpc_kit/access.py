"""Who may call an RPC: reads `parley.options.v1.access` from the contracts' descriptors, and decides by it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import protovalidate
from google.protobuf import descriptor_pool

from parley.options.v1 import access_pb2
from parley.options.v1.access_pb2 import Access

PUBLIC_SERVICES: Final = frozenset({"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"})
"""Services of gRPC itself: their contracts are not ours, so they carry no option. Anybody may call them."""


class AccessError(Exception):
    """An RPC can't be served, since its contract doesn't say who may call it, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What a token says of who holds it.

    Attributes:
        kind: What kind of token it is; UNSPECIFIED: there is none.
        role: Their role in the meeting; UNSPECIFIED: none, or one of a newer version.
    """

    kind: access_pb2.TokenKind.ValueType = access_pb2.TOKEN_KIND_UNSPECIFIED
    role: access_pb2.MeetingRole.ValueType = access_pb2.MEETING_ROLE_UNSPECIFIED


NOBODY: Final = Holder()


@dataclass(frozen=True, slots=True)
class Situation:
    """Where somebody is when they call, and what is set in their meeting. The default is the ordinary one.

    Attributes:
        waiting: Whether they are in the waiting room.
        conditions: What holds that may take rights away.
    """

    waiting: bool = False
    conditions: frozenset[access_pb2.Condition.ValueType] = frozenset()


ORDINARY: Final = Situation()


class Decision(enum.Enum):
    """Whether a call may be made, and if not, why."""

    ALLOWED = "allowed"
    TOKEN_MISSING = "token_missing"  # noqa: S105 - no password
    KIND_NOT_ALLOWED = "kind_not_allowed"
    ROLE_NOT_ALLOWED = "role_not_allowed"
    WAITING = "waiting"
    RESTRICTED = "restricted"


def decide(access: Access, holder: Holder, situation: Situation = ORDINARY) -> Decision:
    """Decides whether a call may be made.

    Args:
        access: Who may call the RPC.
        holder: What the caller's token says, once it is verified; NOBODY: there is no token.
        situation: Where the caller is, and what is set in the meeting.
    """
    if access.token == access_pb2.TOKEN_USE_IGNORED:
        return Decision.ALLOWED
    if holder.kind == access_pb2.TOKEN_KIND_UNSPECIFIED:
        optional = access.token == access_pb2.TOKEN_USE_OPTIONAL
        return Decision.ALLOWED if optional else Decision.TOKEN_MISSING
    if holder.kind not in access.kinds:
        return Decision.KIND_NOT_ALLOWED
    if holder.kind == access_pb2.TOKEN_KIND_PARTICIPANT:
        if access.roles and holder.role not in access.roles:
            return Decision.ROLE_NOT_ALLOWED
        if situation.waiting and not access.while_waiting:
            return Decision.WAITING
    restricted = any(
        restriction.condition in situation.conditions and holder.role not in restriction.exempt_roles
        for restriction in access.restrictions
    )
    return Decision.RESTRICTED if restricted else Decision.ALLOWED


def read_access(services: Iterable[str]) -> Mapping[str, Access]:
    """Returns who may call the RPCs of services, by full method name (`/parley.meeting.v1.MeetingService/GetMeeting`).

    Args:
        services: Full names; their generated modules have been imported.

    Raises:
        AccessError: An RPC has no access option, or one that breaks the option's own rules.
    """
    validator = protovalidate.Validator()
    found = {}
    for service in sorted(set(services) - PUBLIC_SERVICES):
        for method in descriptor_pool.Default().FindServiceByName(service).methods:
            options = method.GetOptions()
            if not options.HasExtension(access_pb2.access):
                raise AccessError(f"{method.full_name} has no (parley.options.v1.access): who may call it?")
            access = options.Extensions[access_pb2.access]
            if violations := validator.collect_violations(access):
                wrong = "; ".join(violation.proto.message for violation in violations)
                raise AccessError(f"(parley.options.v1.access) of {method.full_name}: {wrong}")
            found[f"/{service}/{method.name}"] = access
    return found
