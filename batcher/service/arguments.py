"""The options of the local service: one table for `batcher serve` and for the embedded service.

Imports nothing but click until a value is read, so that help is shown at once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from batcher.common.extras import install_command

if TYPE_CHECKING:
    from batcher.service.local import LocalOptions

KEY_VARIABLE: Final = "REDUCTO_API_KEY"
SECRET_VARIABLE: Final = "BATCHER_WEBHOOK_SECRET"  # noqa: S105 (a variable's name)
BYTES_IN: Final = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
SECONDS_IN: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST: Final = 10 * 365 * 86400  # seconds; a manifest takes no longer durations either


MOST_WORKERS: Final = 4096  # more than any machine has cores


class _Finite(click.FloatRange):
    """A number above 0, neither infinite nor NaN, which Python's `float` reads as well."""

    def __init__(self) -> None:
        super().__init__(0, min_open=True)

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number", param, ctx)
        return number


def _span(ctx: click.Context, option: click.Parameter, text: str) -> float:
    """Convert `12h`, `30m`, `45s`, `2d` or plain seconds into seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{text!r} is no duration; write 45s, 30m or 12h")
    seconds = float(match[1]) * SECONDS_IN[match[2]]
    if seconds > LONGEST:
        raise click.BadParameter(f"{text!r} is too long; ten years are the most")
    return seconds


def _orders(ctx: click.Context, option: click.Parameter, text: str) -> Any:
    from batcher.service.faults import read_orders

    try:
        return read_orders(text)
    except ValueError as problem:
        raise click.BadParameter(str(problem)) from problem


def _size(ctx: click.Context, option: click.Parameter, text: str) -> int:
    """Convert `2GB`, `500MB` or plain bytes into bytes."""
    match = re.fullmatch(r"(\d{1,19}(?:\.\d+)?)\s*(?:([kMG]?)B)?", text.strip())
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; write 500MB or 2GB")
    return int(float(match[1]) * BYTES_IN[match[2] or ""])


def _resources(
    ctx: click.Context, option: click.Parameter, pairs: tuple[str, ...]
) -> dict[str, float]:
    """Convert NAME=AMOUNT pairs into a dict."""
    matches = [re.fullmatch(r"([^=]+)=(\d{1,19}(?:\.\d+)?)", pair) for pair in pairs]
    for pair, match in zip(pairs, matches, strict=True):
        if match is None:
            raise click.BadParameter(f"{pair!r} is no amount of a resource; write ocr=1")
    return {match[1]: float(match[2]) for match in matches if match is not None}


FAULT_NAMES: Final = (
    "lost-reply late-acceptance reset 429-1000 429-2000 503-300 500 truncated-body slow stuck "
    "fail-transient "
    "early-expiry webhook-late webhook-duplicate listing-lag listing-bare limit-1000 limit-2000"
)
OPTIONS: Final[tuple[Callable[[Any], Any], ...]] = (
    click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=0,
        show_default="a free one",
        help="Port to listen on.",
    ),
    click.option(
        "--host",
        default="127.0.0.1",
        show_default=True,
        help="Address to listen on; others may reach it.",
    ),
    click.option(
        "--allow-host",
        "hosts",
        multiple=True,
        metavar="NAME",
        help="A Host header to accept, besides loopback's.",
    ),
    click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        default=Path(".batcher/service"),
        show_default=True,
        help="Where uploads, jobs and results are kept.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(0, MOST_WORKERS),
        default=0,
        show_default="one per core",
        help="Processes that read documents.",
    ),
    click.option(
        "--on",
        "engine",
        type=click.Choice(["ray"]),
        help="Read documents on the nodes of a Ray cluster instead (extra `ray`).",
    ),
    click.option(
        "--cluster-address",
        default="auto",
        show_default=True,
        metavar="ADDRESS",
        help="The cluster: HOST:PORT, `auto` for the one that this machine is of, or `local` to "
        "start one here.",
    ),
    click.option(
        "--hands",
        type=click.IntRange(0),
        default=0,
        show_default="as many as there is room for",
        help="Processes of the cluster that read documents, at most.",
    ),
    click.option(
        "--hand-cpus",
        type=_Finite(),
        default=1.0,
        show_default=True,
        help="Cores that each takes.",
    ),
    click.option(
        "--hand-memory",
        default="0",
        callback=_size,
        metavar="SIZE",
        help="Memory that each takes, as in 2GB.",
    ),
    click.option(
        "--hand-resource",
        "hand_resources",
        multiple=True,
        callback=_resources,
        metavar="NAME=AMOUNT",
        help="A resource of Ray's that each takes; may be repeated.",
    ),
    click.option(
        "--cluster-patience",
        callback=_span,
        default="2m",
        show_default=True,
        metavar="SPAN",
        help="How long the cluster may be gone.",
    ),
    click.option(
        "--retention",
        callback=_span,
        default="12h",
        show_default=True,
        metavar="SPAN",
        help="How long results stay, as in 45s, 30m or 12h; uploads stay 24h.",
    ),
    click.option(
        "--capacity",
        type=_Finite(),
        default=None,
        metavar="JOBS",
        help="How many jobs a second are begun at most, for rehearsals with a slow service.",
    ),
    click.option(
        "--api-key-env",
        default=KEY_VARIABLE,
        show_default=True,
        metavar="NAME",
        help="The variable that holds the key to accept; where it is empty a key is made up and "
        "printed.",
    ),
    click.option(
        "--pipelines",
        type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
        help="A folder of pipelines, one TOML file each, besides those that ship with batcher.",
    ),
    click.option(
        "--llm-url",
        metavar="URL",
        help="An OpenAI-compatible server that extracts instead of the rules; it is sent the text "
        "of documents.",
    ),
    click.option(
        "--llm-model",
        default="default",
        show_default=True,
        metavar="NAME",
        help="The model to ask for.",
    ),
    click.option(
        "--llm-key-env",
        metavar="NAME",
        help="The environment variable with its key, if it needs one.",
    ),
    click.option(
        "--allow-urls", is_flag=True, help="Fetch documents from public http(s) addresses."
    ),
    click.option(
        "--allow-loopback-urls", is_flag=True, help="With --allow-urls: from this machine as well."
    ),
    click.option(
        "--webhook",
        multiple=True,
        metavar="URL[#CHANNEL,…]",
        help="Where Svix-signed webhooks go; may be repeated.",
    ),
    click.option(
        "--webhook-secret-env",
        default=SECRET_VARIABLE,
        show_default=True,
        metavar="NAME",
        help="The environment variable with their secret: whsec_ and Base64.",
    ),
    click.option(
        "--chaos",
        callback=_orders,
        default="",
        metavar="NAME=RATE[:SECONDS],…",
        help="Faults to inject, for rehearsals; GET /__chaos lists those injected. NAME: "
        f"{FAULT_NAMES}.",
    ),
    click.option(
        "--seed",
        default=0,
        show_default=True,
        help="Seed for fault injection: the same seed makes the same faults.",
    ),
    click.option("--parser", default="batcher.service.parsing", hidden=True),
)


def service_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add all of `OPTIONS` to a command, in their order; `options_of` converts their values."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def options_of(words: dict[str, Any]) -> LocalOptions:
    """Return the service's options from the values of a command's.

    Raises click's UsageError if a secret, or something an option needs, is missing.
    """
    from batcher.service.local import LocalOptions
    from batcher.service.public_addresses import Reach

    cluster = _cluster(words)
    return LocalOptions(
        # a hand may run in another folder
        data_dir=words["data_dir"].resolve() if cluster else words["data_dir"],
        host=words["host"],
        hosts=words["hosts"],
        port=words["port"],
        workers=words["workers"] or os.cpu_count() or 1,
        patience=words["cluster_patience"],
        retention=words["retention"],
        capacity=words["capacity"],
        parser=words["parser"],
        pipelines=words["pipelines"],
        model=_model(words["llm_url"], words["llm_model"], words["llm_key_env"]),
        chaos=words["chaos"],
        seed=words["seed"],
        reach=Reach(words["allow_urls"], words["allow_loopback_urls"]),
        webhooks=_endpoints(words["webhook"], words["webhook_secret_env"]),
        cluster=cluster,
    )


def _cluster(words: dict[str, Any]) -> Any:
    """Return the cluster that is wanted, or None. Raises ClusterUnusable without the extra."""
    if words["engine"] is None:
        return None
    from batcher.cluster.messages import Wanted
    from batcher.cluster.on_ray import require_ray

    require_ray()
    return Wanted(
        address=words["cluster_address"],
        hands=words["hands"],
        cpus=words["hand_cpus"],
        memory=words["hand_memory"],
        resources=words["hand_resources"],
        parser=words["parser"],
        shared=str(words["data_dir"].resolve()),
    )


def _model(url: str | None, name: str, variable: str | None) -> Any:
    if url is None:
        return None
    from importlib.util import find_spec

    from batcher.service.llm import Model

    if not url.startswith(("http://", "https://")):
        raise click.UsageError(f"--llm-url {url!r} is no http(s) address")
    if find_spec("jsonschema") is None:
        raise click.UsageError(f"--llm-url needs the extra `llm`: {install_command('llm')}")
    if variable and not os.environ.get(variable):
        raise click.UsageError(f"--llm-key-env names {variable}, and that variable is empty")
    return Model(url, name, os.environ[variable] if variable else "")


def _endpoints(addresses: tuple[str, ...], variable: str) -> list[Any]:
    """Return the endpoints for webhooks, all with the same secret.

    The part of an address after `#` names the endpoint's channels.
    """
    if not addresses:
        return []
    from batcher.service.endpoints import Endpoint
    from batcher.service.webhook_sender import is_secret

    secret = os.environ.get(variable, "")
    if not is_secret(secret):
        raise click.UsageError(f"--webhook needs a secret (whsec_ and Base64) in {variable}")
    parts = [address.partition("#") for address in addresses]
    return [
        Endpoint(url, secret, frozenset(filter(None, channels.split(","))))
        for url, _, channels in parts
    ]
