"""The periods of being in a meeting."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SignalingTimes:
    """The periods of being in a meeting, in seconds.

    Attributes:
        presence: Without a call for so long somebody is taken to have left.
        silent: The same, and nothing over their media connection either. They are out 15 s after the last sign, since
            half a second passes between two looks.
        heartbeat: How often clients send one.
        silent_heartbeat: The same while nothing comes over their media connection.
        checkpoint: A stream says at least so often that it lives.
        linger: A room that nobody is in is released after this.
        end_empty: An instant meeting that nobody is in ends after this.
        node_wait: How long a join tries to get an answer of a node.
    """

    presence: float = 60.0
    silent: float = 14.0
    heartbeat: float = 10.0
    silent_heartbeat: float = 4.0
    checkpoint: float = 15.0
    linger: float = 60.0
    end_empty: float = 900.0
    node_wait: float = field(default=4.0)
