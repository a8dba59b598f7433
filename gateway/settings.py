"""What can be set about the gateway."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource


class GatewaySettings(BaseSettings):
    """Settings of Envoy and of the server of the web client and the documentation.

    They come from the environment (`PARLEY_PORT`) or the TOML file that `PARLEY_CONFIG` names (`port`), in this order.
    """

    model_config = SettingsConfigDict(env_prefix="PARLEY_", extra="ignore", frozen=True)

    bind_address: str = Field(
        default="127.0.0.1", description="Address on which the gateway listens; 0.0.0.0 for the whole network."
    )
    port: int = Field(
        default=8080, ge=1, le=65535, description="The gateway's port: web client, gRPC, gRPC-Web and REST."
    )
    public_url: str = Field(
        default="http://localhost:8080",
        pattern=r"^https?://[^/\s]+$",
        description="Address under which browsers reach the gateway, without a slash at the end; links begin with it.",
    )
    data_dir: Path = Field(
        default=Path("~/.local/share/parley"), description="Folder of everything that is kept on this machine."
    )
    control_plane_target: str = Field(
        default="127.0.0.1:8081",
        pattern=r"^[^,;\s]+:\d{1,5}(\s*,\s*[^,;\s]+:\d{1,5})*$",
        description="Where the control plane is reached, host:port; several with commas between them, and a name may "
        "have several addresses.",
    )
    static_address: str = Field(
        default="127.0.0.1:8083", description="Where the web client's server listens, host:port."
    )
    web_root: Path = Field(
        default=Path(__file__).with_name("web") / "dist", description="Folder of the built web client."
    )
    docs_root: Path = Field(
        default=Path(__file__).parents[1] / "build" / "docs",
        description="Folder of the built documentation, served at /docs; without one there is none.",
    )
    tls_certificate_file: Path | None = Field(
        default=None, description="PEM file with the certificate chain; with it the gateway speaks TLS."
    )
    tls_key_file: Path | None = Field(default=None, description="PEM file with the certificate's private key.")
    envoy_admin_address: str = Field(
        default="", description="host:port of Envoy's administrator; empty: a Unix socket in the data folder."
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=8, description="Proxies in front of the gateway whose X-Forwarded-For is believed."
    )
    cors_origins: list[str] = Field(
        default=["*"],
        description="Web origins whose pages may call the API; * for any. No cookie is ever used, only bearer tokens.",
    )
    max_connections: int = Field(
        default=20_000, ge=1, description="Connections of clients at a time; more are refused."
    )
    max_request_bytes: int = Field(default=262_144, ge=1024, description="Largest body of a REST request.")
    connection_requests_per_second: int = Field(
        default=1_000,
        ge=1,
        description="Requests a second on one connection, lasting; more get RESOURCE_EXHAUSTED (429). "
        "Without bound behind trusted proxies, whose connections are many people's.",
    )
    connection_request_burst: int = Field(default=2_000, ge=1, description="Requests at once on one connection.")
    trace_sampling_percent: float = Field(
        default=100.0, ge=0, le=100, description="Share of requests without a trace of their own that are traced."
    )
    otlp_endpoint: str = Field(default="", description="host:port of an OTLP/gRPC collector for spans; empty: none.")
    otlp_http_endpoint: str = Field(
        default="",
        description="host:port of an OTLP/HTTP collector for spans of browsers (POST /v1/traces); empty: dropped.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - not used: what counts must be seen
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, which wins over the file."""
        file = os.environ.get("PARLEY_CONFIG")
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, toml_file=file)) if file else sources
