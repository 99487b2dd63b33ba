"""What a manifest may say of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.errors import ManifestError
from batcher.manifest import loading
from batcher.manifest.keys import read_manifest
from batcher.manifest.model import Cluster, Manifest


def manifest_with(cluster: dict[str, object], **more: object) -> Manifest:
    data = {"source": {"directory": "inbox"}, "output": {"directory": "out"}, "cluster": cluster}
    return read_manifest({**data, **more}, where="m.toml", folder=Path(), stem="m")


def test_a_table_without_keys_means_the_cluster_that_this_machine_is_part_of():
    """With as many hands as there is room for; without the table there is none."""
    assert manifest_with({}).cluster == Cluster()
    data = {"source": {"directory": "inbox"}, "output": {"directory": "out"}}
    assert read_manifest(data, where="m.toml", folder=Path(), stem="m").cluster is None


def test_sizes_and_resources_are_read():
    """Memory in bytes, resources as amounts by name."""
    cluster = manifest_with({"hands": 64, "memory": "2GB", "resources": {"ocr": 1}}).cluster
    assert cluster == Cluster(hands=64, memory=2_000_000_000, resources={"ocr": 1})


@pytest.mark.parametrize(
    "cluster, words",
    [
        ({"engine": "dask"}, '"dask" is not known'),
        ({"hands": 0}, "cluster.hands: a whole number"),
        ({"resources": {"ocr": "much"}}, "cluster.resources: a number"),
        ({"resources": 3}, "cluster.resources: a table of amounts by name is wanted"),
        ({"adress": "auto"}, "did you mean address?"),
    ],
)
def test_what_is_wrong_is_told(cluster: dict[str, object], words: str):
    """By its key, with what is wanted."""
    with pytest.raises(ManifestError, match=words.replace("?", r"\?")):
        manifest_with(cluster)


def test_ray_and_something_to_do_are_needed(monkeypatch, tmp_path):
    """Both are told of at once, with the command that installs the extra."""
    monkeypatch.setattr(loading, "find_spec", lambda name: None if name == "ray" else object())
    path = tmp_path / "m.toml"
    path.write_text(
        'service = "reducto"\nsource = { url = "s3://inbox", transfer = "presign" }\n'
        'output = { directory = "out" }\n'
        "[cluster]\n"
    )
    with pytest.raises(ManifestError) as told:
        loading.load(path)
    words = str(told.value)
    assert "pip install 'reducto-batcher[ray]'" in words
    assert "there is nothing for a cluster to upload (take it out, or set " in words
