"""Templates and static files of the package, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from batcher.common.formatting import (
    format_bytes,
    format_duration,
    format_usd,
)
from batcher.common.secrets import redact_urls
from batcher.common.shell_words import typed, typed_name
from batcher.views.page import LOOK, SCRIPT
from batcher.views.plots import share_bar
from batcher.views.status import plain

STATIC: Final = "/static/"
TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    content_type: str
    body: bytes
    version: str  # changes with the content


class StaticFiles:
    """The styles and scripts of the package by name; no other file can be asked for."""

    def __init__(self) -> None:
        own = files("batcher.web").joinpath("static")
        self._files = {
            file.name: _static(file.name, file.read_bytes())
            for file in own.iterdir()
            if _suffix(file.name) in TYPES
        }
        self._files["look.css"] = _static("look.css", LOOK.encode())
        self._files["report.js"] = _static("report.js", SCRIPT.encode())

    def get(self, name: str) -> StaticFile | None:
        return self._files.get(name)

    def address(self, name: str) -> str:
        """Return where the file can be had, by an address that changes with its content."""
        return f"{STATIC}{quote(name)}?{self._files[name].version}"


@dataclass(frozen=True, slots=True)
class Tab:
    """A page beside others of the same batch; `name` is the last part of its address."""

    name: str
    words: str


class Templates:
    """Makes HTML of the templates in this package. Whatever is filled in is escaped."""

    def __init__(self, static: StaticFiles, *, tabs: Sequence[Tab]) -> None:
        self._environment = Environment(
            loader=PackageLoader("batcher.web", "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
            auto_reload=False,
        )
        self._environment.filters.update(_FILTERS)
        self._environment.globals.update(
            static=static.address, tabs=tabs, tab_names=[tab.name for tab in tabs]
        )

    def render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(**values)


def clean(words: object) -> str:
    """Return words of a file or a service without signed links, secrets and odd characters."""
    return plain(redact_urls(str(words)))


def words_of(state: str) -> str:
    """Return the name of a state as people write it."""
    return state.replace("_", " ")


def number(value: float) -> str:
    return f"{value:,.12g}"


def counted(value: float, thing: str) -> str:
    """Return a number with its noun, as in 1 document and 12,000 documents."""
    return f"{number(value)} {thing}{'' if value == 1 else 's'}"


def credited(amount: float) -> str:
    """Return a number of credits with its noun, rounded as money is."""
    return counted(round(amount, 2), "credit")


def moment(at: float) -> str:
    """Return a Unix time by the local clock."""
    return f"{datetime.fromtimestamp(at):%Y-%m-%d %H:%M:%S}"


def sentence(words: str) -> str:
    """Return words that begin as a sentence does."""
    return words[:1].upper() + words[1:]


def drawn_share(share: float) -> Markup:
    """Return a bar of which the part `share`, 0 to 1, is filled."""
    return Markup(share_bar(share))  # noqa: S704  made of a number


_FILTERS: Final = {
    "bytes": format_bytes,
    "clean": clean,
    "counted": counted,
    "credits": credited,
    "duration": format_duration,
    "moment": moment,
    "number": number,
    "sentence": sentence,
    "share_bar": drawn_share,
    "shell": typed,
    "shell_name": typed_name,
    "usd": format_usd,
    "words": words_of,
}


def _static(name: str, body: bytes) -> StaticFile:
    return StaticFile(TYPES[_suffix(name)], body, sha256(body).hexdigest()[:12])


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
