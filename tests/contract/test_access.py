"""Who may call what: the contracts' options against a table that people read in a review."""

from __future__ import annotations

from itertools import combinations

from grpc_kit.access import Decision, Holder, Situation, decide, read_access
from parley.meeting.v1.participant_pb2 import ParticipantRole
from parley.options.v1.access_pb2 import MeetingRole
from tests.support.access import KINDS, MATRIX, ROLES, SITUATIONS, matrix, methods

ACCESS = read_access({path.split("/")[1] for path in methods()})


def test_each_rpc_takes_whom_the_table_says_and_nobody_else() -> None:
    """RPC x kind of token x role x situation. A change of a right is a change of `access_matrix.txt`."""
    assert ACCESS.keys() == methods().keys()
    assert len(ACCESS) > 40
    assert matrix(ACCESS) == MATRIX.read_text()


def test_what_is_refused_in_one_situation_is_refused_in_several_at_once() -> None:
    """The table has a column for each situation; this covers all their combinations."""
    named = [situation for name, situation in SITUATIONS.items() if name != "ordinary"]
    for access in ACCESS.values():
        for holder in (Holder(kind, role) for kind in KINDS for role in ROLES):
            alone = [decide(access, holder, situation) is Decision.ALLOWED for situation in named]
            ordinary = decide(access, holder) is Decision.ALLOWED
            for count in range(2, len(named) + 1):
                for chosen in combinations(range(len(named)), count):
                    together = Situation(
                        waiting=any(named[one].waiting for one in chosen),
                        conditions=frozenset().union(*(named[one].conditions for one in chosen)),
                    )
                    allowed = decide(access, holder, together) is Decision.ALLOWED
                    assert allowed is (ordinary and all(alone[one] for one in chosen))


def test_roles_are_those_of_participants() -> None:
    """The option can't import them: the package that they stand in imports the option."""
    roles = {name.removeprefix("MEETING_ROLE_"): int(number) for name, number in MeetingRole.items()}
    assert roles == {name.removeprefix("PARTICIPANT_ROLE_"): int(number) for name, number in ParticipantRole.items()}
