"""Who a node is: a name that it keeps, and an id of each start."""

from __future__ import annotations

import re
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FILE: Final = "node-id"
_NODE_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A node's identity.

    Attributes:
        node_id: Its name, the same over restarts.
        instance_id: Of this process.
    """

    node_id: str
    instance_id: str

    @property
    def name(self) -> str:
        """Resource name."""
        return f"nodes/{self.node_id}"


class NodeIdentityError(Exception):
    """The node's name can't be read or kept; the message says why in a sentence."""


def load_identity(node_id: str, data_dir: Path) -> NodeIdentity:
    """Return the node's identity.

    Args:
        node_id: Its name as set; empty: the one kept in the data folder, made at the first start.
        data_dir: Where it is kept.

    Raises:
        NodeIdentityError: The data folder can't be used, or what is kept there is no name.
    """
    return NodeIdentity(node_id or _kept_name(data_dir.expanduser() / _FILE), str(uuid.uuid4()))


def _kept_name(file: Path) -> str:
    try:
        if file.exists():
            name = file.read_text(encoding="utf-8").strip()
        else:
            name = f"node-{secrets.token_hex(4)}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name + "\n", encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"Can't keep the node's name in {file}: {getattr(error, 'strerror', None) or 'the file is damaged'}."
        raise NodeIdentityError(message) from error
    if not _NODE_ID.fullmatch(name):
        message = f"The node's name in {file} is not of the form [a-z0-9][a-z0-9-]*; delete the file and start again."
        raise NodeIdentityError(message)
    return name
