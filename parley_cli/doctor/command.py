"""Runs the checks and the call, and prints what they found."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from contextlib import nullcontext
from urllib.parse import urlsplit

from rich.console import Console

from parley_cli.bench.product import own_product
from parley_cli.doctor.call import CallReport, call
from parley_cli.doctor.check import Check
from parley_cli.doctor.checks import static_checks
from parley_cli.doctor.instance import instance_checks
from parley_cli.errors import CommandError
from parley_cli.instances import Instance, chosen, running
from parley_cli.settings import Settings


@dataclasses.dataclass(frozen=True)
class Examination:
    """What was found of one running product, or of one that was started for the purpose.

    Attributes:
        data_dir: Its data folder; empty: it was started for the purpose.
        url: Its address.
        checks: What was seen of it from outside.
        call: How a call through it went.
    """

    data_dir: str
    url: str
    checks: Sequence[Check]
    call: CallReport

    @property
    def good(self) -> bool:
        """Whether all is well."""
        return all(check.good for check in self.checks) and not self.call.error


def run_doctor(settings: Settings, *, as_json: bool, console: Console) -> bool:
    """Checks this machine and the products that run on it, or one started for the purpose; True if all is well."""
    everything = running()
    instances = chosen(settings, everything)
    checks = static_checks(settings, instances, [one for one in everything if one not in instances])
    examinations = _examine(settings, instances, checks, console, quiet=as_json)
    good = all(check.good for check in checks) and all(one.good for one in examinations)
    if as_json:
        found = {
            "healthy": good,
            "checks": [dataclasses.asdict(check) for check in checks],
            "instances": [dataclasses.asdict(one) for one in examinations],
            "call": dataclasses.asdict(examinations[0].call),
        }
        console.file.write(json.dumps(found, indent=2) + "\n")
    else:
        _print_checks(checks, console)
        for one in examinations:
            _print(one, console)
    return good


def _examine(
    settings: Settings, instances: Sequence[Instance], checks: Sequence[Check], console: Console, *, quiet: bool
) -> Sequence[Examination]:
    missing = [check.name for check in checks if not check.good and not check.name.startswith("port ")]
    if missing:
        return [
            Examination(
                "", "", [], CallReport(error=f"No call was tried, since this is not well: {', '.join(missing)}.")
            )
        ]
    status = nullcontext() if quiet else console.status("making a call …")
    with status:
        if not instances:
            return [asyncio.run(_examine_own())]
        return [_examine_one(settings, instance) for instance in instances]


def _examine_one(settings: Settings, instance: Instance) -> Examination:
    checks = instance_checks(instance, settings)
    # Callers know no certificate of our own making: where there is one they come in past the gateway.
    target = instance.control_planes[0] if instance.secure else urlsplit(instance.local_url).netloc
    return Examination(str(instance.data_dir), instance.url, checks, asyncio.run(call(target)))


async def _examine_own() -> Examination:
    """None runs: a product of our own tells as much."""
    try:
        async with own_product({}) as product:
            return Examination("", "", [], await call(product.target))
    except CommandError as error:
        return Examination("", "", [], CallReport(error=str(error)))


def _print_checks(checks: Sequence[Check], console: Console) -> None:
    for check in checks:
        mark = "[green]✓[/]" if check.good else "[red]✗[/]"
        console.print(f"{mark} {check.name:<16}", end=" ")
        console.print(check.finding, markup=False, soft_wrap=True)


def _print(examination: Examination, console: Console) -> None:
    if examination.data_dir:
        console.print(f"\n{examination.url} in {examination.data_dir}", markup=False, soft_wrap=True)
    _print_checks(examination.checks, console)
    report = examination.call
    if report.error:
        console.print("[red]✗[/] call            ", end=" ")
        console.print(report.error, markup=False, soft_wrap=True)
        return
    console.print(
        f"[green]✓[/] {'call':<16} first picture after {report.join_ms} ms (connected after {report.connected_ms} ms), "
        f"{report.packets} packets, {report.loss_percent} % lost, pictures take {report.latency_ms} ms",
        soft_wrap=True,
    )
