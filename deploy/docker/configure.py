"""Writes what the containers share into a volume: secrets, made once, and Envoy's configuration, made at each start.

Run inside Parley's image by the service `configure` of docker-compose.yml: `python deploy/docker/configure.py /config`.
"""

import json
import secrets
import sys
from pathlib import Path

from gateway.envoy import bootstrap
from gateway.settings import GatewaySettings

_OWNER = 0o600
_OTHERS_TOO = 0o644
_SECRETS = ("node-token", "operator-token", "postgres-password", "turn-secret", "grafana-password")


def main(folder: Path) -> None:
    """Writes all files into `folder`."""
    for name in _SECRETS:
        if not (folder / name).exists():
            # Other images run as other users; the volume is theirs alone.
            _write(folder / name, secrets.token_urlsafe(32), _OTHERS_TOO)
    password = (folder / "postgres-password").read_text()
    settings = {
        "node_token": (folder / "node-token").read_text(),
        "operator_token": (folder / "operator-token").read_text(),
        "database_url": f"postgresql+psycopg://parley:{password}@postgres/parley",
        "redis_url": "redis://redis/0",
        "turn_secret": (folder / "turn-secret").read_text(),
        "signing_key_file": str(folder / "signing-key.pem"),
    }
    _write(folder / "parley.toml", "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()), _OWNER)
    _write(folder / "envoy.json", json.dumps(bootstrap(GatewaySettings(), folder / "unused.sock")), _OTHERS_TOO)


def _write(path: Path, content: str, mode: int) -> None:
    path.touch(mode)
    path.chmod(mode)
    path.write_text(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
