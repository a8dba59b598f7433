"""The documentation site: whole, without dead links, and without scripts in its pages."""

import importlib.util
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

_SCRIPT = Path(__file__).parents[3] / "docs" / "build_site.py"
_SPEC = importlib.util.spec_from_file_location("build_site", _SCRIPT)
assert _SPEC
assert _SPEC.loader
build_site = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = build_site
_SPEC.loader.exec_module(build_site)


class _Page(HTMLParser):
    """What a page asks for, and the scripts in its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.files: set[str] = set()
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.inline.append(str(self.getpos()))
        self.inline += [name for name in values if name.startswith("on")]
        kind = {"script": "src", "img": "src", "link": "href", "a": "href"}.get(tag, "")
        if address := values.get(kind):
            self.files.add(address)


def _build(monkeypatch: pytest.MonkeyPatch, target: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["build_site.py", str(target)])
    status: int = build_site.main()
    return status


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of pages to which a test adds; the rest of the site is the real one."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for page in ("using", "operating", "security", "contracts", "engine", "performance", "architecture"):
        (docs / f"{page}.md").write_text(f"# {page}\n")
    (docs / "dependencies.md").write_text("# Dependencies\n")
    (docs / "adr").mkdir()
    (docs / "adr" / "0001-a.md").write_text("# 0001\n")
    (docs / "images").mkdir()
    (docs / "images" / "meeting.png").write_bytes(b"")
    monkeypatch.setattr(build_site, "DOCS", docs)
    return docs


def test_the_site_has_no_dead_link_no_script_in_a_page_and_nothing_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _build(monkeypatch, tmp_path / "site") == 0

    for path in (tmp_path / "site").rglob("*.html"):
        page = _Page(path.read_text())
        assert not page.inline, path
        for address in page.files:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                assert parts.scheme == "https", f"{path}: {address}"
            elif parts.path:
                file = (path.parent / unquote(parts.path)).resolve()
                assert (file / "index.html" if file.is_dir() else file).is_file(), f"{path}: {address}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[there](nowhere.md)", "nowhere.md"),
        ("[there](engine.md#no-such-part)", "no-such-part"),
        ("Before the list\n- one", "leave a line empty"),
        ("1. one\n\n    More of it.\n2. two", "leave a line empty"),
        ("1. one\n\n   ```sh\n   make\n   ```", "by four spaces"),
    ],
)
def test_what_would_be_wrong_in_the_site_fails_the_build(
    pages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    (pages / "using.md").write_text(f"# Using\n\n{text}\n")

    assert _build(monkeypatch, pages.parent / "site") == 1
    assert said in capsys.readouterr().err


def test_a_page_that_the_navigation_leaves_out_fails_the_build(
    pages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (pages / "lost.md").write_text("# Lost\n")

    assert _build(monkeypatch, pages.parent / "site") == 1
    assert "does not name lost.md" in capsys.readouterr().err


def test_folders_of_the_navigation_hold_what_is_there(
    pages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (pages / "adr" / "0002-b.md").write_text("# 0002\n")

    assert _build(monkeypatch, tmp_path / "site") == 0
    start = (tmp_path / "site" / "index.html").read_text()
    assert "Decisions" in start
    assert (tmp_path / "site" / "adr" / "0002-b" / "index.html").is_file()
    assert not re.search(r"reference/", start), "a folder that is not there is no section"
