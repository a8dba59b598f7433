"""Events of rooms, as the messages that clients get, and the step that tells of one."""

from __future__ import annotations

from control_plane.log.commands import Command
from parley.signaling.v1 import event_pb2


def media_moved(epoch: int) -> event_pb2.Event:
    """The room moved to another node."""
    return event_pb2.Event(media_moved=event_pb2.MediaMoved(epoch=epoch))


def move_media(command: Command, epoch: int) -> None:
    """Has a command say under which epoch the room is served, once."""
    command.step("media_epoch", str(epoch), command.attach(media_moved(epoch)))
