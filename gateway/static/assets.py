"""The built web client in memory: a few hundred kilobytes, read and compressed once."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

INDEX = "index.html"

# Vite puts a hash of the content into the names in this folder, so a name's content never changes.
_HASHED_FOLDER = "assets"
_FOREVER = "public, max-age=31536000, immutable"
_ASK_EACH_TIME = "no-cache"

_COMPRESSED_TYPES = (
    "text/",
    "image/svg+xml",
    "application/javascript",
    "application/json",
    "application/manifest+json",
)
_LEAST_COMPRESSED = 1_024


class MissingClientError(Exception):
    """The web client was not built; the message is one sentence for people."""


@dataclass(frozen=True)
class Asset:
    """A file as it is answered.

    Attributes:
        content: Its bytes.
        compressed: The same, compressed by gzip; None where that gains nothing.
        headers: Content-Type, Cache-Control, ETag.
    """

    content: bytes
    compressed: bytes | None
    headers: Mapping[str, str]


def load_assets(root: Path) -> Mapping[str, Asset]:
    """Reads all files below `root`, by their path from it.

    Raises:
        MissingClientError: There is no built client.
    """
    if not (root / INDEX).is_file():
        message = f"The web client is not built: there is no {root / INDEX}. Run `make setup`."
        raise MissingClientError(message)
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not _hidden(path.relative_to(root)))
    return {path.relative_to(root).as_posix(): _asset(path, root) for path in files}


def resolve(assets: Mapping[str, Asset], path: str) -> Asset | None:
    """The asset for a request's path.

    Pages of the client (`/j/12345678901`, `/sign-in`) are not files: they get the index, and the client shows the page.
    A name with an extension that is not there is an error, lest a browser takes the index for a script.
    """
    name = path.lstrip("/")
    if name in assets:
        return assets[name]
    if PurePosixPath(name).suffix:
        return None
    return assets[INDEX]


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _asset(path: Path, root: Path) -> Asset:
    content = path.read_bytes()
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if kind == "text/javascript" or kind.startswith("text/"):
        kind += "; charset=utf-8"
    hashed = path.relative_to(root).parts[0] == _HASHED_FOLDER
    headers = {
        "content-type": kind,
        "cache-control": _FOREVER if hashed else _ASK_EACH_TIME,
        "etag": f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        "vary": "accept-encoding",
    }
    return Asset(content, _compress(content, kind), headers)


def _compress(content: bytes, kind: str) -> bytes | None:
    if len(content) < _LEAST_COMPRESSED or not kind.startswith(_COMPRESSED_TYPES):
        return None
    compressed = gzip.compress(content, mtime=0)
    return compressed if len(compressed) < len(content) else None
