"""What the command tells people when it can't go on."""

FAILURE = 1
CONFIGURATION = 2


class CommandError(Exception):
    """One clear sentence for the person at the terminal, and the exit status.

    Attributes:
        status: `FAILURE` for something in the machine's state, `CONFIGURATION` for something to be corrected in a
        setting.
    """

    def __init__(self, message: str, status: int = FAILURE) -> None:
        super().__init__(message)
        self.status = status
