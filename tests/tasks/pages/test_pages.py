import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined, UndefinedError

from tasks import pages
from tasks.pages import render, write_page


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.tags


def test_the_layout_forbids_scripts_and_loads_nothing() -> None:
    html = render("base")
    policy = next(a for t, a in _tags(html) if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not re.search(r"https?://|@import|url\(", html)
    assert all(t != "script" for t, _ in _tags(html))


def test_every_shipped_template_names_no_address_and_marks_nothing_safe() -> None:
    templates = list(Path(pages.__file__).parent.glob("*.html.j2"))
    assert templates
    for template in templates:
        text = template.read_text()
        assert not re.search(r"https?://|\|\s*safe\b|<script", text), template.name


def test_a_template_is_found_with_or_without_its_suffix() -> None:
    assert render("base") == render("base.html.j2")


def test_a_value_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("verdicts")


def test_the_verdict_words_all_have_a_badge_colour() -> None:
    css = render("base")
    for word in ("pass", "quarantine", "block", "PASS", "FAIL", "INCONCLUSIVE"):
        assert f".badge-{word.lower()}" in css


def test_a_badge_escapes_what_it_is_given() -> None:
    environment = pages._environment()
    assert isinstance(environment, Environment)
    assert environment.undefined is StrictUndefined
    badge = environment.get_template("parts.html.j2").module.badge  # type: ignore[attr-defined]
    assert "<script>" not in str(badge("<script>"))


def test_a_page_is_written_whole_and_its_folder_is_made(tmp_path: Path) -> None:
    path = write_page(tmp_path / "a" / "page.html", "<p>ü</p>")
    assert path.read_text(encoding="utf-8") == "<p>ü</p>"
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
