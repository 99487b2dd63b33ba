"""Imports point one way, and core is pure."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import batcher

ROOT = Path(batcher.__file__).parent
ORDER = (
    "exit_codes errors doorkeeper common reducto manifest core sources cluster adapters ledger"
    " outputs stages runs maintenance"
    " views results batches api aio blocking web cli"
).split()
INSIDE = {
    "reducto": "api_types public_addresses request_schema error_rules job rate_card page_selection"
    " option_shapes option_meanings option_checks citations results result_places result_fields"
    " result_content result_links links_within"
    " webhook_signature address_lists inputs responses calls exchange file_body presigned client"
    " fake_client",
    "cluster": "file_tasks messages figures turns room parcels file_work hands hand file_hand crew"
    " orders file_orders foreman local on_ray",
    "ledger": "filesystem lock connection queries.rows queries.fragments queries.notes"
    " queries.failed_documents"
    " queries.sending queries.tracking queries.sharing queries.audit queries.repair"
    " queries.reporting queries.run_history queries.run_activity queries.storage"
    " queries.cancelling queries.document_filter queries.document_list queries.sampling"
    " queries.source_place claim journal schema sqlite_tools migrations"
    " integrity run_spend event_writes intake writer ledger remembered"
    " named derived_outputs statistics history reader",
    "runs": "preflight callback cluster_record hands metrics mirror_claim notifications wiring"
    " end_of_run kinds cancelling running plan checks document_cache one_document",
    "results": "document frames reader",
    "maintenance": "candidates retry verify rebuild rebuild_from_job_list export rehearsal demo"
    " storage prune sample_file",
}
IMPURE = {
    "asyncio",
    "os",
    "time",
    "random",
    "socket",
    "sqlite3",
    "threading",
    "subprocess",
    "aiohttp",
    "aiofiles",
    "tenacity",
    "tqdm",
}
# Rooms of rules, and the modules in them that touch more than memory.
IMPURE_MODULES: Final = {
    "core": set[str](),
    "reducto": {"client", "exchange", "fake_client", "file_body", "presigned", "public_addresses"},
    "manifest": {"loading", "certificates"},
    "common": {
        "child_environment",
        "group_writer",
        "missing_paths",
        "private_files",
        "signals",
        "text_files",
    },
}
GIVEN_A_RANDOM: Final = {"core.retry_policy", "core.inflight", "core.sample"}
CLOCKS: Final = re.compile(r"\b(?:datetime\.now|date\.today|time\.time|time\.monotonic)\b")
HOMES = {
    "aiohttp": {
        "reducto.client",
        "reducto.exchange",
        "reducto.presigned",
        "reducto.public_addresses",
        "adapters.webhook_receiver",
        "adapters.notifications",
        "adapters.metrics_endpoint",
        "adapters.small_server",
        "web",
    },
    "jinja2": {"web.templating"},
    "sqlite_utils": {"ledger.sqlite_tools"},
    "aiofiles": {"reducto.client", "reducto.file_body"},
    "obstore": {"outputs.mirror", "sources.object_store", "sources.signed_addresses"},
    "pyarrow": {"outputs.parquet", "sources.listing", "results.frames", "results.reader"},
    "pandas": {"results.frames", "results.reader"},
    "tenacity": {"reducto.client"},
    "asyncio_throttle": {"adapters.rate_limits"},
    "tqdm": {"views.progress"},
    "prometheus_client": {"runs.metrics"},
    "ray": {"cluster.foreman", "cluster.crew", "cluster.hand", "cluster.file_hand"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@cache
def modules() -> dict[str, set[str]]:
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name] = imports(path)
    return found


def room(name: str) -> str:
    return name.removeprefix("batcher.").split(".")[0]


def test_imports_point_one_way() -> None:
    """Each room imports from those before it in ORDER, and from none after it."""
    for name, used in modules().items():
        if room(name) not in ORDER:
            continue
        for other in {room(u) for u in used if u.startswith("batcher.")} & set(ORDER):
            assert ORDER.index(other) <= ORDER.index(room(name)), f"{name} imports {other}"


@pytest.mark.parametrize("room", INSIDE)
def test_imports_point_one_way_inside(room: str) -> None:
    """What opens a batch knows nothing of what runs it, nor that of what plans it; a query nothing
    of what writes.
    """
    order = INSIDE[room].split()
    inside = {
        name.partition(".")[2]: used
        for name, used in modules().items()
        if name.startswith(f"{room}.")
    }
    modules_there = {name for name in inside if name.split(".")[-1] != "__init__"}
    assert modules_there == set(order)
    for name in modules_there:
        found = {u.removeprefix(f"batcher.{room}.") for u in inside[name]}
        for other in order:
            if not any(f"{u}.".startswith(f"{other}.") for u in found):
                continue
            assert order.index(other) <= order.index(name), f"{room}.{name} imports {other}"


# What both sides of the wire may import. `common` is neither's: it holds what is the same for both
# and of no side's rules, as the group writer of an SQLite file and the judge of addresses are.
WIRE: Final = ("batcher.reducto.api_types", "batcher.reducto.request_schema")
SHARED: Final = {"errors", "exit_codes", "doorkeeper", "common"}
# Hands read documents for the service: they know its tasks, and the process that does them.
OF_HANDS: Final = {
    f"batcher.service.{name}" for name in ("tasks", "workers", "rendering", "shared_pages")
}


def test_the_service_shares_only_the_wire_the_errors_and_what_is_common() -> None:
    """The other side of the wire knows nothing of ledgers and stages."""
    for name, used in modules().items():
        if room(name) == "service":
            strangers = {
                u
                for u in used
                if u.startswith("batcher.") and room(u) not in {"service", "cluster", *SHARED}
            }
            assert all(u.startswith(WIRE) for u in strangers), f"{name}: {strangers}"
        elif room(name) == "cluster":
            reached = {u.rpartition(".")[0] for u in used if u.startswith("batcher.service")}
            assert reached <= OF_HANDS, f"{name}: {reached}"
        elif room(name) not in ("cli", "__init__", "testing"):
            assert not {u for u in used if u.startswith("batcher.service")}, (
                f"{name} reaches into the service"
            )


@pytest.mark.parametrize("room", IMPURE_MODULES)
def test_rules_are_pure(room: str) -> None:
    """No I/O, no clock and no chance of its own; random.Random comes as an argument."""
    for name, used in modules().items():
        if name.startswith(f"{room}.") and name.partition(".")[2] not in IMPURE_MODULES[room]:
            tops = {u.split(".")[0] for u in used} & IMPURE
            assert tops <= ({"random"} if name in GIVEN_A_RANDOM else set()), f"{name}: {tops}"
            read = CLOCKS.findall((ROOT / name.replace(".", "/")).with_suffix(".py").read_text())
            assert not read, f"{name} reads a clock: {read}"


def test_each_library_has_one_home() -> None:
    """A second module that wants one shows a seam in the wrong place."""
    for name, used in modules().items():
        if room(name) == "service":
            continue
        for library, homes in HOMES.items():
            if any(u.split(".")[0] == library for u in used):
                assert {name, room(name)} & homes, f"{name} imports {library}"


def test_ray_is_only_where_nothing_else_is() -> None:
    """Ray may end the process that imports it: nobody reaches its modules but the foreman, which
    nobody imports.
    """
    with_ray = {"crew", "hand", "file_hand", "orders", "file_orders", "foreman"}
    for name, used in modules().items():
        reached = {
            other
            for other in with_ray
            for u in used
            if f"{u}.".startswith(f"batcher.cluster.{other}.")
        }
        assert not reached or name.removeprefix("cluster.") in with_ray, f"{name}: {reached}"
        assert "foreman" not in reached, name


# Words that only the API's own rooms know: its endpoints, how it names inputs, its statuses, the
# option for its queue and the headers of its webhooks.
VENDORS_WORDS: Final = re.compile(
    r"/(?:parse|extract|split|pipeline|classify|edit|upload|cancel|configure_webhook|version)"
    r"(?:_async)?\b"
    r"|/jobs?\b|reducto://|jobid://|queue_priority|svix-|webhook-(?:id|timestamp|signature)\b",
    re.IGNORECASE,
)
VENDORS_STATUSES: Final = {401, 402, 403, 404, 409, 410, 413, 415, 422, 429, 442, 503}
VENDORS_ROOMS: Final = {"reducto", "service", "cluster"}  # a hand reports what the service answers
# Where one of them stands all the same, and why.
VENDORS_WORDS_ELSEWHERE: Final[dict[str, dict[str | int, str]]] = {
    "errors": dict.fromkeys(
        (403, 429), "both sides of the wire raise these errors, and `reducto` stands above them"
    ),
    "adapters.webhook_receiver": dict.fromkeys(
        (401, 413, 429), "what the receiver itself answers, as any HTTP server does"
    ),
    "manifest.keys": {"queue_priority": "a key of the manifest, which people write"},
    "core.cost_estimate": {"queue_priority": "names the manifest's key to people"},
    "ledger.migrations": dict.fromkeys(
        ("reducto://", "jobid://"),
        "reads the inputs of earlier versions, whatever they are called by then",
    ),
    # Rewritten at the moment; the words go when that is done.
    "core.sending": dict.fromkeys(
        (402, 404, 410), "a submission's refusal belongs into `reducto.error_rules`"
    ),
    "stages.recovery": {429: "`Busy.is_too_fast` says it"},
}


def literals(path: Path) -> Iterator[str | int]:
    """The strings and whole numbers in the code of a module; docstrings are left out."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in docstrings:
            continue
        if isinstance(node.value, bytes):
            yield node.value.decode("latin-1")
        elif type(node.value) in (str, int):
            yield node.value


def test_the_vendor_s_words_stand_in_its_rooms_alone() -> None:
    """Another room that needs one asks `reducto` for it by a name."""
    for path in sorted(ROOT.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if room(name) in VENDORS_ROOMS:
            continue
        allowed = VENDORS_WORDS_ELSEWHERE.get(name, {})
        for value in literals(path):
            words = VENDORS_WORDS.findall(value) if isinstance(value, str) else []
            if isinstance(value, int) and value in VENDORS_STATUSES:
                words = [value]
            for word in words:
                assert word in allowed, f"{name} knows {word!r}"
