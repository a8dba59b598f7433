"""Runs the checks and the call, and prints what they found."""

import asyncio
import dataclasses
import json
from collections.abc import Sequence
from urllib.parse import urlsplit

from rich.console import Console

from parley_cli.bench.product import own_product
from parley_cli.doctor.call import CallReport, call
from parley_cli.doctor.checks import Check, static_checks
from parley_cli.errors import CommandError
from parley_cli.settings import Settings
from parley_cli.up.data_folder import read_instance


def run_doctor(settings: Settings, *, as_json: bool, console: Console) -> bool:
    """Checks this machine and the product that runs on it, or one started for the purpose; True if all is well."""
    checks = static_checks(settings)
    report = _call(settings, checks, console, quiet=as_json)
    good = all(check.good for check in checks) and not report.error
    if as_json:
        found = {
            "healthy": good,
            "checks": [dataclasses.asdict(check) for check in checks],
            "call": dataclasses.asdict(report),
        }
        console.file.write(json.dumps(found, indent=2) + "\n")
    else:
        _print(checks, report, console)
    return good


def _call(settings: Settings, checks: Sequence[Check], console: Console, *, quiet: bool) -> CallReport:
    missing = [check.name for check in checks if not check.good and not check.name.startswith("port ")]
    if missing:
        return CallReport(error=f"No call was tried, since this is not well: {', '.join(missing)}.")
    if quiet:
        return asyncio.run(_try_call(settings))
    with console.status("making a call …"):
        return asyncio.run(_try_call(settings))


async def _try_call(settings: Settings) -> CallReport:
    instance = read_instance(settings.data_dir)
    if instance is not None and instance["local_url"].startswith("http://"):
        return await call(urlsplit(instance["local_url"]).netloc)
    # None runs, or one whose certificate is its own: a product of our own tells as much.
    try:
        async with own_product({}) as product:
            return await call(product.target)
    except CommandError as error:
        return CallReport(error=str(error))


def _print(checks: Sequence[Check], report: CallReport, console: Console) -> None:
    for check in checks:
        mark = "[green]✓[/]" if check.good else "[red]✗[/]"
        console.print(f"{mark} {check.name:<16}", end=" ")
        console.print(check.finding, markup=False, soft_wrap=True)
    if report.error:
        console.print("[red]✗[/] call            ", end=" ")
        console.print(report.error, markup=False, soft_wrap=True)
        return
    console.print(
        f"[green]✓[/] {'call':<16} first picture after {report.join_ms} ms (connected after {report.connected_ms} ms), "
        f"{report.packets} packets, {report.loss_percent} % lost, pictures take {report.latency_ms} ms",
        soft_wrap=True,
    )
