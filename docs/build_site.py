"""Builds the documentation site: `python docs/build_site.py [FOLDER]`, by default into `build/docs`.

Pages of the repository's root become pages of the site, an entry of the navigation that names a folder gets all pages
in it, and no page keeps a script in its text, since the product's Content Security Policy lets none run. A dead link or
a page that the navigation does not name is an error.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = ROOT / "docs"
_ROOT_PAGES: Final = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing/index.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "license.md",
}
_MERMAID: Final = ROOT / "gateway/web/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
_SCRIPTS: Final = Path("assets/javascripts")
_LINK: Final = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")
_COLOUR: Final = re.compile("\x1b\\[[0-9;]*m")
# Lists that GitHub understands and the site does not.
_CODE: Final = re.compile(r"^((?: {4})*```).*?^\1", re.DOTALL | re.MULTILINE)
_SHALLOW: Final = re.compile(r"^ {1,3}(?:```|[-*+] |\d+\. ).*", re.MULTILINE)
_ENTRY: Final = r"((?:[-*+] |\d+\. ).*)"
_ADJOINING: Final = re.compile(
    rf"^(?![-*+] |\d+\. |\s|#|<!--).+\n{_ENTRY}|(?<=\n\n)(?: {{4}}.*\n)+{_ENTRY}", re.MULTILINE
)
_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)
# They need an absolute address, which the site has not: it is served under whatever name the product has.
_LEFT_OUT: Final = ("404.html", "sitemap.xml", "objects.inv")


def main() -> int:
    """Builds the site; returns the exit status."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            write_sources(work)
        except ValueError as error:
            sys.stderr.write(f"parley: {error}\n")
            return 1
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", "mkdocs.yml"]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)  # noqa: S603 - ours
        if done.returncode:
            said = _COLOUR.sub("", done.stdout + done.stderr.partition("Traceback")[0])
            sys.stderr.write(f"{said}\nparley: the documentation has errors, see above\n")
            return done.returncode
        finish(work / "site")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(work / "site", target)
    return 0


def write_sources(work: Path) -> None:
    """Lays out pages and configuration in an empty folder.

    Raises:
        ValueError: The navigation leaves a page out, or a list would be shown as running text.
    """
    shutil.copytree(DOCS, work / "docs", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for source, page in _ROOT_PAGES.items():
        text = (ROOT / source).read_text("utf-8")
        path = work / "docs" / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_moved(text, page) if source.endswith(".md") else f"# Licence\n\n```text\n{text}```\n", "utf-8")
    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
    config["nav"] = list(_entries(config["nav"], work / "docs"))
    if missing := set(_pages(work / "docs", "")) - set(_named(config["nav"])):
        message = f"zensical.toml does not name {', '.join(sorted(missing))} in its navigation"
        raise ValueError(message)
    for page in _pages(work / "docs", ""):
        _check_lists(page, (work / "docs" / page).read_text("utf-8"))
    # JSON is YAML, and the standard library writes it.
    (work / "mkdocs.yml").write_text(json.dumps(config), "utf-8")


def finish(site: Path) -> None:
    """Makes built pages fit for a policy that runs scripts of the same origin only, and none in a page's text."""
    shutil.copy(_MERMAID, site / _SCRIPTS)
    for name in _LEFT_OUT:
        (site / name).unlink(missing_ok=True)
    for path in site.rglob("*.html"):
        to_scripts = "../" * (len(path.relative_to(site).parts) - 1) + _SCRIPTS.as_posix()
        page = path.read_text("utf-8")
        for text in set(_INLINE_SCRIPT.findall(page)):
            name = f"inline.{hashlib.sha256(text.encode()).hexdigest()[:12]}.js"
            (site / _SCRIPTS / name).write_text(text, "utf-8")
            page = page.replace(f"<script>{text}</script>", f'<script src="{to_scripts}/{name}"></script>')
        if 'class="mermaid"' in page:
            # The theme would fetch it from a server elsewhere, unless it is there already.
            page = page.replace("</head>", f'<script src="{to_scripts}/{_MERMAID.name}"></script></head>')
        path.write_text(page, "utf-8")


def _entries(nav: Sequence[Any], docs: Path) -> Iterator[Any]:
    """The navigation with folders replaced by their pages; a section without any goes."""
    named = set(_named(nav))
    for entry in nav:
        if isinstance(entry, dict):
            ((title, inner),) = entry.items()
            if isinstance(inner, list):
                inner = list(_entries(inner, docs))
            elif inner.endswith("/"):
                inner = _pages(docs, inner)
            if inner:
                yield {title: inner}
        elif entry.endswith("/"):
            yield from (page for page in _pages(docs, entry) if page not in named)
        else:
            yield entry


def _named(nav: Sequence[Any] | str) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
        return
    for entry in nav:
        for inner in entry.values() if isinstance(entry, dict) else [entry]:
            yield from _named(inner)


def _pages(docs: Path, folder: str) -> list[str]:
    return [path.relative_to(docs).as_posix() for path in sorted((docs / folder).rglob("*.md"))]


def _check_lists(page: str, text: str) -> None:
    prose = _CODE.sub("", text)
    if found := _SHALLOW.search(prose):
        message = f"{page}: indent what belongs to a list's entry by four spaces: {found[0]!r}"
    elif found := _ADJOINING.search(prose):
        message = f"{page}: leave a line empty before a list: {(found[1] or found[2])!r}"
    else:
        return
    raise ValueError(message)


def _moved(text: str, page: str) -> str:
    """A page of the root with its links as they are seen from its place in the site."""

    def moved(match: re.Match[str]) -> str:
        target = _ROOT_PAGES.get(match[2], match[2].removeprefix("docs/"))
        if target.endswith("/"):
            target = _pages(DOCS, target)[0]
        return f"{match[1]}{'../' * page.count('/')}{target}"

    return _LINK.sub(moved, text)


if __name__ == "__main__":
    sys.exit(main())
