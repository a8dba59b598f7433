"""`parley settings`."""

import dataclasses
import json

from rich.console import Console
from rich.markup import escape

from parley_cli.settings import Setting, describe, load_settings


def print_settings(console: Console, *, as_json: bool) -> None:
    """Prints every setting, secrets hidden."""
    found = describe(load_settings())
    if as_json:
        console.file.write(json.dumps([dataclasses.asdict(setting) for setting in found], indent=2) + "\n")
        return
    console.print(
        "Set them in the environment as shown, or in the TOML file that PARLEY_CONFIG names: there without PARLEY_ and "
        "in small letters.\n"
    )
    for setting in found:
        _print_setting(console, setting)


def _print_setting(console: Console, setting: Setting) -> None:
    came_from = "" if setting.source == "default" else f"  [yellow](from {setting.source})[/]"
    console.print(f"[bold]PARLEY_{setting.name.upper()}[/] = {escape(setting.value)}{came_from}", soft_wrap=True)
    console.print(f"    {setting.meaning} [dim]Default: {escape(setting.default) or 'empty'}.[/]", soft_wrap=True)
