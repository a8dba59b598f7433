"""Until when somebody counts as present: what signalling and media tell of them, as steps of a command.

Signalling alone is waited for long, since media shows that somebody is there. Once nothing comes over their media
connection either, the wait is short; it is never longer than without that silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from control_plane.log.commands import Command
from control_plane.log.participant import MediaStateEvent, Participant, ParticipantState
from control_plane.platform.redis.client import milliseconds


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """Adds what is known of somebody's presence to commands.

    Attributes:
        usual_ms: How long after the last sign of signalling somebody is taken to have left.
        silent_ms: The same after the last sign of signalling or media, once media is silent.
    """

    usual_ms: int
    silent_ms: int

    def signalled(self, command: Command, participant_id: str, now: datetime) -> Command:
        """They have called; the command's answer says whether their media is silent."""
        return command.step("signalled", participant_id, str(milliseconds(now)), self.usual_ms, self.silent_ms)

    def heard(self, command: Command, participant_id: str) -> Command:
        """Their media is not silent, or not that of this session."""
        return command.step("heard", participant_id, self.usual_ms)

    def media_changed(self, command: Command, before: Participant, media: MediaStateEvent, now: datetime) -> None:
        """A node tells of their current session."""
        if media.connected:
            self.heard(command, before.id)
        elif media.silence is not None or before.state is ParticipantState.CONNECTED:
            # A session that ended before it ever connected is no silence: its client is expected to try again.
            since = now if media.silence is None else now - media.silence
            command.step("silent", before.id, str(milliseconds(since)), self.usual_ms, self.silent_ms)
