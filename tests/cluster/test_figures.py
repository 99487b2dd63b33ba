"""What nodes have done, counted over hands and over foremen."""

from __future__ import annotations

from batcher.cluster.figures import NodeCount, Sum, values_of
from batcher.cluster.messages import NodeFigures, Standing


def test_a_node_s_time_counts_once_however_many_of_its_hands_read():
    """From the first that begins to the last that ends, and up to now while one goes on."""
    count = NodeCount(pages=30)
    count.begin(10.0)
    count.begin(11.0)
    count.end(12.0)
    assert count.figures("n", 2, 13.0).seconds == 3.0
    count.end(13.0)
    count.begin(20.0)
    count.end(22.0)
    figures = count.figures("n", 2, 99.0)
    assert (figures.seconds, figures.pages_per_second) == (5.0, 6.0)


def test_a_foreman_s_figures_are_added_to_those_of_earlier_ones():
    """Its hands end with it; a node without hands keeps what it has read."""
    total = Sum()
    first = total.with_foreman(Standing(2, [NodeFigures("a", 2, 5, 50, 1.0)], 1, 1))
    total.close(first)
    assert total.with_foreman(Standing()).lost_hands == 3
    then = total.with_foreman(Standing(1, [NodeFigures("b", 1, 1, 10, 1.0)], 0, 0))
    assert (then.hands, then.lost_hands, then.lost_nodes) == (1, 3, 1)
    assert {node.address: (node.hands, node.pages) for node in then.nodes} == {
        "a": (0, 50),
        "b": (1, 10),
    }
    again = total.with_foreman(Standing(2, [NodeFigures("a", 2, 1, 10, 0.5)], 1, 0))
    assert again.nodes == [NodeFigures("a", 2, 6, 60, 1.5)] and again.lost_hands == 4


def test_programs_get_rates_besides_counts():
    """A node that has read nothing has a rate of 0."""
    values = values_of(Standing(2, [NodeFigures("a", 1, 2, 9, 3.0), NodeFigures("b", 1)]))
    assert [node["pages_per_second"] for node in values["nodes"]] == [3.0, 0.0]
