"""Runs the fuzz targets under libFuzzer with the stable compiler; `make fuzz` calls it.

`cargo fuzz` wants a nightly compiler for its sanitizers. What guides a fuzzer is the compiler's coverage pass, which
the stable one has too; safe code needs no address sanitizer. Each target runs until it has had its seconds of CPU time.
What reaches new code is kept, reduced to few short inputs, in `corpus/<target>.hex`, one a line; the next run and the
tests begin from there (`core/tests/fuzz_smoke.rs`). What fails is written to `findings/<target>/`.

Prints one JSON line a target: CPU-seconds, executions, findings, edges of the code that the corpus reaches, and the
size of what is kept of it.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
CORPUS: Final = HERE / "corpus"
FINDINGS: Final = HERE / "findings"
_BUILD: Final = HERE / "target"
_COVERAGE: Final = (
    "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 "
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table "
    "-Cllvm-args=-sanitizer-coverage-trace-compares"
)
"""What cargo-fuzz passes to the compiler, without the sanitizer."""
_MAX_INPUT: Final = 1_500
"""Bytes of an input: a datagram of the largest size that a network carries whole."""
_MAX_KEPT: Final = 24_000
"""Bytes of a target's corpus in the repository; the shortest inputs stay."""
_SLOW_SECONDS: Final = 5
_MEMORY_MEGABYTES: Final = 1_024
_MAX_FINDINGS: Final = 5
"""A target that fails more often needs a repair rather than more input."""
_FLAGS: Final = (
    f"-max_len={_MAX_INPUT}",
    f"-timeout={_SLOW_SECONDS}",
    f"-rss_limit_mb={_MEMORY_MEGABYTES}",
    "-use_value_profile=1",
    "-print_final_stats=1",
    "-reload=0",
)


@dataclass(slots=True)
class Outcome:
    """What a run of a target came to."""

    cpu_seconds: float = 0.0
    executions: int = 0
    edges: int = 0
    findings: list[str] = field(default_factory=list)


def main() -> None:
    """Run the targets that were asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="CPU time of each target")
    parser.add_argument("--until", metavar="HH:MM", help="begin nothing new after this time of the day (UTC)")
    parser.add_argument("targets", nargs="*", help="all, when none is named")
    options = parser.parse_args()
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        sys.exit("make fuzz: libFuzzer is built by a C++ compiler, and there is none (c++, g++, clang++)")
    known = [*sorted(path.stem for path in (HERE / "fuzz_targets").glob("*.rs")), "sdp"]
    unknown = set(options.targets) - set(known)
    if unknown:
        sys.exit(f"make fuzz: no such target: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    programs = _build()
    failed = False
    for target in options.targets or known:
        if options.until and time.strftime("%H:%M", time.gmtime()) >= options.until:
            break
        line = _fuzz_sdp(options.seconds) if target == "sdp" else _fuzz(target, programs / target, options.seconds)
        print(json.dumps(line), flush=True)
        failed = failed or bool(line["findings"])
    sys.exit(1 if failed else 0)


def _build() -> Path:
    host = subprocess.run(("rustc", "-vV"), check=True, capture_output=True, text=True).stdout  # noqa: S607 - of the PATH
    triple = host.partition("host: ")[2].split()[0]
    command = ("cargo", "build", "--quiet", "--release", "--bins", "--target", triple, "--target-dir", str(_BUILD))
    flags = {"RUSTFLAGS": "--cfg fuzzing", "RUSTC_WRAPPER": str(HERE / "instrument.sh"), "PARLEY_COVERAGE": _COVERAGE}
    subprocess.run(command, check=True, cwd=HERE, env={**os.environ, **flags})  # noqa: S603 - cargo
    return _BUILD / triple / "release"


def _fuzz(target: str, program: Path, seconds: float) -> dict[str, Any]:
    found = FINDINGS / target
    found.mkdir(parents=True, exist_ok=True)
    # What the last run has found beyond what is in the repository is of use on this machine.
    work = _BUILD / "corpus" / target
    work.mkdir(parents=True, exist_ok=True)
    _unpack(target, work)
    outcome = Outcome()
    while outcome.cpu_seconds < seconds and len(outcome.findings) < _MAX_FINDINGS:
        # Others may use the machine too, so time on the clock is no measure: go on until the CPU time is used up.
        left = max(1, round(seconds - outcome.cpu_seconds))
        flags = (*_FLAGS, f"-max_total_time={left}", f"-artifact_prefix={found}/", str(work))
        before = set(found.iterdir())
        cpu, log = _run((str(program), *flags))
        outcome.cpu_seconds += cpu
        executions = _executions(log)
        outcome.executions += executions
        outcome.edges = max(outcome.edges, *(int(edges) for edges in re.findall(r"\bcov: (\d+)", log)), 0)
        new = sorted(str(path.relative_to(HERE)) for path in set(found.iterdir()) - before)
        outcome.findings += new
        if not executions and not new:
            sys.exit(f"make fuzz: {target} does not run:\n{log[-2000:]}")
    _keep(target, program, work)
    kept = (CORPUS / f"{target}.hex").read_text().split()
    return {
        "target": target,
        "cpu_seconds": round(outcome.cpu_seconds, 1),
        "executions": outcome.executions,
        "findings": outcome.findings,
        "edges": outcome.edges,
        "corpus": len(kept),
        "corpus_bytes": sum(map(len, kept)) // 2,
    }


def _fuzz_sdp(seconds: float) -> dict[str, Any]:
    """SDP is parsed in Python, and so is its fuzzer."""
    root = HERE.parents[2]
    command = (sys.executable, "-m", "tests.support.sdp_fuzzer", "--seconds", str(seconds))
    path = os.pathsep.join((str(root / "gen" / "python"), str(root)))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=root, env=environment)  # noqa: S603 - ours
    try:
        line: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        sys.exit(f"make fuzz: sdp does not run:\n{done.stderr[-2000:]}")
    return line


def _run(command: Sequence[str]) -> tuple[float, str]:
    """Run to the end; return the CPU-seconds used and what was said."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)  # noqa: S603 - ours
        try:
            _, _, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        log.seek(0)
        return usage.ru_utime + usage.ru_stime, log.read()


def _executions(log: str) -> int:
    """How many inputs libFuzzer tried; after a finding it gives no final figures, but it has counted aloud before."""
    counted = re.findall(r"^(?:#|stat::number_of_executed_units: +)(\d+)", log, re.MULTILINE)
    return max(map(int, counted), default=0)


def _unpack(target: str, work: Path) -> None:
    path = CORPUS / f"{target}.hex"
    for number, line in enumerate(path.read_text().split() if path.exists() else ()):
        (work / f"kept-{number}").write_bytes(bytes.fromhex(line))


def _keep(target: str, program: Path, work: Path) -> None:
    """Reduce the corpus to few short inputs that reach all that it reaches, and write them down."""
    with tempfile.TemporaryDirectory() as reduced:
        # An input that a finding has left behind would end the reduction.
        flags = ("-set_cover_merge=1", f"-max_len={_MAX_INPUT}", f"-timeout={_SLOW_SECONDS}", "-print_final_stats=1")
        _, log = _run((str(program), *flags, reduced, str(work)))
        inputs = sorted((path.read_bytes() for path in Path(reduced).iterdir()), key=lambda each: (len(each), each))
    if not inputs:
        sys.exit(f"make fuzz: the corpus of {target} could not be reduced:\n{log[-2000:]}")
    size, lines = 0, []
    for each in inputs:
        size += len(each)
        if each and size <= _MAX_KEPT:
            lines.append(each.hex())
    CORPUS.mkdir(exist_ok=True)
    (CORPUS / f"{target}.hex").write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
