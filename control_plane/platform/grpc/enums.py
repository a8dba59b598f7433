"""From enums of the domain to those of the contracts, by their names."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from control_plane.kernel.records import UNKNOWN

E = TypeVar("E", bound=enum.Enum)


def enum_values(contract: Any, domain: type[E]) -> Mapping[E, Any]:  # noqa: ANN401 -- generated enums have no common type
    """Returns the contract's value of each member; UNSPECIFIED for what is only a newer version's."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", contract.DESCRIPTOR.name).upper()
    return {
        member: contract.Value(f"{prefix}_{'UNSPECIFIED' if member.value == UNKNOWN else member.name}")
        for member in domain
    }
