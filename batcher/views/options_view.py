"""The API's options as people look them up: searched by words, without a network."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, Final

from batcher.reducto.option_meanings import Option, default_of

PARSING: Final = "parsing"


def matching(options: Iterable[Option], words: Sequence[str]) -> list[Option]:
    """Return the options that have all words in path, values or meaning; by their names first."""
    wanted = [word.casefold() for word in words]
    found = [one for one in options if all(word in _text(one) for word in wanted)]
    return sorted(found, key=lambda one: not all(word in one.path.casefold() for word in wanted))


def _text(option: Option) -> str:
    words = [f"job.options.{option.path}", *option.values, option.about]
    return " ".join(words).casefold()


def suggestion(options: Iterable[Option], words: Sequence[str]) -> str:
    """Return the option's name that was probably meant, or ""."""
    parts = (part for one in options for part in (one.name, *one.name.split("_")))
    names = list(dict.fromkeys(parts))
    for word in words:
        near = difflib.get_close_matches(word.rpartition(".")[2].casefold(), names, n=1, cutoff=0.6)
        if near:
            return near[0]
    return ""


def without_parsing(options: Iterable[Option]) -> list[Option]:
    """Return the options without those that are parse's."""
    return [one for one in options if not one.path.startswith(f"{PARSING}.")]


def option_words(options: Sequence[Option], *, width: int) -> str:
    """Return each option with its type and default, and what it means below."""
    return "\n".join(line for one in options for line in _lines(one, width))


def _lines(option: Option, width: int) -> list[str]:
    facts = f"{option.type} {', '.join(option.values)}" if option.values else option.type
    if option.required:
        facts += "; required"
    elif option.default:
        facts += f"; default {option.default}"
    return [option.path, *_indented(facts, width), *_indented(option.about, width)]


def _indented(text: str, width: int) -> list[str]:
    return [
        f"    {line}" for line in textwrap.wrap(text, max(width - 4, 20), break_on_hyphens=False)
    ]


def option_values(option: Option) -> dict[str, Any]:
    """Return an option as values for a program. `default` is absent where there is none."""
    return {
        "endpoint": option.endpoint,
        "option": option.path,
        "key": f"job.options.{option.path}",
        "type": option.type,
        "values": list(option.values),
        "required": option.required,
        **({"default": default_of(option)} if option.default else {}),
        "about": option.about,
    }
