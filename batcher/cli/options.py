"""`batcher options`: the API's options, looked up without a network."""

from __future__ import annotations

import difflib
import json
import shlex
import shutil

import click

from batcher.cli.completion import endpoints
from batcher.cli.group import main


@main.command()
@click.argument("words", metavar="[ENDPOINT] [WORD]…", nargs=-1, shell_complete=endpoints)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON on stdout.")
def options(words: tuple[str, ...], as_json: bool) -> None:
    """Look up the API's options: type, values, default and meaning.

    All of an endpoint, or those that have each WORD in their name, values or meaning; of every
    endpoint where none is named.

    \b
    batcher options parse
    batcher options parse chunk
    batcher options citations
    """
    from batcher.reducto.api_types import ENDPOINTS
    from batcher.reducto.option_meanings import options_of
    from batcher.views.options_view import (
        matching,
        option_values,
        option_words,
        suggestion,
        without_parsing,
    )

    known = tuple(ENDPOINTS)
    named = [word for word in words[:1] if word in known]
    asked = words[len(named) :]
    searched = [one for endpoint in named or known for one in options_of(endpoint)]
    found = matching(searched, asked)
    if not found:
        raise click.UsageError(_nothing(asked, known, suggestion(searched, asked)))
    if as_json:
        click.echo(json.dumps([option_values(one) for one in found], ensure_ascii=False))
        return
    width = min(shutil.get_terminal_size().columns, 100)
    if not named and not asked:
        click.echo("\n".join(known))
        click.echo("batcher options ENDPOINT shows the options of one; WORD searches all", err=True)
        return
    # parse's own say it all, unless they are searched for
    short = without_parsing(found) if not asked or not named else found
    for endpoint in named or known:
        part = [one for one in short if one.endpoint == endpoint]
        if part and not named:
            click.echo(f"{endpoint}:")
        if part:
            click.echo(option_words(part, width=width))
    click.echo(
        "set one by -S job.options.NAME=VALUE (a list or a table as JSON), or below [job.options] "
        "in a manifest",
        err=True,
    )


def _nothing(asked: tuple[str, ...], known: tuple[str, ...], near: str) -> str:
    words = " ".join(asked)
    endpoint = difflib.get_close_matches(asked[0], known, n=1, cutoff=0.7)
    if endpoint:
        near = shlex.join((endpoint[0], *asked[1:]))
    if near:
        command = "batcher options " + near
        return f"no option has {words!r}; did you mean: {command}?"
    return f"no option has {words!r}; batcher options parse lists all of parse"
