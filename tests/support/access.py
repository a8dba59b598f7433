"""All RPCs of the contracts, and the table of who may call them that stands in `tests/contract/access_matrix.txt`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc import aio

from grpc_kit.access import Decision, Holder, Situation, decide
from grpc_kit.errors import read_error
from parley.options.v1.access_pb2 import Access, Condition, MeetingRole, TokenKind

ROOT: Final = Path(__file__).resolve().parents[2]
MATRIX: Final = ROOT / "tests" / "contract" / "access_matrix.txt"
_GARBAGE: Final = b"\xff\xff\xff"
KINDS: Final = TokenKind.values()
ROLES: Final = MeetingRole.values()
SITUATIONS: Final[Mapping[str, Situation]] = {
    "ordinary": Situation(),
    "waiting": Situation(waiting=True),
    **{
        Condition.Name(condition).removeprefix("CONDITION_").lower(): Situation(conditions=frozenset({condition}))
        for condition in Condition.values()
        if condition
    },
}


def methods() -> Mapping[str, MethodDescriptor]:
    """Every RPC of the contracts by its path, `/parley.meeting.v1.MeetingService/GetMeeting`."""
    found: dict[str, MethodDescriptor] = {}
    for file in sorted((ROOT / "proto").rglob("*.proto")):
        module = importlib.import_module(".".join(file.relative_to(ROOT / "proto").with_suffix("").parts) + "_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            found |= {f"/{service.full_name}/{method.name}": method for method in service.methods}
    return found


def kind_name(kind: TokenKind.ValueType) -> str:
    return TokenKind.Name(kind).removeprefix("TOKEN_KIND_").lower() if kind else "nobody"


def role_name(role: MeetingRole.ValueType) -> str:
    return MeetingRole.Name(role).removeprefix("MEETING_ROLE_").lower() if role else "another"


async def reason_of_garbage(channel: aio.Channel, path: str, token: str) -> str:
    """What an RPC answers to bytes that are no message: INVALID_ARGUMENT to those who may call it."""
    method = methods()[path]
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    open_call: Callable[..., Any] = getattr(channel, kind)(path, _same, _same)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    request = iter([_GARBAGE]) if method.client_streaming else _GARBAGE
    call = open_call(request, metadata=metadata, timeout=10)
    with pytest.raises(aio.AioRpcError) as raised:
        await (call.read() if method.server_streaming else call)
    return read_error(raised.value).reason


def _same(data: bytes) -> bytes:
    return data


def matrix(access: Mapping[str, Access]) -> str:
    """Who may call what, as the table says it: a line for kinds of token that are treated alike.

    A cell names the roles that may call in a situation: `all`, or `-` for none.
    """
    lines = [_line("RPC", "token", *SITUATIONS, "audited")]
    service = ""
    for path, one in access.items():
        if path.split("/")[1] != service:
            service = path.split("/")[1]
            lines += ["", service]
        groups: dict[tuple[str, ...], list[str]] = {}
        for kind in KINDS:
            cells = tuple(_cell(one, kind, situation) for situation in SITUATIONS.values())
            groups.setdefault(cells, []).append(kind_name(kind))
        for cells, kinds in groups.items():
            if set(cells) != {"-"}:
                who = "anybody" if len(kinds) == len(KINDS) else ", ".join(kinds)
                lines.append(_line(path.split("/")[2], who, *cells, "yes" if one.audited else "-"))
    return "\n".join(lines) + "\n"


def _line(rpc: str, who: str, *cells: str) -> str:
    return f"  {rpc:<24}{who:<54}{''.join(f'{cell:<18}' for cell in cells)}".rstrip()


def _cell(access: Access, kind: TokenKind.ValueType, situation: Situation) -> str:
    allowed = [role for role in ROLES if decide(access, Holder(kind, role), situation) is Decision.ALLOWED]
    if len(allowed) == len(ROLES):
        return "all"
    return ",".join(role_name(role) for role in allowed) or "-"


def expected() -> Mapping[str, Mapping[str, str]]:
    """What the table says for the ordinary situation: by path and kind of token, the roles that may call."""
    found: dict[str, dict[str, str]] = {}
    service = ""
    for line in MATRIX.read_text().splitlines()[1:]:
        if line.startswith("  "):
            name, who, cell, *_ = re.split(r" {2,}", line.strip())
            kinds = [kind_name(kind) for kind in KINDS] if who == "anybody" else who.split(", ")
            found.setdefault(f"/{service}/{name}", {}).update(dict.fromkeys(kinds, cell))
        elif line:
            service = line
    return found
