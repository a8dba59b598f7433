"""The built web client and documentation in memory: a few megabytes, read and compressed once."""

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

INDEX = "index.html"
DOCS = "docs"

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
    return _load(root)


def load_docs(root: Path) -> Mapping[str, Asset]:
    """Reads the documentation below `root`, by its paths from the client's root; nothing where it was not built."""
    return {f"{DOCS}/{name}": asset for name, asset in _load(root).items()}


def resolve(assets: Mapping[str, Asset], path: str) -> Asset | None:
    """The asset for a request's path.

    Pages of the client (`/j/12345678901`, `/sign-in`) are not files: they get the index, and the client shows the page.
    Pages of the documentation (`/docs/engine/`) are folders with an index of their own. A name with an extension that
    is not there is an error, lest a browser takes the index for a script.
    """
    name = path.lstrip("/")
    if name in assets:
        return assets[name]
    if _in_docs(name):
        return assets.get(f"{name}{INDEX}") if name.endswith("/") else None
    if PurePosixPath(name).suffix:
        return None
    return assets[INDEX]


def docs_page(assets: Mapping[str, Asset], path: str) -> str | None:
    """The address of a page of the documentation that was asked for without the slash at its end."""
    name = path.strip("/")
    return f"/{name}/" if _in_docs(name) and not path.endswith("/") and f"{name}/{INDEX}" in assets else None


def _in_docs(name: str) -> bool:
    """Whether a path from the root, without a slash before it, belongs to the documentation."""
    return name == DOCS or name.startswith(f"{DOCS}/")


def _load(root: Path) -> Mapping[str, Asset]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and not _hidden(path.relative_to(root)))
    return {path.relative_to(root).as_posix(): _asset(path, root) for path in files}


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
