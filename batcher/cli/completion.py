"""Completion of words in bash, zsh and fish: values of options, and the command `completion`.

A shell asks at each Tab, so nothing heavy is loaded here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
)
from click.shell_completion import split_arg_string as words_of

if TYPE_CHECKING:
    from batcher.manifest.keys import Key

VARIABLE: Final = "_BATCHER_COMPLETE"
SHELLS: Final = ("bash", "zsh", "fish")
_BREAKS: Final = "=:"  # bash takes these for the ends of words


class _Bash(BashComplete):
    """Completes words that hold `=`, as in `-S job.priority=true`, and sets no space after `=`.

    Click's own class is told of `job.priority`, `=` and `true` as of three words.
    """

    source_template = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value

    response=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete $1)

    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"

        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            [[ $value == *= ]] && compopt -o nospace
        fi
    done

    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        words = words_of(line)[1:]
        if not words or line[-1:].isspace():
            return words, ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Leave out what stands before the last break: bash replaces only what follows it."""
        _, word = self.get_completion_args()
        kept = max(word.rfind(sign) for sign in _BREAKS) + 1
        value = item.value[kept:] if item.value.startswith(word[:kept]) else item.value
        return f"{item.type},{value}"


class _WholeWords(ShellComplete):
    """Completes `--service=red` to a whole word, as zsh and fish want it.

    Click leaves `--service=` out of what it offers.
    """

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        items = super().get_completions(args, incomplete)
        name, equals, _ = incomplete.partition("=")
        if not (equals and name.startswith("--")):
            return items
        return [
            CompletionItem(f"{name}={item.value}", item.type, item.help)
            if item.type == "plain"
            else item
            for item in items
        ]


class _Zsh(_WholeWords, ZshComplete):
    pass


class _Fish(_WholeWords, FishComplete):
    pass


for _kind in (_Bash, _Zsh, _Fish):
    add_completion_class(_kind)


@click.command(short_help="Print what makes a shell complete batcher's words.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script by which a shell completes commands, options and their values.

    \b
    eval "$(batcher completion bash)"                                   in ~/.bashrc
    eval "$(batcher completion zsh)"                                    in ~/.zshrc, after compinit
    batcher completion fish > ~/.config/fish/completions/batcher.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(
        kind(click.get_current_context().find_root().command, {}, "batcher", VARIABLE).source()
    )


def services(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of a known service."""
    from batcher.manifest.model import LOCAL
    from batcher.reducto.api_types import SERVICES

    known = {LOCAL: "on this machine, without an account", **SERVICES}
    return [
        CompletionItem(name, help=what) for name, what in known.items() if name.startswith(start)
    ]


def endpoints(ctx: click.Context, param: click.Parameter, start: str) -> list[CompletionItem[str]]:
    """Complete the name of an endpoint."""
    from batcher.reducto.api_types import ENDPOINTS

    return [CompletionItem(name) for name in ENDPOINTS if name.startswith(start)]


def assignments(
    ctx: click.Context, param: click.Parameter, start: str
) -> list[CompletionItem[str]]:
    """Complete a key of the manifest, or its value where only a few are accepted."""
    from batcher.manifest.keys import MANIFEST

    path, equals, _ = start.partition("=")
    keys = {**dict(_keys(MANIFEST)), **_options(ctx.params.get("endpoint"))}
    if equals:
        values = keys[path][1] if path in keys else ()
        offered = ((f"{path}={value}", "") for value in values)
    else:
        offered = ((f"{name}=", about) for name, (about, _) in keys.items())
    return [
        CompletionItem(text, help=about or None)
        for text, about in offered
        if text.startswith(start)
    ]


# what a key means, and the values that it takes if they are few
_About = tuple[str, Iterable[str]]


def _keys(table: dict[str, Key], before: str = "") -> Iterator[tuple[str, _About]]:
    for name, key in table.items():
        if key.table is None:
            # metadata and headers have keys of the user's own
            yield f"{before}{name}", (key.about, _values(key.kind, key.among))
        elif key.kind != "table of tables":
            yield from _keys(key.table, f"{before}{name}.")
        if key.kind == "service":
            yield name, (key.about, key.table["name"].among if key.table else ())


def _values(kind: str, among: tuple[str, ...]) -> Iterable[str]:
    if kind == "list of strings":
        return ()  # a shell would take the quotes away
    return ("true", "false") if kind == "boolean" else among


def _options(endpoint: str | None) -> dict[str, _About]:
    """Return the options of the API for an endpoint, parse unless another is named."""
    from batcher.reducto.option_shapes import SHAPES

    return dict(_leaves(SHAPES.get(endpoint or "parse", {}), "job.options"))


def _leaves(shape: Any, path: str) -> Iterator[tuple[str, _About]]:
    match shape:
        case {"keys": keys}:
            for name, inner in keys.items():
                yield from _leaves(inner, f"{path}.{name}")
        case {"among": values}:
            yield path, ("", values)
        case "boolean":
            yield path, ("", ("true", "false"))
        case list():  # alternatives, null often among them
            telling = (one for one in shape if isinstance(one, dict) or one == "boolean")
            yield from _leaves(next(telling, "any"), path)
        case _:
            yield path, ("", ())
