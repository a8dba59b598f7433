"""Errors about who is calling; see `parley.identity.v1.ErrorReason` for what clients do about them."""

from __future__ import annotations

from control_plane.kernel.errors import DomainError, ErrorKind, unauthenticated


def token_invalid() -> DomainError:
    """The token is none of this deployment's, or was changed."""
    return unauthenticated("TOKEN_INVALID", "The token is not valid here.")


def token_expired() -> DomainError:
    """The token's time is over."""
    return unauthenticated("TOKEN_EXPIRED", "The token has expired. Refresh it and call again.")


def session_revoked() -> DomainError:
    """The session was ended."""
    return unauthenticated("SESSION_REVOKED", "The session has been ended. Sign in again.")


def credentials_invalid() -> DomainError:
    """E-mail address or password is wrong; nobody is told which."""
    return unauthenticated("CREDENTIALS_INVALID", "E-mail address or password is wrong.")


def guests_not_allowed() -> DomainError:
    """Guests are not let in."""
    return DomainError(ErrorKind.PERMISSION_DENIED, "GUESTS_NOT_ALLOWED", "Guests are not allowed here. Sign in.")


def email_taken() -> DomainError:
    """There is an account with this address."""
    return DomainError(ErrorKind.ALREADY_EXISTS, "EMAIL_TAKEN", "There is an account with this e-mail address.")


def sign_up_disabled() -> DomainError:
    """Accounts are made by the operator."""
    return DomainError(
        ErrorKind.FAILED_PRECONDITION, "SIGN_UP_DISABLED", "Nobody can sign up by themselves here. Ask the operator."
    )


def session_not_found() -> DomainError:
    """There is no such session of the caller."""
    return DomainError(ErrorKind.NOT_FOUND, "SESSION_NOT_FOUND", "There is no such session.")
