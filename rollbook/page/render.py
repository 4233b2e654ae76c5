"""Templates made into HTML: the door to Jinja. Every text is escaped by the templates, whoever has written it.

Imported when a page is shown, and by nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rollbook.genesys.program.inert import inert_block
from rollbook.page.views import overview, words

# What the templates name and some pages do without.
_WITHOUT: Final[Mapping[str, Any]] = {"one_file": False, "organization": None, "digest": None}


def _inert(value: Any) -> Any:
    """A text without what hides or turns the writing; what is markup already is ours."""
    return inert_block(value) if value.__class__ is str else value


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("rollbook.page", "templates"),
        autoescape=True,
        finalize=_inert,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        minute=words.minute,
        second=words.second,
        between=words.between,
        is_apart=words.is_apart,
        percent=words.percent,
        number=words.number,
        length_of=words.length,
        window_link=words.window_link,
        state_words=overview.state_words,
        ticked=_ticked,
    )
    made.globals["meanings"] = words.MEANINGS
    parts = made.get_template("parts.html").module
    made.globals.update({name: getattr(parts, name) for name in ("mark", "verdict", "still", "times")})
    return made


def prepare() -> None:
    """Compile the templates, which takes a moment: before anybody asks for a page."""
    for name in ("overview.html", "window.html", "conversation.html", "message.html"):
        _environment().get_template(name)


def _ticked(text: str) -> Markup:
    """A sentence in which `words` between ticks are commands; everything is escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(text)
    return Markup().join(
        Markup("<code>{}</code>").format(part) if at % 2 else Markup.escape(part) for at, part in enumerate(parts)
    )


def page(template: str, values: Mapping[str, Any]) -> str:
    """A whole page. values: what the template names."""
    return _environment().get_template(template).render({**_WITHOUT, **values})


def parts(template: str, names: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, str]:
    """Parts of a page, by their names: what its blocks of these names become."""
    found = _environment().get_template(template)
    context = found.new_context({**_WITHOUT, **values})
    return {name: "".join(found.blocks[name](context)) for name in names}


def one_file(template: str, values: Mapping[str, Any]) -> str:
    """A page that needs nothing else: its style is in it, and a policy that lets nothing more in."""
    style = asset("page.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    own = {"one_file": True, "style": Markup(style), "style_digest": digest}  # noqa: S704
    return page(template, {**values, **own})


@cache
def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return files("rollbook.page").joinpath("templates", name).read_text(encoding="utf-8")
