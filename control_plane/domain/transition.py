"""What the state machines of the domain have in common: the error of an impossible transition."""

from __future__ import annotations

from collections.abc import Sequence


class ImpossibleTransitionError(Exception):
    """An event reached something in a state in which that event can't happen.

    Attributes:
        machine: Which lifecycle: `participant`, `node`.
        state: The state it was in.
        event: What was said to have happened.
        possible: The events that can happen in that state; empty for a final state.
    """

    def __init__(self, machine: str, state: str, event: str, possible: Sequence[str]) -> None:
        self.machine = machine
        self.state = state
        self.event = event
        self.possible = tuple(possible)
        after = f"only {', '.join(possible)} can follow" if possible else "nothing can follow"
        super().__init__(f"a {machine} that is {state} was told {event}, but {after}")
