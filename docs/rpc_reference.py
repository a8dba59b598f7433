"""Writes `docs/reference/`, a page for each service, from the contracts' descriptors.

`make generate` runs it: `buf build --as-file-descriptor-set -o - | python docs/rpc_reference.py`.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from buf.validate import validate_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
    ServiceDescriptorProto,
)

from parley.options.v1 import access_pb2

FOLDER: Final = Path(__file__).parent / "reference"
_HEAD: Final = "<!-- Written by docs/rpc_reference.py from the contracts. -->\n"
_REASON: Final = re.compile(r"\b[A-Z][A-Z_]+\b")
_MARKUP: Final = re.compile(r"`[^`]*`|<")
_PREFIX: Final = "ERROR_REASON_"
_KINDS: Final = {
    access_pb2.TOKEN_KIND_ACCOUNT: "users with an account",
    access_pb2.TOKEN_KIND_GUEST: "guest users",
    access_pb2.TOKEN_KIND_MEETING_GUEST: "guests of one meeting",
    access_pb2.TOKEN_KIND_PARTICIPANT: "participants",
    access_pb2.TOKEN_KIND_OPERATOR: "operators",
    access_pb2.TOKEN_KIND_NODE: "holders of the node token",
}
_CONDITIONS: Final = {
    access_pb2.CONDITION_IN_BREAKOUT: "in a breakout room",
    access_pb2.CONDITION_MEETING_LOCKED: "while the meeting is locked",
    access_pb2.CONDITION_CHAT_OFF: "while chat is off",
    access_pb2.CONDITION_SCREEN_SHARE_OFF: "while sharing screens is off",
    access_pb2.CONDITION_RECORDING_OFF: "while recording is off",
}


@dataclass(frozen=True)
class Declaration:
    """Something that a contract declares, by its full name.

    Attributes:
        package: Where it stands.
        proto: What it is.
        comments: Leading comments within it, by the path from it; its own has the empty path.
    """

    package: str
    proto: Any
    comments: Mapping[tuple[int, ...], str]

    def comment(self, *path: int) -> str:
        """The comment of a part as one line a paragraph."""
        paragraphs = re.split(r"\n\s*\n", self.comments.get(path, ""))
        text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).strip()
        return _MARKUP.sub(lambda found: found[0] if found[0] != "<" else "&lt;", text)


@dataclass
class Contracts:
    """All that the contracts declare, by full name."""

    services: dict[str, Declaration] = field(default_factory=dict)
    messages: dict[str, Declaration] = field(default_factory=dict)
    enums: dict[str, Declaration] = field(default_factory=dict)

    def reason(self, name: str, package: str) -> tuple[str, str] | None:
        """Status and meaning of an error's reason, as the package at hand or else another one says it."""
        enums = [one for full, one in self.enums.items() if full.endswith(".ErrorReason")]
        for declared in sorted(enums, key=lambda one: (one.package != package, one.package)):
            for index, value in enumerate(declared.proto.value):
                if value.name == _PREFIX + name:
                    status, _, meaning = declared.comment(2, index).partition(": ")
                    return status, meaning
        return None


def read(files: FileDescriptorSet) -> Contracts:
    """What the contracts of Parley declare."""
    found = Contracts()
    for file in files.file:
        if file.package.startswith("parley."):
            comments = {tuple(one.path): one.leading_comments for one in file.source_code_info.location}
            _add_all(found.services, file, comments, file.service, (6,))
            _add_all(found.enums, file, comments, file.enum_type, (5,))
            _add_all(found.messages, file, comments, file.message_type, (4,))
    return found


def _add_all(
    into: dict[str, Declaration],
    file: FileDescriptorProto,
    comments: Mapping[tuple[int, ...], str],
    declared: Iterable[DescriptorProto | EnumDescriptorProto | ServiceDescriptorProto],
    path: tuple[int, ...],
) -> None:
    for index, proto in enumerate(declared):
        own = (*path, index)
        within = {key[len(own) :]: text for key, text in comments.items() if key[: len(own)] == own}
        into[f"{file.package}.{proto.name}"] = Declaration(file.package, proto, within)


def who(access: access_pb2.Access) -> str:
    """Who may call, in words."""
    if access.token == access_pb2.TOKEN_USE_IGNORED:
        return "Anybody; a token is not looked at."
    participants = "participants"
    if access.roles:
        participants += f" who are {_roles(access.roles)}"
    kinds = _listed([participants if one == access_pb2.TOKEN_KIND_PARTICIPANT else _KINDS[one] for one in access.kinds])
    optional = access.token == access_pb2.TOKEN_USE_OPTIONAL
    sentences = [f"Anybody; a token, if one is sent, is of {kinds}." if optional else f"{kinds[0].upper()}{kinds[1:]}."]
    if access_pb2.TOKEN_KIND_PARTICIPANT in access.kinds:
        sentences.append(f"{'Also' if access.while_waiting else 'Not'} from the waiting room.")
    for restriction in access.restrictions:
        exempt = f", {_roles(restriction.exempt_roles)} excepted" if restriction.exempt_roles else ""
        sentences.append(f"Not {_CONDITIONS[restriction.condition]}{exempt}.")
    if access.audited:
        sentences.append("Calls are written to the audit log.")
    return " ".join(sentences)


def _roles(roles: Iterable[access_pb2.MeetingRole.ValueType]) -> str:
    names = (access_pb2.MeetingRole.Name(role).removeprefix("MEETING_ROLE_") for role in roles)
    return _listed([f"{name.replace('_', '-').lower()}s" for name in names], "or")


def _listed(names: list[str], joined_by: str = "and") -> str:
    return f"{', '.join(names[:-1])} {joined_by} {names[-1]}" if len(names) > 1 else names[0]


def limits(rules: validate_pb2.FieldRules) -> Iterator[str]:
    """The rules of a field in words."""
    if rules.required:
        yield "required"
    for descriptor, own in rules.ListFields():
        if descriptor.name == "repeated":
            yield from _range(own, "min_items", "max_items", " items")
            yield from (f"each: {one}" for one in limits(own.items))
            yield from ["no two alike"] if own.unique else []
        elif descriptor.message_type is not None:
            yield from _scalar(own)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE:
        yield "or unset"


def _scalar(own: Any) -> Iterator[str]:  # noqa: ANN401 - the rules of any type
    yield from _range(own, "min_len", "max_len", " characters")
    yield from _range(own, "min_bytes", "max_bytes", " bytes")
    yield from _range(own, "gte", "lte", "")
    said = {"min_len", "max_len", "min_bytes", "max_bytes", "gte", "lte"}
    words = {"uuid": "a UUID", "email": "an e-mail address", "defined_only": "a defined value", "finite": "finite"}
    for descriptor, value in own.ListFields():
        if descriptor.name in words:
            yield words[descriptor.name]
        elif descriptor.name == "pattern":
            yield f"`{value}`"
        elif descriptor.name not in said:
            yield f"`{descriptor.name}`: {value}"


def _range(rules: Any, least: str, most: str, unit: str) -> Iterator[str]:  # noqa: ANN401 - as above
    names = {one.name for one, _ in rules.ListFields()}
    low = _number(getattr(rules, least)) if least in names else ""
    high = _number(getattr(rules, most)) if most in names else ""
    if low or high:
        yield (f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}") + unit


def _number(value: Any) -> str:  # noqa: ANN401 - a number or a Duration
    return f"{value.ToTimedelta().total_seconds():,g} s" if hasattr(value, "ToTimedelta") else f"{value:,}"


class Page:
    """A service's page."""

    def __init__(self, contracts: Contracts, name: str) -> None:
        self._contracts = contracts
        self._service = contracts.services[name]
        self._name = name
        self._beside: dict[str, None] = {}

    def text(self) -> str:
        """The page in Markdown."""
        rpcs = [part for index in range(len(self._service.proto.method)) for part in self._rpc(index)]
        parts = [
            f"# {self._service.proto.name}",
            f"`{self._name}`. {self._service.comment()}",
            self._overview(),
            *rpcs,
            *self._declared(),
            *self._errors("\n".join([self._service.comment(), *rpcs])),
        ]
        return _HEAD + "\n" + "\n\n".join(parts) + "\n"

    def _overview(self) -> str:
        rows = [
            f"| [{method.name}](#{method.name.lower()}) | {_rest(method)} | {_who(method)} |"
            for method in self._service.proto.method
        ]
        return "\n".join(["| RPC | REST | who may call |", "|---|---|---|", *rows])

    def _rpc(self, index: int) -> Iterator[str]:
        method: MethodDescriptorProto = self._service.proto.method[index]
        said, _, errors = self._service.comment(2, index).partition("Errors:")
        yield f"## {method.name}"
        yield said.strip()
        yield "\n".join(
            [
                f"- **Who may call:** {_who(method)}",
                f"- **gRPC:** `/{self._name}/{method.name}`{_manner(method)}",
                *([f"- **REST:** {rest}"] if (rest := _rest(method)) else []),
                *([f"- **Errors:** {errors.strip()}"] if errors else []),
            ]
        )
        for title, name in (("Request", method.input_type), ("Response", method.output_type)):
            yield f"**{title}**" + (", a stream" if _streams(method, title) else "")
            yield self._fields(self._contracts.messages[name.removeprefix(".")])

    def _fields(self, message: Declaration) -> str:
        rows = []
        for index, one in enumerate(message.proto.field):
            rules = "; ".join(limits(one.options.Extensions[validate_pb2.field]))
            meaning = _cell(message.comment(2, index))
            if one.HasField("oneof_index") and not one.proto3_optional:
                meaning += f" *One of `{message.proto.oneof_decl[one.oneof_index].name}`.*"
            rows.append(f"| `{one.name}` | {self._type(one)} | {meaning} | {_cell(rules)} |")
        return "\n".join(["| field | type | meaning | limits |", "|---|---|---|---|", *rows]) if rows else "No fields."

    def _type(self, one: FieldDescriptorProto) -> str:
        repeated = "repeated " if one.label == FieldDescriptorProto.LABEL_REPEATED else ""
        if not one.type_name:
            return repeated + FieldDescriptorProto.Type.Name(one.type).removeprefix("TYPE_").lower()
        name = one.type_name.removeprefix(".")
        short = name.rpartition(".")[2]
        if name in self._contracts.messages or name in self._contracts.enums:
            self._beside[name] = None
            return f"{repeated}[{short}](#{short.lower()})"
        return repeated + short

    def _declared(self) -> Iterator[str]:
        """What the requests and responses are made of; describing one may bring others."""
        described: list[str] = []
        sections = []
        while waiting := [name for name in self._beside if name not in described]:
            described.append(waiting[0])
            sections.append((waiting[0].rpartition(".")[2], self._declaration(waiting[0])))
        if sections:
            yield "## Messages and enums"
        for short, text in sorted(sections):
            yield f"### {short}"
            yield text

    def _declaration(self, name: str) -> str:
        if name in self._contracts.messages:
            message = self._contracts.messages[name]
            return f"{message.comment()}\n\n{self._fields(message)}"
        declared = self._contracts.enums[name]
        rows = [
            f"| `{value.name}` | {value.number} | {_cell(declared.comment(2, index))} |"
            for index, value in enumerate(declared.proto.value)
        ]
        return "\n".join([declared.comment(), "", "| value | number | meaning |", "|---|---|---|", *rows])

    def _errors(self, said: str) -> Iterator[str]:
        found = {
            name: self._contracts.reason(name, self._service.package) for name in sorted(set(_REASON.findall(said)))
        }
        rows = [f"| `{name}` | {known[0]} | {_cell(known[1])} |" for name, known in found.items() if known]
        if rows:
            yield "## Errors"
            yield "\n".join(["| reason | status | meaning |", "|---|---|---|", *rows])


def _who(method: MethodDescriptorProto) -> str:
    return who(method.options.Extensions[access_pb2.access])


def _streams(method: MethodDescriptorProto, title: str) -> bool:
    return method.client_streaming if title == "Request" else method.server_streaming


def _manner(method: MethodDescriptorProto) -> str:
    if method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS:
        return ", changes nothing"
    return ", twice is as once" if method.options.idempotency_level == MethodOptions.IDEMPOTENT else ""


def _rest(method: MethodDescriptorProto) -> str:
    rule = method.options.Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    if not verb:
        return ""
    body = {"": "", "*": ", the request as body"}.get(rule.body, f", `{rule.body}` as body")
    return f"`{verb.upper()} {getattr(rule, verb)}`{body}"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def pages(contracts: Contracts) -> Mapping[str, str]:
    """All pages by file name."""
    found = {f"{name}.md": Page(contracts, name).text() for name in sorted(contracts.services)}
    rows = [
        f"| [`{name}`]({name}.md) | {_cell(one.comment().partition(chr(10))[0])} |"
        for name, one in sorted(contracts.services.items())
    ]
    index = [
        "# Reference",
        "",
        "Every RPC with its fields, limits, errors and callers.",
        "",
        "| service | what it is |",
        "|---|---|",
    ]
    return {"README.md": "\n".join([_HEAD, *index, *rows]) + "\n", **found}


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    written = pages(read(FileDescriptorSet.FromString(sys.stdin.buffer.read())))
    for old in set(FOLDER.glob("*.md")) - {FOLDER / name for name in written}:
        old.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text)
