"""Between the contracts' messages about users and the model."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.accounts.model import Plan, SignIn, User, UserKind
from control_plane.accounts.service import Credentials
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.times import duration, timestamp
from parley.identity.v1 import session_pb2, user_pb2

Context = aio.ServicerContext[Any, Any]

_KINDS = enum_values(user_pb2.UserKind, UserKind)
_PLANS = enum_values(user_pb2.Plan, Plan)


def user_agent(context: Context) -> str:
    """The User-Agent of the calling program, without what a terminal or a page could be fooled by."""
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    text = metadata.get("x-user-agent") or metadata.get("user-agent") or ""
    return "".join(one for one in text if one.isprintable())


def user_message(user: User) -> user_pb2.User:
    """Returns a user as the user sees themselves."""
    return user_pb2.User(
        name=user.name,
        email=user.email,
        display_name=user.display_name,
        kind=_KINDS[user.kind],
        plan=_PLANS[user.plan],
        time_zone=user.time_zone,
        create_time=timestamp(user.create_time),
    )


def sign_in_message(session: SignIn, *, current: bool) -> session_pb2.UserSession:
    """Returns a sign-in as its user sees it."""
    return session_pb2.UserSession(
        name=session.name,
        user_agent=session.user_agent,
        create_time=timestamp(session.create_time),
        last_use_time=timestamp(session.last_use_time),
        expire_time=timestamp(session.expire_time),
        current=current,
    )


def credentials_message(credentials: Credentials) -> session_pb2.Credentials:
    """Returns what a client keeps after a sign-in."""
    return session_pb2.Credentials(
        access_token=credentials.access.text,
        access_token_expire_time=timestamp(credentials.access.expire_time),
        refresh_token=credentials.refresh_token,
        session="" if credentials.session is None else credentials.session.name,
        access_token_lifetime=duration(credentials.access.lifetime.total_seconds()),
    )
