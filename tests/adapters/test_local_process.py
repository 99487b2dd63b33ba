"""What a run says where its own service doesn't start."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from batcher.adapters import local_process
from batcher.adapters.local_process import OnCluster, serving
from batcher.cluster.on_ray import SILENCE
from batcher.errors import ServiceUnusable
from batcher.manifest.model import Cluster
from batcher.service.arguments import service_options


def test_a_service_that_is_late_is_not_said_to_have_said_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, and the person is told to try again."""
    late = tmp_path / "late"
    late.write_text("#!/bin/sh\nexec sleep 600\n")
    late.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(late))
    monkeypatch.setattr(local_process, "PATIENCE", 0.1)
    told = r"wasn't ready after .*rerun the same command"
    with pytest.raises(ServiceUnusable, match=told), serving(tmp_path / "data"):
        pass


def test_a_service_has_time_to_give_its_cluster_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it is ended before it has said that there is none: `plan --check` waits five seconds."""
    monkeypatch.setattr(sys, "executable", "/bin/true")
    on = OnCluster(Cluster(), 5.0, lambda standing: None, lambda why, code: None)
    process = local_process._Process(tmp_path, on=on)
    process.tell_to_end()
    process.wait()
    assert process._patience > SILENCE + 5


@pytest.mark.parametrize("seconds", [1e-7, 0.25, 90.0, 43200.0, 315360000.0])
def test_the_service_reads_every_duration_that_it_is_given(seconds: float) -> None:
    """Its options take no exponents."""
    command = click.Command("service", callback=lambda **words: words["retention"])
    given = ["--retention", local_process._digits(seconds)]
    context = service_options(command).make_context("service", given)
    assert context.params["retention"] == seconds
