"""What can be wrong with an offer."""

from __future__ import annotations


class SdpError(Exception):
    """An offer that can't be used.

    Attributes:
        line: Number of the line at fault, from 1; 0: the offer as a whole.
        problem: What is wrong, in words of ours only: nothing of the offer is repeated that was not checked.
    """

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line


class SdpInvalidError(SdpError):
    """The offer breaks the grammar of SDP or contradicts itself."""


class SdpNotAcceptableError(SdpError):
    """The offer is SDP, but lacks what the node needs."""
