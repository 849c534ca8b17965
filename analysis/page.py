"""Self-contained pages: one frame, one style, and no script but our own may run."""

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, template: str, scripts: Sequence[str] = (), **values: Any) -> Path:
    """Writes a page whole or not at all.

    Args:
        path: Where to; its folder is made if it is not there.
        template: Name of the template, which extends `page.html`.
        scripts: Names of the scripts that go into it, one after the other.
        values: What the template shows; text in them is escaped.

    Returns:
        The path.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["breakable"] = _breakable
    script = "\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in scripts)
    page = environment.get_template(template).render(
        style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        script=script,
        # Only this script may run, even if text from outside were ever to slip through unescaped.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        **values,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(page, encoding="utf-8")
    temporary.replace(path)
    return path


def _breakable(name: str) -> Markup:
    """Escapes a name and lets a long one break after an underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))
