"""The contracts' comments keep their own rules, and the code says no reason that the contracts do not."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import grpc
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
FILES = sorted(PROTO.rglob("*.proto"))
_VALUE = re.compile(r"((?:\s*//[^\n]*\n)+)\s*ERROR_REASON_([A-Z_]+) = (\d+);")
_RPC = re.compile(r"((?:\s*//[^\n]*\n)+)\s*rpc (\w+)\(")
_REASON = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")


def documented() -> dict[str, dict[str, str]]:
    """Reasons by domain with the status that their comment begins with."""
    found: dict[str, dict[str, str]] = {}
    for file in PROTO.rglob("error_reason.proto"):
        reasons = {}
        for comment, name, number in _VALUE.findall(file.read_text()):
            if number != "0":
                reasons[name] = re.sub(r"\s*//\s?", " ", comment).strip().partition(":")[0]
        found[file.parent.parent.name] = reasons
    return found


REASONS = documented()
EVERYWHERE = {reason for reasons in REASONS.values() for reason in reasons}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_generated_code_can_be_imported(file: Path) -> None:
    module = ".".join((*file.relative_to(PROTO).with_suffix("").parts,))
    importlib.import_module(f"{module}_pb2")
    importlib.import_module(f"{module}_pb2_grpc")


@pytest.mark.parametrize("domain", sorted(REASONS))
def test_each_reason_begins_with_its_status(domain: str) -> None:
    assert REASONS[domain]
    for reason, status in REASONS[domain].items():
        assert status in grpc.StatusCode.__members__, f"{domain} {reason}: {status}"


@pytest.mark.parametrize(
    "file", [one for one in FILES if one.name.endswith("_service.proto")], ids=lambda file: file.name
)
def test_errors_that_rpcs_name_exist(file: Path) -> None:
    rpcs = _RPC.findall(file.read_text())
    assert rpcs
    for comment, name in rpcs:
        errors = re.sub(r"\s*//\s?", " ", comment).partition("Errors:")[2]
        unknown = set(_REASON.findall(errors)) - EVERYWHERE
        assert not unknown, f"{name} names {unknown}"


@pytest.mark.parametrize(
    "file", [one for one in FILES if one.name.endswith("_service.proto")], ids=lambda file: file.name
)
def test_each_rpc_says_who_may_call_it_or_its_service_does(file: Path) -> None:
    text = file.read_text()
    service_comment = re.findall(r"((?://[^\n]*\n)+)service ", text)[0]
    by_service = re.search(r"Callers:|takes a user's", service_comment)
    for comment, name in _RPC.findall(text):
        flat = re.sub(r"\s*//\s?", " ", comment)
        assert by_service or re.search(r"Callers:|[Aa]nybody|refresh token", flat), f"{name} does not say who calls it"


def said_by_code() -> dict[str, set[str]]:
    """Reasons with the kinds that the control plane's error functions give them, read from their source."""
    said: dict[str, set[str]] = {}
    for file in (ROOT / "control_plane").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call):
                kind, reason = _said(call)
                if reason:
                    said.setdefault(reason, set()).add(kind)
    return said


def _said(call: ast.Call) -> tuple[str, str]:
    func = call.func
    name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
    texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    named = next(
        (str(one.value.value) for one in call.keywords if one.arg == "reason" and isinstance(one.value, ast.Constant)),
        "",
    )
    if name in {"DomainError", "__init__"} and texts and isinstance(call.args[0], ast.Attribute):
        return call.args[0].attr, texts[0]
    if name == "unauthenticated":
        return "UNAUTHENTICATED", texts[0] if texts else ""
    if name in {"invalid_argument", "rate_limited"}:
        return {"invalid_argument": "INVALID_ARGUMENT", "rate_limited": "RESOURCE_EXHAUSTED"}[name], named
    return "", ""


def test_the_control_plane_says_what_is_documented_and_with_the_documented_status() -> None:
    said = said_by_code()
    assert len(said) > 25
    statuses: dict[str, set[str]] = {}
    for domain in REASONS.keys() - {"sfu", "node"}:
        for reason, status in REASONS[domain].items():
            statuses.setdefault(reason, set()).add(status)
    for reason, kinds in said.items():
        assert reason in statuses, f"{reason} is in no contract"
        assert kinds <= statuses[reason], f"{reason} is said as {kinds}, and documented as {statuses[reason]}"
