from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import psycopg

from parley.identity.v1 import identity_service_pb2 as pb
from parley.identity.v1 import user_pb2
from tests.support.control_plane import PASSWORD, Running, bearer, refusal, running


def sign_in(email: str, password: str = PASSWORD) -> pb.SignInRequest:
    return pb.SignInRequest(email=email, password=password)


async def test_who_signs_up_is_signed_in(plane: Running) -> None:
    answer = await plane.sign_up("Ada")
    assert answer.user.kind == user_pb2.USER_KIND_ACCOUNT
    assert answer.credentials.session.startswith(f"{answer.user.name}/sessions/")
    me = await plane.accounts.GetCurrentUser(
        pb.GetCurrentUserRequest(), metadata=bearer(answer.credentials.access_token)
    )
    assert me.user == answer.user


async def test_an_address_is_taken_in_any_case(plane: Running) -> None:
    taken = (await plane.sign_up()).user.email
    error = await refusal(
        plane.accounts.SignUp(pb.SignUpRequest(email=taken.upper(), password=PASSWORD, display_name="Eve"))
    )
    assert (error.code, error.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN")


async def test_a_sign_up_is_done_once_for_a_request_id(plane: Running) -> None:
    request = pb.SignUpRequest(
        email=f"{uuid4()}@example.org", password=PASSWORD, display_name="Ada", request_id=str(uuid4())
    )
    first, second = await asyncio.gather(plane.accounts.SignUp(request), plane.accounts.SignUp(request))
    assert first.user.name == second.user.name
    request.password += "x"
    assert (await refusal(plane.accounts.SignUp(request))).reason == "REQUEST_ID_REUSED"


async def test_nobody_signs_up_where_the_operator_says_so(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with running(database_url, redis_url, tmp_path, sign_up=False, guest_hosts=False) as plane:
        error = await refusal(plane.sign_up())
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SIGN_UP_DISABLED")
        error = await refusal(plane.accounts.CreateGuestSession(pb.CreateGuestSessionRequest()))
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "GUESTS_NOT_ALLOWED")


async def test_sign_in_does_not_say_what_was_wrong(plane: Running) -> None:
    email = (await plane.sign_up()).user.email
    assert (await plane.accounts.SignIn(sign_in(email.upper()))).user.email == email
    wrong = await refusal(plane.accounts.SignIn(sign_in(email, "wrong password")))
    unknown = await refusal(plane.accounts.SignIn(sign_in("nobody@example.org")))
    assert wrong == unknown
    assert (wrong.code, wrong.reason) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_INVALID")
    assert (await refusal(plane.accounts.SignIn(sign_in("\0")))).reason == "CREDENTIALS_INVALID"


async def test_passwords_of_an_address_can_not_be_tried_for_ever(plane: Running) -> None:
    email = (await plane.sign_up()).user.email
    for _ in range(10):
        assert (await refusal(plane.accounts.SignIn(sign_in(email, "wrong")))).reason == "CREDENTIALS_INVALID"
    error = await refusal(plane.accounts.SignIn(sign_in(email)))
    assert error.reason == "RATE_LIMITED"
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 900


async def test_signing_in_rightly_costs_no_attempt(plane: Running) -> None:
    email = (await plane.sign_up()).user.email
    for _ in range(11):
        await plane.accounts.SignIn(sign_in(email))


async def refresh(plane: Running, token: str) -> pb.RefreshCredentialsResponse:
    return await plane.accounts.RefreshCredentials(pb.RefreshCredentialsRequest(refresh_token=token))


async def works(plane: Running, access_token: str) -> bool:
    call = plane.accounts.GetCurrentUser(pb.GetCurrentUserRequest(), metadata=bearer(access_token))
    try:
        await call
    except grpc.aio.AioRpcError:
        return False
    return True


async def test_a_refresh_token_is_spent_once_and_a_retry_is_forgiven(plane: Running) -> None:
    first = (await plane.sign_up()).credentials
    second = (await refresh(plane, first.refresh_token)).credentials
    retried = (await refresh(plane, first.refresh_token)).credentials
    assert len({first.refresh_token, second.refresh_token, retried.refresh_token}) == 3
    assert second.session == retried.session == first.session
    third = (await refresh(plane, retried.refresh_token)).credentials
    assert await works(plane, third.access_token)


async def test_a_refresh_token_that_comes_again_later_ends_the_session(plane: Running) -> None:
    first = (await plane.sign_up()).credentials
    second = (await refresh(plane, first.refresh_token)).credentials
    plane.clock.advance(timedelta(seconds=11))
    assert (await refusal(refresh(plane, first.refresh_token))).reason == "SESSION_REVOKED"
    assert (await refusal(refresh(plane, second.refresh_token))).reason == "SESSION_REVOKED"
    assert not await works(plane, second.access_token)


async def test_two_refreshes_at_a_time_are_both_answered(plane: Running) -> None:
    first = (await plane.sign_up()).credentials
    one, two = await asyncio.gather(refresh(plane, first.refresh_token), refresh(plane, first.refresh_token))
    assert await works(plane, one.credentials.access_token)
    assert await works(plane, two.credentials.access_token)


async def test_a_session_ends_thirty_days_after_its_last_use(plane: Running) -> None:
    first = (await plane.sign_up()).credentials
    plane.clock.advance(timedelta(days=29))
    second = (await refresh(plane, first.refresh_token)).credentials
    plane.clock.advance(timedelta(days=29))
    third = (await refresh(plane, second.refresh_token)).credentials
    plane.clock.advance(timedelta(days=31))
    assert (await refusal(refresh(plane, third.refresh_token))).reason == "TOKEN_EXPIRED"


async def test_refresh_tokens_and_passwords_are_not_kept_as_they_are(plane: Running) -> None:
    answer = await plane.sign_up()
    url = plane.settings.database_url.get_secret_value().replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        dump = "".join(str(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables)  # noqa: S608
    assert "$argon2id$" in dump
    for secret in (PASSWORD, answer.credentials.refresh_token, answer.credentials.access_token):
        assert secret not in dump
        assert secret.encode().hex() not in dump


async def test_a_revoked_session_stops_at_once_and_others_go_on(plane: Running) -> None:
    here = await plane.sign_up()
    there = await plane.accounts.SignIn(sign_in(here.user.email))
    metadata = bearer(here.credentials.access_token)
    listed = await plane.accounts.ListUserSessions(pb.ListUserSessionsRequest(), metadata=metadata)
    assert [(one.name, one.current) for one in listed.sessions] == [
        (there.credentials.session, False),
        (here.credentials.session, True),
    ]
    await plane.accounts.RevokeUserSession(
        pb.RevokeUserSessionRequest(name=there.credentials.session), metadata=metadata
    )
    assert not await works(plane, there.credentials.access_token)
    assert await works(plane, here.credentials.access_token)
    assert (await refusal(refresh(plane, there.credentials.refresh_token))).reason == "SESSION_REVOKED"
    left = await plane.accounts.ListUserSessions(pb.ListUserSessionsRequest(), metadata=metadata)
    assert [one.name for one in left.sessions] == [here.credentials.session]


async def test_sessions_come_in_pages(plane: Running) -> None:
    here = await plane.sign_up()
    for _ in range(4):
        await plane.accounts.SignIn(sign_in(here.user.email))
    metadata, seen, token = bearer(here.credentials.access_token), [], ""
    while True:
        page = await plane.accounts.ListUserSessions(
            pb.ListUserSessionsRequest(page_size=2, page_token=token), metadata=metadata
        )
        seen += [one.name for one in page.sessions]
        token = page.next_page_token
        if not token:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen[-1] == here.credentials.session


async def test_the_session_of_another_user_is_not_yours_to_end(plane: Running) -> None:
    ada, bob = await plane.sign_up("Ada"), await plane.sign_up("Bob")
    metadata = bearer(ada.credentials.access_token)
    request = pb.RevokeUserSessionRequest(name=bob.credentials.session)
    error = await refusal(plane.accounts.RevokeUserSession(request, metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    # Somebody else's session under one's own name.
    name = f"{ada.user.name}/sessions/{bob.credentials.session.split('/')[-1]}"
    error = await refusal(plane.accounts.RevokeUserSession(pb.RevokeUserSessionRequest(name=name), metadata=metadata))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")
    assert await works(plane, bob.credentials.access_token)
