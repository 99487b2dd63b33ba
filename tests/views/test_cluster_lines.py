"""How a cluster is, in words: what its nodes read, or what they do with files."""

from __future__ import annotations

from batcher.cluster.figures import values_of
from batcher.cluster.messages import NodeFigures, Standing
from batcher.runs.checks import Checked
from batcher.views.cluster_lines import cluster_lines
from batcher.views.plan_view import check_words


def lines(standing: Standing) -> list[str]:
    return list(cluster_lines(values_of(standing), under_way=True))


def test_nodes_that_move_files_are_said_to():
    """What they have hashed and uploaded, or that they could."""
    nodes = [
        NodeFigures("10.0.0.7", 1, hashed=3, uploaded=2, bytes=4_000_000),
        NodeFigures("10.0.0.8", 2),
    ]
    assert lines(Standing(3, nodes, for_files=True)) == [
        "cluster: 3 hands on 2 nodes",
        "  10.0.0.7: 3 files hashed, 2 uploaded (4.0 MB)",
        "  10.0.0.8: 2 hands for large files",
    ]


def test_nodes_that_read_are_said_to():
    """With how they get at documents, until they have read one."""
    nodes = [NodeFigures("10.0.0.7", 1, documents=1, pages=9, seconds=3.0), NodeFigures("b", 1)]
    assert lines(Standing(2, nodes))[1:] == [
        "  10.0.0.7: 1 document, 9 pages, 3 pages a second",
        "  b: 1 hand, is sent documents",
    ]


def test_what_an_earlier_version_put_on_record_is_read():
    """It knew of no files."""
    values = values_of(Standing(1, [NodeFigures("b", 1)]))
    del values["for_files"]
    assert list(cluster_lines(values, under_way=True))[1] == "  b: 1 hand, is sent documents"


def test_a_node_that_is_not_used_is_told_of_once_by_a_check():
    """The run's warning says the same."""
    why = "node 10.0.0.9 has batcher 0.0.9"
    cluster = values_of(Standing(1, [NodeFigures("10.0.0.7", 1)], refused=[why]))
    said = check_words(Checked("s", True, True, True, (why, "another"), cluster))
    assert said.count(why) == 1 and "warning    another" in said
