"""Bad requests about accounts, sign-in and guests."""

from grpc import StatusCode

from parley.identity.v1 import identity_service_pb2 as identity
from tests.support.hostile import NOBODY, PASSCODE, PASSWORD, Request, World


def _sign_up(**fields: str) -> identity.SignUpRequest:
    good = {"email": "new@example.com", "password": PASSWORD, "display_name": "New"}
    return identity.SignUpRequest(**{**good, **fields})


def _guest(world: World, meeting: str, passcode: str = PASSCODE) -> identity.CreateGuestSessionRequest:
    return identity.CreateGuestSessionRequest(meeting=world.meetings[meeting].name, passcode=passcode)


def _nobody(_: World) -> None:
    return None


_BAD, _UNKNOWN = StatusCode.INVALID_ARGUMENT, StatusCode.UNAUTHENTICATED
_SIGN_UP = "IdentityService.SignUp"
_ME = "IdentityService.GetCurrentUser"
_GUEST = "IdentityService.CreateGuestSession"

_BAD_NAMES = {
    "of 101 characters": "x" * 101,
    "of spaces": "   ",
    "of a zero-width space": "\u200b",
    "that overrides direction": "Bob\u202egpj.exe",
    "that isolates direction": "\u2066Bob\u2069",
    "with a line break": "Bob\nHost",
    "with a NUL": "Bob\0",
    "that is empty": "",
}

REQUESTS = [
    Request("an e-mail address that is none", _SIGN_UP, lambda _: _sign_up(email="not an address"), _BAD,
            "INVALID_ARGUMENT", "email", _nobody),
    Request("an e-mail address of 300 characters", _SIGN_UP, lambda _: _sign_up(email="x" * 290 + "@ex.ample"), _BAD,
            "INVALID_ARGUMENT", "email", _nobody),
    Request("a short password", _SIGN_UP, lambda _: _sign_up(password="short"), _BAD,
            "INVALID_ARGUMENT", "password", _nobody),
    Request("a password of a megabyte", _SIGN_UP, lambda _: _sign_up(password="x" * 1_000_000), _BAD,
            "INVALID_ARGUMENT", "password", _nobody, only=("grpc", "grpc-web")),
    *(
        Request(f"a name {what}", _SIGN_UP, lambda _, name=name: _sign_up(display_name=name), _BAD,  # type: ignore[misc]
                "INVALID_ARGUMENT", "display_name", _nobody)
        for what, name in _BAD_NAMES.items()
    ),
    Request("a request id that is no UUID", _SIGN_UP, lambda _: _sign_up(request_id="1"), _BAD,
            "INVALID_ARGUMENT", "request_id", _nobody),
    Request("an address that is taken", _SIGN_UP, lambda world: _sign_up(email=world.host.email),
            StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN", token=_nobody),
    Request("an address that is taken, in capitals", _SIGN_UP, lambda world: _sign_up(email=world.host.email.upper()),
            StatusCode.ALREADY_EXISTS, "EMAIL_TAKEN", token=_nobody),
    Request("a wrong password", "IdentityService.SignIn",
            lambda world: identity.SignInRequest(email=world.host.email, password="wrong password"), _UNKNOWN,
            "CREDENTIALS_INVALID", token=_nobody),
    Request("an unknown account", "IdentityService.SignIn",
            lambda _: identity.SignInRequest(email="nobody@example.com", password=PASSWORD), _UNKNOWN,
            "CREDENTIALS_INVALID", token=_nobody),
    Request("an SQL injection as address", "IdentityService.SignIn",
            lambda _: identity.SignInRequest(email="' or 1=1 --", password=PASSWORD), _UNKNOWN,
            "CREDENTIALS_INVALID", token=_nobody),
    Request("a sign-in without a password", "IdentityService.SignIn",
            lambda world: identity.SignInRequest(email=world.host.email), _BAD, "INVALID_ARGUMENT", "password",
            _nobody),
    Request("a made-up refresh token", "IdentityService.RefreshCredentials",
            lambda _: identity.RefreshCredentialsRequest(refresh_token="made-up"), _UNKNOWN, "TOKEN_INVALID",
            token=_nobody),
    Request("an access token as refresh token", "IdentityService.RefreshCredentials",
            lambda world: identity.RefreshCredentialsRequest(refresh_token=world.host.token[:512]), _UNKNOWN,
            "TOKEN_INVALID", token=_nobody),
    Request("a refresh token of 513 characters", "IdentityService.RefreshCredentials",
            lambda _: identity.RefreshCredentialsRequest(refresh_token="x" * 513), _BAD,
            "INVALID_ARGUMENT", "refresh_token", _nobody),
    Request("no token", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "TOKEN_MISSING", token=_nobody),
    Request("a token of garbage", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "TOKEN_INVALID",
            token=lambda _: "garbage"),
    Request("a foreign deployment's token", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "TOKEN_INVALID",
            token=lambda world: world.tokens["forged"]),
    Request("an unsigned token", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "TOKEN_INVALID",
            token=lambda world: world.tokens["unsigned"]),
    Request("an expired token", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "TOKEN_EXPIRED",
            token=lambda world: world.tokens["expired"]),
    Request("a revoked session's token", _ME, lambda _: identity.GetCurrentUserRequest(), _UNKNOWN, "SESSION_REVOKED",
            token=lambda world: world.tokens["revoked"]),
    Request("a participant's token on an account's call", _ME, lambda _: identity.GetCurrentUserRequest(),
            StatusCode.PERMISSION_DENIED, "TOKEN_KIND_NOT_ALLOWED", token=lambda world: world.people["guest"].token),
    Request("the operator's token on an account's call", _ME, lambda _: identity.GetCurrentUserRequest(),
            StatusCode.PERMISSION_DENIED, "TOKEN_KIND_NOT_ALLOWED", token=lambda world: world.operator_token),
    Request("somebody else's session", "IdentityService.RevokeUserSession",
            lambda world: identity.RevokeUserSessionRequest(name=world.other.session), StatusCode.PERMISSION_DENIED,
            "PERMISSION_DENIED"),
    Request("an unknown session", "IdentityService.RevokeUserSession",
            lambda world: identity.RevokeUserSessionRequest(name=f"{world.host.name}/sessions/{NOBODY}"),
            StatusCode.NOT_FOUND, "SESSION_NOT_FOUND"),
    Request("a session name out of shape", "IdentityService.RevokeUserSession",
            lambda _: identity.RevokeUserSessionRequest(name="users/me/sessions/1"), _BAD, "INVALID_ARGUMENT", "name"),
    Request("a negative page of sessions", "IdentityService.ListUserSessions",
            lambda _: identity.ListUserSessionsRequest(page_size=-1), _BAD, "INVALID_ARGUMENT", "page_size"),
    Request("a guest of an unknown meeting", _GUEST,
            lambda _: identity.CreateGuestSessionRequest(meeting="meetings/10000000000", passcode=PASSCODE),
            StatusCode.NOT_FOUND, "MEETING_NOT_FOUND", token=_nobody),
    Request("a guest with a wrong passcode", _GUEST, lambda world: _guest(world, "planned", "000000"),
            StatusCode.PERMISSION_DENIED, "PASSCODE_WRONG", token=_nobody),
    Request("a guest of an ended meeting", _GUEST, lambda world: _guest(world, "ended"),
            StatusCode.FAILED_PRECONDITION, "MEETING_ENDED", token=_nobody),
    Request("a guest where guests are not allowed", _GUEST, lambda world: _guest(world, "members"),
            StatusCode.PERMISSION_DENIED, "GUESTS_NOT_ALLOWED", token=_nobody),
    Request("a guest of a meeting name out of shape", _GUEST,
            lambda _: identity.CreateGuestSessionRequest(meeting="meetings/../users"), _BAD,
            "INVALID_ARGUMENT", "meeting", _nobody),
    Request("a guest with a passcode of 33 characters", _GUEST, lambda world: _guest(world, "planned", "x" * 33), _BAD,
            "INVALID_ARGUMENT", "passcode", _nobody),
]  # fmt: skip
