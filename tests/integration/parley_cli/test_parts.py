"""Real servers as parts: what was acknowledged survives a crash, and nothing outlives its parent."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from parley_cli.parts import PostgresPart, RedisPart


@pytest.fixture
def long_folder(tmp_path: Path) -> Path:
    """A data folder whose name is too long for a Unix socket."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    return folder


def test_postgres_keeps_what_it_acknowledged(long_folder: Path) -> None:
    postgres = PostgresPart(long_folder, durable=False)
    postgres.start()
    try:
        with psycopg.connect(_conninfo(postgres), autocommit=True) as connection:
            connection.execute("CREATE TABLE note (text text)")
            connection.execute("INSERT INTO note VALUES ('kept')")
        first = postgres.pid
        postgres.kill()
        assert not postgres.probe()

        postgres.start()

        assert postgres.pid != first
        with psycopg.connect(_conninfo(postgres)) as connection:
            assert connection.execute("SELECT text FROM note").fetchall() == [("kept",)]
    finally:
        assert postgres.stop() == 0


def test_postgres_starts_over_a_lock_file_of_another_process(long_folder: Path) -> None:
    postgres = PostgresPart(long_folder, durable=False)
    postgres.start()
    postgres.kill()
    lock = long_folder / "postgres" / "postmaster.pid"
    lines = lock.read_text().splitlines()
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    postgres.start()

    postgres.stop()


def test_redis_keeps_what_it_acknowledged(long_folder: Path) -> None:
    part = RedisPart(long_folder)
    part.start()
    try:
        with redis.Redis.from_url(part.url) as client:
            for number in range(500):
                client.set(f"key-{number}", number)
        part.kill()
        assert not part.probe()

        part.start()

        with redis.Redis.from_url(part.url) as client:
            assert client.dbsize() == 500
    finally:
        part.stop()


def test_valkey_reads_a_folder_that_redis_6_2_left(long_folder: Path) -> None:
    """The file is of Redis 6.2.14: rewritten once, so that it begins as a snapshot, and torn in its last command."""
    part = RedisPart(long_folder)
    part.prepare()
    shutil.copy(Path(__file__).parent / "data" / "redis-6.2-appendonly.aof", long_folder / "redis" / "appendonly.aof")

    try:
        for _ in range(2):  # the second time from its own form of the file
            part.start()
            with redis.Redis.from_url(part.url, decode_responses=True) as client:
                assert client.dbsize() == 6
                assert client.get("string") == "after"
                assert client.hgetall("hash") == {f"field-{number}": str(number) for number in range(1, 40)}
                assert client.smembers("set") == {"a", "b", "c"}
                assert client.zrange("scores", 0, -1, withscores=True) == [("late", 2.0)]
                assert client.pexpiretime("lease") == 4_102_444_800_000
                kept = [entry for entry, _ in client.xrange("log")]
                assert kept == [f"{number}-0" for number in range(11, 32) if number != 20]
            part.kill()
    finally:
        part.stop()


def test_parts_die_with_their_parent(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from parley_cli.parts import PostgresPart, RedisPart
        for part in (PostgresPart(Path(sys.argv[1]), durable=False), RedisPart(Path(sys.argv[1]))):
            part.start()
            print(part.pid, flush=True)
        time.sleep(600)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    assert parent.stdout
    children = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]

    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()

    assert _all_end(children)
    revived = PostgresPart(tmp_path, durable=False)
    revived.start()
    revived.stop()


def _all_end(processes: list[psutil.Process], seconds: float = 15) -> bool:
    # Where nobody reaps orphans (a container without an init) the ended ones stay as zombies.
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not [process for process in processes if _alive(process)]:
            return True
        time.sleep(0.05)
    return False


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _conninfo(postgres: PostgresPart) -> str:
    return f"host={postgres.socket_folder} user=postgres dbname=parley"
