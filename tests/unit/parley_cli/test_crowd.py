"""What the measurement of a crowd finds in the watchers' logs."""

from collections.abc import Sequence

import pytest

from parley.meeting.v1 import participant_pb2
from parley.signaling.v1 import event_pb2, signaling_service_pb2
from parley_cli.bench.crowd.log import WatchLog

_JOINING, _CONNECTED = participant_pb2.PARTICIPANT_STATE_JOINING, participant_pb2.PARTICIPANT_STATE_CONNECTED


def _person(name: str, state: participant_pb2.ParticipantState.ValueType = _CONNECTED) -> participant_pb2.Participant:
    return participant_pb2.Participant(name=name, state=state)


def _joined(name: str) -> event_pb2.Event:
    return event_pb2.Event(participant_joined=event_pb2.ParticipantJoined(participant=_person(name, _JOINING)))


def _updated(name: str) -> event_pb2.Event:
    return event_pb2.Event(participant_updated=event_pb2.ParticipantUpdated(participant=_person(name)))


def _left(name: str) -> event_pb2.Event:
    return event_pb2.Event(participant_left=event_pb2.ParticipantLeft(participant=name))


def _private() -> event_pb2.Event:
    return event_pb2.Event(slots_changed=event_pb2.SlotsChanged())


def _log(events: Sequence[event_pb2.Event], *people: participant_pb2.Participant) -> WatchLog:
    log = WatchLog(event_pb2.Snapshot(participants=people))
    log.opened()
    for sequence, event in enumerate(events, start=1):
        log.take(signaling_service_pb2.WatchSessionResponse(sequence=sequence, event=event))
    return log


HISTORY = [_joined("b"), _updated("b"), _joined("c"), _left("b"), _updated("c")]


def _faults(log: WatchLog) -> Sequence[str]:
    reference = _log(HISTORY, _person("a"))
    return log.faults(list(reference.events), reference.present, reference.unconnected)


def test_a_log_that_began_later_and_heard_what_is_its_own_is_whole() -> None:
    log = _log([_private(), *HISTORY[2:]], _person("a"), _person("b"))

    assert _faults(log) == []


def test_a_batch_is_as_good_as_its_events_one_by_one() -> None:
    log = WatchLog(event_pb2.Snapshot(participants=[_person("a")]))
    log.opened()
    batch = signaling_service_pb2.EventBatch(events=HISTORY)
    log.take(signaling_service_pb2.WatchSessionResponse(sequence=1, event_batch=batch))

    assert _faults(log) == []


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([HISTORY[2], HISTORY[4]], "other events, or in another order"),
        ([HISTORY[3], HISTORY[2], HISTORY[4]], "other events, or in another order"),
        ([HISTORY[2], HISTORY[2], *HISTORY[3:]], "other events, or in another order"),
        (HISTORY[3:], "1 people, not 2"),
        (HISTORY[2:-1], "other people without media"),
    ],
    ids=["lost", "swapped", "twice", "lost at the beginning", "lost at the end"],
)
def test_a_log_that_is_not_whole_says_why(events: Sequence[event_pb2.Event], fault: str) -> None:
    assert fault in _faults(_log(events, _person("a"), _person("b")))


def test_what_changed_between_snapshot_and_first_event_is_missed() -> None:
    log = _log(HISTORY[2:], _person("a"), _person("b", _JOINING), _person("d", _JOINING))

    assert _faults(log) == ["3 people, not 2", "other people without media"]


def test_gaps_and_snapshots_are_faults_though_the_rest_is_right() -> None:
    log = _log(HISTORY, _person("a"))
    log.opened()
    log.take(signaling_service_pb2.WatchSessionResponse(sequence=2))
    everybody = event_pb2.Snapshot(participants=[_person("a"), _person("c")])
    log.take(signaling_service_pb2.WatchSessionResponse(sequence=3, snapshot=everybody))

    assert _faults(log) == [
        "1 gaps in its sequence numbers",
        "1 snapshots, since the stream was behind or broken",
    ]
