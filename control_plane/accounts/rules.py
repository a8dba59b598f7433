"""What a deployment allows."""

from __future__ import annotations

from dataclasses import dataclass, field

from control_plane.platform.limits import Limit, SecretLimits


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment allows.

    Attributes:
        sign_up: People may make accounts by themselves.
        guest_hosts: Guests may create instant meetings.
        public_url: Beginning of join links, without a slash at the end.
        passcode_limit: Wrong passcodes from one address (IPv6: /64) for one meeting.
        passcode_network_limit: The same for an IPv6 /48.
        passcode_search: Wrong passcodes for one meeting from all addresses together.
        sign_in_limit: Wrong passwords for one e-mail address; apart for each place that has signed in rightly before.
        sign_in_address_limit: Wrong passwords from one network address.
        sign_up_limit: New accounts from one network address, which a whole office may share.
        guest_limit: New guest users from one network address.
    """

    sign_up: bool = True
    guest_hosts: bool = True
    public_url: str = "http://localhost:8080"
    passcode_limit: Limit = field(default=Limit(10, 900))
    passcode_network_limit: Limit = field(default=Limit(40, 900))
    passcode_search: SecretLimits = field(
        default=SecretLimits(
            # 6 digits stand up to both for a day with odds of 1 in 100 (docs/security.md).
            first=Limit(1_000, 4 * 3600),
            again=Limit(100, 2 * 3600),
            memory_seconds=24 * 3600,
            tell_after=50,
            tell_seconds=600,
        )
    )
    sign_in_limit: Limit = field(default=Limit(10, 900))
    sign_in_address_limit: Limit = field(default=Limit(300, 900))
    sign_up_limit: Limit = field(default=Limit(300, 900))
    guest_limit: Limit = field(default=Limit(600, 60))
