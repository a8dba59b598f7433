"""Becomes another program, which dies with its parent.

Run as a script: `launcher.py PARENT SIGNAL FOLDERS PROGRAM [ARGUMENT...]`.

It stands between `fork` and `exec` as a program of its own, since code run there by `subprocess` (`preexec_fn`) may
deadlock in a process that has threads. It uses the standard library only and is started with `-I -S`, which takes
about 20 ms.

`FOLDERS` is empty, or names the folders (parted by colons) of a program that must not run as root. PostgreSQL refuses
to, so root gets another user id here: that of `nobody` within a user namespace of its own, in which files keep their
owner outside. So no account is made, no file changes hands, and the data folder may lie anywhere. Where the kernel
allows no user namespace (some containers) the folders are given to `nobody`, and the process becomes `nobody` for good.
"""

import ctypes
import os
import pwd
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Drops privileges if asked to, ties this process to its parent and becomes the program."""
    parent, death_signal, folders, *program = arguments
    if folders and os.geteuid() == 0:
        _drop_privileges([Path(folder) for folder in folders.split(":")])
    # After the change of user, which clears it.
    _libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() != int(parent):  # The parent died before it was watched.
        os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(program[0], program)  # noqa: S606 - replacing this process is what it is for


def _drop_privileges(folders: list[Path]) -> None:
    nobody = pwd.getpwnam("nobody")
    if _libc.unshare(CLONE_NEWUSER) == 0:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{nobody.pw_uid} 0 1")
        Path("/proc/self/gid_map").write_text(f"{nobody.pw_gid} 0 1")
        return
    for path in (path for folder in folders for path in (folder, *folder.rglob("*"))):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)


if __name__ == "__main__":
    main(sys.argv[1:])
