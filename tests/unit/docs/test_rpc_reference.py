"""The reference pages say what the contracts say; `make check` compares them with what would be written."""

import importlib.util
import sys
from pathlib import Path

import pytest
from buf.validate import validate_pb2

from grpc_kit.access import read_access
from parley.options.v1 import access_pb2 as pb
from tests.support.access import methods

_SCRIPT = Path(__file__).parents[3] / "docs" / "rpc_reference.py"
_SPEC = importlib.util.spec_from_file_location("rpc_reference", _SCRIPT)
assert _SPEC
assert _SPEC.loader
rpc_reference = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = rpc_reference
_SPEC.loader.exec_module(rpc_reference)

METHODS = methods()


@pytest.mark.parametrize("path", METHODS)
def test_each_rpc_has_its_section_with_who_may_call_it(path: str) -> None:
    """A new service's page that nobody has added to the repository fails here."""
    _, service, name = path.split("/")
    page = (rpc_reference.FOLDER / f"{service}.md").read_text()
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert f"- **Who may call:** {rpc_reference.who(read_access([service])[path])}\n" in section
    assert "**Request**" in section
    assert "**Response**" in section
    assert service in (rpc_reference.FOLDER / "README.md").read_text()


def test_no_page_is_left_over() -> None:
    services = {f"{path.split('/')[1]}.md" for path in METHODS}
    assert {page.name for page in rpc_reference.FOLDER.iterdir()} == {"README.md", *services}


@pytest.mark.parametrize(
    ("access", "words"),
    [
        (pb.Access(token=pb.TOKEN_USE_IGNORED), "Anybody; a token is not looked at."),
        (
            pb.Access(token=pb.TOKEN_USE_OPTIONAL, kinds=[pb.TOKEN_KIND_ACCOUNT, pb.TOKEN_KIND_GUEST]),
            "Anybody; a token, if one is sent, is of users with an account and guest users.",
        ),
        (
            pb.Access(
                token=pb.TOKEN_USE_REQUIRED,
                kinds=[pb.TOKEN_KIND_PARTICIPANT],
                roles=[pb.MEETING_ROLE_HOST, pb.MEETING_ROLE_CO_HOST],
                restrictions=[
                    pb.Restriction(condition=pb.CONDITION_CHAT_OFF, exempt_roles=[pb.MEETING_ROLE_HOST]),
                    pb.Restriction(condition=pb.CONDITION_IN_BREAKOUT),
                ],
                audited=True,
            ),
            (
                "Participants who are hosts or co-hosts. Not from the waiting room. Not while chat is off, hosts"
                " excepted. Not in a breakout room. Calls are written to the audit log."
            ),
        ),
    ],
)
def test_who_may_call_in_words(access: pb.Access, words: str) -> None:
    assert rpc_reference.who(access) == words


def test_every_kind_and_condition_has_words() -> None:
    assert rpc_reference._KINDS.keys() == set(pb.TokenKind.values()) - {0}
    assert rpc_reference._CONDITIONS.keys() == set(pb.Condition.values()) - {0}


def test_limits_in_words() -> None:
    rules = validate_pb2.FieldRules()
    rules.required = True
    rules.repeated.min_items, rules.repeated.max_items = 1, 49
    rules.repeated.items.string.max_len = 4_096
    rules.repeated.items.string.pattern = "^a$"
    assert list(rpc_reference.limits(rules)) == [
        "required",
        "1 to 49 items",
        "each: at most 4,096 characters",
        "each: `^a$`",
    ]


def test_placeholders_in_comments_are_shown() -> None:
    declared = rpc_reference.Declaration("p", None, {(): " The `<token>` of\n a <host>.\n\n Next.\n"})
    assert declared.comment() == "The `<token>` of a &lt;host>.\n\nNext."
