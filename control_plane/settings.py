"""What a control-plane process is told: `PARLEY_*` environment variables over the TOML file `PARLEY_CONFIG`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

_TURN_URI: Final = re.compile(
    r"turns?:(?:[A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?(?:\?transport=(?:udp|tcp))?"
)


class ControlPlaneSettings(BaseSettings):
    """Settings of the control plane. Each field's description is its documentation (`parley settings` prints it)."""

    model_config = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore", frozen=True)

    control_plane_address: str = Field(
        default="127.0.0.1:8081",
        pattern=r"^.+:\d{1,5}$",
        description="Where the control plane listens, host:port; port 0 takes a free one.",
    )
    database_url: SecretStr = Field(
        default=SecretStr("postgresql+psycopg://postgres@127.0.0.1:5432/parley"),
        description="PostgreSQL, as a SQLAlchemy URL with the driver psycopg.",
    )
    redis_url: SecretStr = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"), description="Redis, as redis:// or unix:// URL."
    )
    public_url: str = Field(
        default="http://localhost:8080",
        pattern=r"^https?://[^/\s]+$",
        description="Where browsers reach the gateway, without a slash at the end; join links begin with it.",
    )
    signing_key_file: Path = Field(
        default=Path("signing-key.pem"),
        description="Ed25519 key (PEM) that signs tokens; made with mode 0600 if there is none. Replicas share it.",
    )
    node_token: SecretStr = Field(
        default=SecretStr(""), description="Secret between control plane and media nodes. Empty: no node can register."
    )
    operator_token: SecretStr = Field(
        default=SecretStr(""), description="Secret of operators' calls. Empty: there are no operators' calls."
    )
    turn_uris: list[str] = Field(
        default=[],
        max_length=8,
        description="URIs of TURN servers that relay media where networks let nothing else through, such as "
        "turn:turn.example.org:3478?transport=tcp. Empty: there are none.",
    )
    turn_secret: SecretStr = Field(
        default=SecretStr(""), description="Secret shared with the TURN servers (coturn: static-auth-secret)."
    )
    sign_up: bool = Field(default=True, description="Whether people can make accounts by themselves.")
    guest_hosts: bool = Field(default=True, description="Whether guests may create instant meetings.")
    region: str = Field(default="local", pattern=r"^[a-z0-9-]{1,32}$", description="Region of this process.")
    otlp_endpoint: str = Field(
        default="", description="host:port of an OTLP/gRPC collector for traces. Empty: traces are not exported."
    )
    metrics_address: str = Field(
        default="127.0.0.1", description="Address on which Prometheus metrics are served, where a port is set."
    )
    control_plane_metrics_port: int = Field(
        default=0, ge=0, le=65535, description="Port of the Prometheus metrics of the control plane. 0: none."
    )
    calls_per_second: float = Field(
        default=500.0,
        gt=0,
        description="Calls a second that one address may make, twice as many at once; one caller makes a fifth.",
    )
    log_format: Literal["console", "json"] = Field(default="console", description="Logs for people, or for machines.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least level that is logged."
    )

    @field_validator("turn_uris")
    @classmethod
    def _are_turn_uris(cls, value: list[str]) -> list[str]:
        if not all(_TURN_URI.fullmatch(uri) for uri in value):
            message = "a TURN URI is turn:host:port or turns:host:port, with ?transport=udp or tcp (RFC 7065)"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _turn_has_a_secret(self) -> Self:
        if self.turn_uris and not self.turn_secret.get_secret_value():
            message = "turn_uris needs turn_secret: without it no client gets credentials"
            raise ValueError(message)
        return self

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
        if file and not Path(file).is_file():
            raise FileNotFoundError(file)  # pydantic-settings would take it for an empty one
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, toml_file=file)) if file else sources
