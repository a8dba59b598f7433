"""The built client in memory."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.static.assets import Asset, MissingClientError, docs_page, load_assets, load_docs, resolve


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


@pytest.fixture
def with_docs(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Asset]:
    docs = tmp_path_factory.mktemp("docs")
    (docs / "engine").mkdir()
    (docs / "index.html").write_text("<title>Start")
    (docs / "engine" / "index.html").write_text("<title>Engine")
    return {**load_assets(root), **load_docs(docs)}


def test_pages_of_the_documentation_are_folders(with_docs: Mapping[str, Asset]) -> None:
    assert resolve(with_docs, "/docs/") is with_docs["docs/index.html"]
    assert resolve(with_docs, "/docs/engine/") is with_docs["docs/engine/index.html"]
    assert resolve(with_docs, "/docsomething") is with_docs["index.html"], "another page, of the client"


@pytest.mark.parametrize("path", ["/docs/no-such-page/", "/docs/no-such-page", "/docs/a.js", "/docs/../../secret"])
def test_a_page_that_the_documentation_has_not_is_no_page_of_the_client(
    with_docs: Mapping[str, Asset], path: str
) -> None:
    assert resolve(with_docs, path) is None
    assert docs_page(with_docs, path) is None


@pytest.mark.parametrize(
    ("path", "page"), [("/docs", "/docs/"), ("/docs/engine", "/docs/engine/"), ("//docs", "/docs/"), ("/docs/", None)]
)
def test_a_page_without_its_slash_has_one(with_docs: Mapping[str, Asset], path: str, page: str | None) -> None:
    assert docs_page(with_docs, path) == page


def test_a_product_without_documentation_has_none(root: Path, tmp_path: Path) -> None:
    assets = {**load_assets(root), **load_docs(tmp_path / "none")}

    assert resolve(assets, "/docs/") is None
    assert docs_page(assets, "/docs") is None
