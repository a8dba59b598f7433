"""What a media node is told from outside: `PARLEY_*` environment variables over the TOML file `PARLEY_CONFIG`."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from media_plane.addresses import LocalAddresses, local_addresses


class NodeSettings(BaseSettings):
    """Settings of a media node. Each field's description is its documentation (`parley settings` prints it)."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore", frozen=True)

    data_dir: Path = Field(
        default=Path("~/.local/share/parley"), description="Folder of everything that is kept on this machine."
    )
    node_id: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$",
        description="Name of this node. Empty: one is made at the first start and kept in the data folder.",
    )
    node_token: SecretStr = Field(
        default=SecretStr(""), description="Secret between control plane and media nodes. Required."
    )
    node_control_address: str = Field(
        default="127.0.0.1:8082",
        pattern=r"^.+:\d{1,5}$",
        description="Where the node takes commands, host:port; port 0 takes a free one.",
    )
    node_announced_control_address: str = Field(
        default="",
        max_length=255,
        description="host:port at which the control plane reaches it. Empty: the address it listens on.",
    )
    control_plane_target: str = Field(
        default="127.0.0.1:8081",
        pattern=r"^[^,;\s]+:\d{1,5}(\s*,\s*[^,;\s]+:\d{1,5})*$",
        description="Where the control plane is reached, host:port; several with commas between them, and a name may "
        "have several addresses.",
    )
    region: str = Field(default="local", pattern=r"^[a-z0-9-]{1,32}$", description="Region of this process.")
    media_bind_address: str = Field(
        default="",
        description="Address of the media's ports; `::` takes IPv6 and IPv4. Empty: `::`, or `0.0.0.0` on a machine "
        "without IPv6.",
    )
    media_ports: list[int] = Field(
        default=[0], min_length=1, max_length=64, description="One UDP port a shard; 0 takes a free one."
    )
    media_tcp_ports: list[int] | None = Field(
        default=None,
        description="One TCP port a shard, for clients whose network lets no UDP through; 0 takes a free one. Not set: "
        "those of UDP. []: no TCP.",
    )
    media_addresses: list[str] = Field(
        default=[],
        max_length=8,
        description="IP addresses at which clients reach the media ports, the best first. Empty: the bind address, or "
        "when that is every address, those of this machine, read again as its networks change.",
    )
    node_pin_cores: bool = Field(default=False, description="Whether each shard keeps to a core of its own.")
    node_sessions_per_shard: int = Field(default=2000, ge=1, le=100_000, description="Sessions a shard takes at most.")
    node_drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="How long a node that is told to end waits for its rooms to end first.",
    )
    node_fault_signals: bool = Field(
        default=False,
        description="For drills: SIGUSR1 makes the first shard panic, SIGUSR2 makes it hang for ten seconds.",
    )
    otlp_endpoint: str = Field(
        default="", description="host:port of an OTLP/gRPC collector for traces. Empty: traces are not exported."
    )
    metrics_address: str = Field(
        default="127.0.0.1", description="Address on which Prometheus metrics are served, where a port is set."
    )
    node_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Prometheus metrics of the node. 0: none."
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Logs for people, or for machines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )

    @field_validator("media_bind_address")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value)) if value else ""

    @field_validator("media_addresses")
    @classmethod
    def _are_addresses(cls, value: list[str]) -> list[str]:
        return [str(ipaddress.ip_address(each)) for each in value]

    @field_validator("media_ports", "media_tcp_ports")
    @classmethod
    def _are_ports(cls, value: list[int] | None) -> list[int] | None:
        if not all(0 <= port <= 65_535 for port in value or ()):  # noqa: PLR2004 - the largest port
            message = "ports go from 0 to 65535"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _ports_match(self) -> Self:
        if self.media_tcp_ports and len(self.media_tcp_ports) != len(self.media_ports):
            message = "media_tcp_ports needs as many ports as media_ports, or none"
            raise ValueError(message)
        return self

    @property
    def engine_tcp_ports(self) -> list[int] | None:
        """TCP ports in the engine's terms; None: no TCP."""
        return self.media_ports if self.media_tcp_ports is None else self.media_tcp_ports or None

    @property
    def engine_bind_address(self) -> str:
        """Address that the media's sockets are bound to."""
        every = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - media comes from anywhere
        return self.media_bind_address or every

    @property
    def announced_addresses(self) -> Callable[[], Sequence[str]]:
        """What answers name as candidates: IP addresses, the best first, as they are when it is called."""
        bind = ipaddress.ip_address(self.engine_bind_address)
        if not self.media_addresses and bind.is_unspecified:
            return LocalAddresses(partial(local_addresses, ipv6=bind.version == 6))  # noqa: PLR2004 - IP version 6
        fixed = self.media_addresses or [str(bind)]
        return lambda: fixed

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        file = os.environ.get("PARLEY_CONFIG")
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, toml_file=file)) if file else sources
