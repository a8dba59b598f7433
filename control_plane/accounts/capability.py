"""Accounts, guests and their sign-ins; who calls at all is found out here."""

from __future__ import annotations

from control_plane.accounts.authenticator import TokenAuthenticator
from control_plane.accounts.cleaning import RULES
from control_plane.accounts.passwords import Passwords
from control_plane.accounts.rpc import AccountServicer
from control_plane.accounts.rules import Rules
from control_plane.accounts.service import Identity
from control_plane.accounts.store import AccountStore
from control_plane.accounts.tokens import ParticipantTokens, Tokens, derive_key, load_signing_key
from control_plane.kernel.caller import CallerKind
from control_plane.kernel.clock import Clock
from control_plane.kernel.ids import IdFactory
from control_plane.platform.capability import Capability, House, Part
from control_plane.platform.grpc.page_tokens import PageTokens
from control_plane.platform.postgres import cleaning
from control_plane.platform.postgres.database import Database
from control_plane.platform.redis.attempts import Attempts
from control_plane.settings import ControlPlaneSettings
from grpc_kit.interceptors import Authenticator


def _build(house: House) -> Part:
    house.provide(cleaning.Rules, cleaning.Rules).add(*RULES)
    settings, clock, ids = house.need(ControlPlaneSettings), house.need(Clock), house.need(IdFactory)
    key = load_signing_key(settings.signing_key_file)
    passwords = Passwords()
    tokens = house.provide(Tokens, lambda: Tokens(key, clock, ids))
    house.provide(ParticipantTokens, lambda: tokens)
    page_tokens = house.provide(PageTokens, lambda: PageTokens(derive_key(key, b"parley page tokens")))
    rules = Rules(sign_up=settings.sign_up, guest_hosts=settings.guest_hosts, public_url=settings.public_url)
    identity = house.provide(
        Identity,
        lambda: Identity(
            store=AccountStore(house.need(Database)),
            tokens=tokens,
            passwords=passwords,
            attempts=house.need(Attempts),
            clock=clock,
            ids=ids,
            rules=house.provide(Rules, lambda: rules),
        ),
    )
    secrets = {
        CallerKind.OPERATOR: settings.operator_token.get_secret_value(),
        CallerKind.NODE: settings.node_token.get_secret_value(),
    }
    house.provide(Authenticator, lambda: TokenAuthenticator(tokens, identity.find_sign_in, clock, secrets=secrets))

    async def close() -> None:
        passwords.close()

    return Part(servicers={"parley.identity.v1.IdentityService": AccountServicer(identity, page_tokens)}, close=[close])


CAPABILITY = Capability("accounts", _build)
