"""The template environment: everything escaped, everything ASCII, one inline style, no script; and its headers.

Templates are loaded when this module is: a page is rendered on the event loop, where no file may be opened.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gateway.reasons import ascii_text

_STYLE: Final = (files("gateway.console") / "templates" / "style.css").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

SECURITY_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        # CONTRACTS A.6: the link is the capability, so the page must not be kept, listed or sent on.
        "Cache-Control": "no-store",
        "X-Robots-Tag": "noindex, nofollow",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)


def _harmless(value: Any) -> Any:
    """Show text as ASCII: a Cyrillic letter in `acme` or a bidi override must be seen, not believed."""
    return ascii_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("gateway.console"),
    autoescape=True,
    auto_reload=False,
    cache_size=-1,
    finalize=_harmless,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_ENVIRONMENT.globals["style"] = Markup(_STYLE)  # noqa: S704 - our own file, shipped with the package
_TEMPLATES: Final = {name: _ENVIRONMENT.get_template(name) for name in _ENVIRONMENT.list_templates(["html"])}


def render(template: str, **values: object) -> str:
    """Return one template with these values; every string in them is escaped."""
    return _TEMPLATES[template].render(**values)
