"""What the doctor finds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A finding.

    Attributes:
        name: What was looked at.
        good: Whether it is as it must be.
        finding: What was found; when it is not good, what to do.
    """

    name: str
    good: bool
    finding: str
