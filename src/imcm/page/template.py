"""
A page written as HTML: escaped, with its style and its script in it, both allowed by hash alone.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

from imcm.errors import MissingExtraError
from imcm.page.parts import Contents
from imcm.plain import plain

__all__ = ["rendered"]


def rendered(contents: Contents) -> str:
    """
    Return a page as HTML.

    Every word of the log is one line in which nothing is obeyed or hidden (`imcm.plain`), and is
    escaped. The policy in the page's head lets nothing be fetched, and nothing run but the script
    that is in the package.

    Raises:
        MissingExtraError: The library of templates is not installed.
    """
    try:
        from jinja2 import DictLoader, Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError:
        raise MissingExtraError("writing a page", "page") from None

    def shown(value: object) -> object:
        return value if isinstance(value, Markup) else plain(value)

    package = files("imcm.page")
    text = {name: (package / name).read_text(encoding="utf-8") for name in _FILES}
    # The name ends in .html for whoever decides by that; here everything is escaped anyway.
    environment = Environment(
        loader=DictLoader({"page.html": text["page.html"]}),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = text["page.css"], text["page.js"]
    return environment.get_template("page.html").render(
        page=contents,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 (a file of this package)
        script=Markup(script),  # noqa: S704
        svg=Markup,  # drawings are made and reduced to what draws by `charts.drawn`
    )


_FILES: Final = ("page.html", "page.css", "page.js")


def _policy(style: str, script: str) -> str:
    """Return what a browser may do: apply this style, run this script, and nothing else."""
    rules = (
        "default-src 'none'",
        f"style-src '{_hash(style)}'",
        f"script-src '{_hash(script)}'",
        "base-uri 'none'",
        "form-action 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return "; ".join(rules)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
