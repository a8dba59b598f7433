"""Where parts put their Unix sockets."""

import hashlib
import os
import tempfile
from pathlib import Path

# sockaddr_un holds 108 bytes on Linux; the longest name below is ".s.PGSQL.5432.lock".
_LONGEST_FOLDER = 80


def socket_folder(data_dir: Path) -> Path:
    """A folder for the sockets of the parts that keep their data in `data_dir`; made with mode 0700.

    It is `data_dir/run`, or, when that is too long for a socket's address, a folder of a name made from it in the
    temporary folder.

    Raises:
        PermissionError: Somebody else owns the folder.
    """
    folder = data_dir.resolve() / "run"
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"parley-{os.geteuid()}-{digest}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0 and folder.stat().st_uid != os.geteuid():
        message = f"{folder} belongs to another user"
        raise PermissionError(message)
    folder.chmod(0o700)
    return folder
