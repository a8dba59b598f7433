"""How a process is put together: what parts give each other, and services whose methods stand in several of them."""

from __future__ import annotations

from typing import Protocol

import pytest

from control_plane.app import CAPABILITIES
from control_plane.platform.capability import House
from control_plane.platform.grpc.services import UnservedMethodError, compose
from parley.node.v1 import node_service_pb2
from parley.operations.v1 import quarantine_service_pb2

QUARANTINE = quarantine_service_pb2.DESCRIPTOR.services_by_name["QuarantineService"].full_name
NODE = node_service_pb2.DESCRIPTOR.services_by_name["NodeService"].full_name


class Door(Protocol):
    def open(self) -> str: ...


class Wooden:
    def open(self) -> str:
        return "creaks"


class Automatic:
    def open(self) -> str:
        return "hums"


def test_what_a_part_provides_others_get_by_its_type() -> None:
    house = House()
    assert house.provide(Door, Wooden).open() == "creaks"
    assert house.need(Door).open() == "creaks"


def test_what_was_given_before_stays() -> None:
    house = House({Door: Automatic()})
    assert house.provide(Door, Wooden).open() == "hums"


def test_what_nobody_provides_is_an_error_that_names_it() -> None:
    with pytest.raises(LookupError, match=r"Door"):
        House().need(Door)


def test_capabilities_have_names_of_their_own() -> None:
    names = [capability.name for capability in CAPABILITIES]
    assert len(names) == len(set(names))


class Lists:
    async def ListQuarantinedRecords(self) -> None: ...


class Treats:
    async def RetryQuarantinedRecord(self) -> None: ...

    async def DropQuarantinedRecord(self) -> None: ...


def test_a_service_may_be_served_by_several_parts() -> None:
    (service,) = compose([{QUARANTINE: Lists()}, {}, {QUARANTINE: Treats()}])
    assert service.name == QUARANTINE


def test_a_method_that_nobody_serves_is_an_error() -> None:
    with pytest.raises(UnservedMethodError, match=r"RetryQuarantinedRecord is served by 0 capabilities"):
        compose([{QUARANTINE: Lists()}])


def test_a_method_that_two_serve_is_an_error() -> None:
    with pytest.raises(UnservedMethodError, match=r"ListQuarantinedRecords is served by 2 capabilities"):
        compose([{QUARANTINE: Lists()}, {QUARANTINE: Treats()}, {QUARANTINE: Lists()}])


def test_services_are_told_apart() -> None:
    with pytest.raises(UnservedMethodError, match=rf"{NODE}.Report"):
        compose([{QUARANTINE: Lists()}, {QUARANTINE: Treats()}, {NODE: Lists()}])
