"""The built client in memory."""

from pathlib import Path

import pytest

from gateway.static.assets import MissingClientError, load_assets, resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "a-1.js").write_text("let a = 1;\n" * 1000)
    (tmp_path / "assets" / "p-1.png").write_bytes(b"\x89PNG" * 1000)
    (tmp_path / ".vite").mkdir()
    (tmp_path / ".vite" / "manifest.json").write_text("{}")
    return tmp_path


def test_hashed_names_are_kept_for_ever_and_the_rest_is_asked_for(root: Path) -> None:
    assets = load_assets(root)

    assert "immutable" in assets["assets/a-1.js"].headers["cache-control"]
    assert assets["index.html"].headers["cache-control"] == "no-cache"
    assert assets["index.html"].headers["etag"] != assets["assets/a-1.js"].headers["etag"]


def test_text_is_compressed_and_pictures_are_not(root: Path) -> None:
    assets = load_assets(root)

    script = assets["assets/a-1.js"]
    assert script.compressed is not None
    assert len(script.compressed) < len(script.content) / 10
    assert assets["assets/p-1.png"].compressed is None


@pytest.mark.parametrize("path", ["/", "/j/12345678901", "/sign-in", "/no/such/page"])
def test_pages_are_the_index(root: Path, path: str) -> None:
    assets = load_assets(root)

    assert resolve(assets, path) is assets["index.html"]


@pytest.mark.parametrize("path", ["/assets/a-2.js", "/favicon.ico", "/.vite/manifest.json", "/../secret.txt"])
def test_files_that_are_not_there_are_no_pages(root: Path, path: str) -> None:
    assert resolve(load_assets(root), path) is None


def test_a_client_that_was_not_built_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingClientError, match="not built"):
        load_assets(tmp_path)
