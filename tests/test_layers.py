"""Imports point one way, and core is pure."""

import ast
from pathlib import Path

import pytest

import batcher

ROOT = Path(batcher.__file__).parent
ORDER = "errors exit_codes doorkeeper core ledger edges stages batch care api faces cli".split()
INSIDE = {
    "ledger": "volume hold queries payers schema migrations journal soundness purse effects admission writer ledger"
    " remembered derived statistics stories records",
    "batch": "opening callback news fittings runs running plan checking",
    "care": "candidates retrying verifying rebuilding relisting export",
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
HOMES = {
    "aiohttp": {"edges.client", "edges.reach", "edges.webhook", "edges.notify"},
    "sqlite_utils": {"ledger.ledger", "ledger.migrations", "ledger.admission"},
    "aiofiles": {"edges.client"},
    "obstore": {"edges.mirror", "edges.objects"},
    "pyarrow": {"edges.parquet", "edges.listings"},
    "tenacity": {"edges.client"},
    "asyncio_throttle": {"edges.pace"},
    "tqdm": {"faces.progress"},
}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> dict[str, set[str]]:
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name] = imports(path)
    return found


def room(name: str) -> str:
    return name.removeprefix("batcher.").split(".")[0]


def test_imports_point_one_way() -> None:
    """errors < doorkeeper < core < ledger < edges < stages < batch < care < api < faces < cli."""
    for name, used in modules().items():
        if room(name) not in ORDER:
            continue
        for other in {room(u) for u in used if u.startswith("batcher.")} & set(ORDER):
            assert ORDER.index(other) <= ORDER.index(room(name)), f"{name} imports {other}"


@pytest.mark.parametrize("room", INSIDE)
def test_imports_point_one_way_inside(room: str) -> None:
    """What opens a batch knows nothing of what runs it, nor that of what plans it; a query nothing of what writes."""
    order = INSIDE[room].split()
    inside = {name.partition(".")[2]: used for name, used in modules().items() if name.startswith(f"{room}.")}
    assert set(inside) == {*order, "__init__"}
    for name, used in inside.items():
        for other in {u.split(".")[2] for u in used if u.startswith(f"batcher.{room}.")} & set(order):
            assert order.index(other) <= order.index(name), f"{room}.{name} imports {other}"


def test_the_service_shares_only_the_wire_the_errors_and_the_doorkeeper() -> None:
    """The other side of the wire knows nothing of ledgers and stages."""
    for name, used in modules().items():
        if room(name) == "service":
            strangers = {
                u for u in used if u.startswith("batcher.") and room(u) not in ("service", "errors", "doorkeeper")
            }
            assert all(u.startswith("batcher.core.wire") for u in strangers), f"{name}: {strangers}"
        elif room(name) not in ("cli", "__init__", "testing"):
            assert not {u for u in used if u.startswith("batcher.service")}, f"{name} reaches into the service"


def test_core_is_pure() -> None:
    """No I/O, no clock and no chance of its own; random.Random comes as an argument."""
    for name, used in modules().items():
        if room(name) == "core":
            tops = {u.split(".")[0] for u in used} & IMPURE
            assert tops <= {"random"} and ("random" not in tops or name in ("core.policy", "core.flight")), (
                f"{name}: {tops}"
            )


def test_each_library_has_one_home() -> None:
    """A second module that wants one shows a seam in the wrong place."""
    for name, used in modules().items():
        if room(name) == "service":
            continue
        for library, homes in HOMES.items():
            if any(u.split(".")[0] == library for u in used):
                assert name in homes, f"{name} imports {library}"
