"""Self-contained HTML pages: templates beside this file, one layout, everything from data escaped.

A page is a template ``NAME.html.j2`` that extends ``base.html.j2`` (blocks ``title``, ``lead`` and
``body``) and may import ``badge`` and ``number`` from ``parts.html.j2``. Nothing is loaded from
anywhere: a content security policy forbids scripts and every address but ``data:`` images.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.display import displayable
from configs.redaction import redact
from tasks.storage import write_text

if TYPE_CHECKING:
    from jinja2 import Environment

SUFFIX = ".html.j2"


def render(template: str, **context: object) -> str:
    """Return a page as HTML.

    Args:
        template: Name of a template in this package, with or without ``.html.j2``.
        context: What the template names; every value is escaped.

    Raises:
        jinja2.UndefinedError: The template names a value that is not given.
        jinja2.TemplateNotFound: There is no such template.
    """
    return _environment().get_template(template.removesuffix(SUFFIX) + SUFFIX).render(**context)


def write_page(path: Path, html: str) -> Path:
    """Write a page aside, rename it, and return its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html)
    return path


def _show(value: Any) -> Any:
    """Return a value as a page shows it: no secrets, and nothing that turns the writing."""
    # What is HTML already was made by us, of values that came through here.
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return displayable(redact(value))
    return value


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
