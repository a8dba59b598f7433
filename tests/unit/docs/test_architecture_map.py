"""The map of the control plane in `docs/architecture.md` and the tree say the same."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = {path.parent.name for path in (ROOT / "control_plane").glob("*/__init__.py")}


def test_every_folder_of_the_control_plane_is_on_the_map_and_no_other() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert re.findall(r"^\| `control_plane/(\w+)` \|", text, re.MULTILINE), "the table is gone"
    assert set(re.findall(r"^\| `control_plane/(\w+)` \|", text, re.MULTILINE)) == FOLDERS


def test_what_stands_in_a_folder_has_one_of_the_names_or_a_reason_of_its_own() -> None:
    """Whatever reaches a store or the wire has the name under which import-linter closes it to other folders."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    closed = {module for contract in contracts for module in contract.get("protected_modules", [])}
    capabilities = FOLDERS - {"kernel", "platform", "log"}
    inner = {
        f"control_plane.{folder}.{name}"
        for folder in capabilities
        for name in ("store", "live", "tables", "cleaning", "rpc")
        if (ROOT / "control_plane" / folder / f"{name}.py").exists()
    }
    assert inner == closed
