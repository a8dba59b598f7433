"""What the state machines of the domain have in common: looking up a step, and the error of an impossible one."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TypeVar

StateT = TypeVar("StateT", bound=enum.Enum)
EventT = TypeVar("EventT", bound=enum.Enum)
StepT = TypeVar("StepT")


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


def look_up(machine: str, steps: Mapping[tuple[StateT, EventT], StepT], state: StateT, event: EventT) -> StepT:
    """Returns what the table of a lifecycle says of an event in a state.

    Raises:
        ImpossibleTransitionError: The event can't happen in this state.
    """
    try:
        return steps[state, event]
    except KeyError:
        possible = sorted(known.value for (start, known) in steps if start is state)
        raise ImpossibleTransitionError(machine, state.value, event.value, possible) from None
