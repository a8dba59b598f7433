"""Places in a node's sequence of events."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodePosition:
    """An event's place in the sequence of a node's process; an event is applied once however often it arrives."""

    instance_id: str
    sequence: int


@dataclass(frozen=True, slots=True)
class StatePosition(NodePosition):
    """The place of a node's whole state in that sequence: it holds what all events up to there have done."""
