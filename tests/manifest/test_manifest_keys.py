"""The manifest: every problem at once, each with its key and what to type instead."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from batcher.errors import ManifestError
from batcher.manifest.keys import json_schema, override, read_manifest
from batcher.manifest.loading import for_directory, load
from batcher.manifest.model import outline

GOOD = {"source": {"directory": "in"}, "output": {"directory": "out"}}


CERTIFICATE = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def problems(data: dict[str, object]) -> dict[str, str]:
    with pytest.raises(ManifestError) as caught:
        read_manifest(data, where="m.toml", folder=Path("/x"), stem="m")
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_the_least_manifest_is_filled_with_defaults() -> None:
    """A source and an output are all it takes."""
    manifest = read_manifest(GOOD, where="m.toml", folder=Path("/x"), stem="m")
    assert manifest.batch == "m"
    assert manifest.service.is_local
    assert manifest.sources[0].directory == Path("/x/in")
    assert manifest.output.ledger_path == Path("/x/out/.batcher/ledger.db")


def test_all_problems_are_shown_at_once() -> None:
    """Nobody mends a manifest one error a run."""
    found = problems(
        {"sorce": {}, "job": {"endpoint": "prase", "priority": "yes"}, "output": {"directory": 3}}
    )
    assert set(found) >= {"sorce", "source", "job.endpoint", "job.priority", "output.directory"}
    assert "did you mean source?" in found["sorce"]
    assert "did you mean parse?" in found["job.endpoint"]
    assert "true or false is wanted" in found["job.priority"]


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("output.directory", {"output": {"directory": "in/results"}}),
        ("output.ledger", {"output": {"directory": "out", "ledger": "in/below/x.db"}}),
        ("source.directory", {"source": [{"directory": "in"}, {"directory": "./in"}]}),
        ("job.options.input", {"job": {"options": {"input": "x"}}}),
        (
            "service.result_retention",
            {"service": {"name": "reducto", "result_retention": "twelve"}},
        ),
        ("service", {"service": "reductoo"}),
        ("limits.max_pages", {"limits": {"max_pages": 0}}),
        ("limits.stop_at", {"limits": {"stop_at": "25:00"}}),
        ("notify.url", {"notify": {"on": ["failed"]}}),
        ("prices.dollars_per_page", {"prices": {"dollars_per_page": {"prase": 0.01}}}),
        ("prices.card", {"prices": {"card": "old"}}),
        ("webhook.public_url", {"webhook": {"public_url": "hooks.example.com"}}),
        ("webhook.secret_env", {"webhook": {"mode": "svix"}}),
        ("source.directory", {"source": {"directory": "in", "listing": "a.csv"}}),
        ("source.listing", {"source": [{"directory": "in"}, {"listing": "in/a.csv"}]}),
        ("source.listing", {"source": [{"listing": "a.csv"}, {"listing": "b.csv"}]}),
        ("source.max_size", {"source": {"directory": "in", "max_size": "ten"}}),
        ("source.identity", {"source": {"listing": "l/a.csv", "identity": "token"}}),
        ("source.identity", {"source": {"directory": "in", "identity": {"ignore": ["token"]}}}),
        (
            "source.identity.ignore",
            {"source": {"listing": "l/a.csv", "identity": {"ignore": "token"}}},
        ),
        (
            "source.identity.ignores",
            {"source": {"listing": "l/a.csv", "identity": {"ignores": ["token"]}}},
        ),
        ("job.name", {"job": [{"name": "a"}, {}]}),
        ("job.name", {"job": [{"name": "a"}, {"name": "a"}]}),
        ("job.name", {"job": {"name": "../a"}}),
        ("job.metadata.batcher", {"job": {"metadata": {"batcher": "x"}}}),
        ("batch", {"batch": ""}),
        ("batch", {"batch": "two\nlines"}),
        ("service.api_key_env", {"service": {"name": "reducto", "api_key_env": "sk-live-0123"}}),
        ("service.ca_file", {"service": {"name": "reducto", "ca_file": ["ca.pem"]}}),
        ("service.requests_per_second", {"service": {"name": "reducto", "requests_per_second": 0}}),
        ("service.max_in_flight", {"service": {"name": "reducto", "max_in_flight": 0}}),
        ("service.result_retention", {"service": {"name": "reducto", "result_retention": 0}}),
        ("service.settle", {"service": {"name": "reducto", "settle": float("inf")}}),
        ("limits.pay_again", {"limits": {"pay_again": -1}}),
        ("retry.FAILED.attempts", {"retry": {"FAILED": {"attempts": 0}}}),
        ("job.schema_file", {"job": {"endpoint": "extract"}}),
        (
            "job.schema_file",
            {"job": {"endpoint": "extract", "options": {"instructions": {"schema": {}}}}},
        ),
        ("job.b.schema_file", {"job": [{"name": "a"}, {"name": "b", "endpoint": "extract"}]}),
        ("retry.runs", {"retry": {"runs": -1}}),
        ("retry.runs", {"retry": {"runs": {"attempts": 1}}}),
        ("source.min_size", {"source": {"directory": "in", "min_size": "2MB", "max_size": "1MB"}}),
        (
            "source.older_than",
            {"source": {"directory": "in", "older_than": "2d", "newer_than": "1d"}},
        ),
        ("job.options.settings.page_rang", {"job": {"options": {"settings": {"page_rang": 1}}}}),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_key(key: str, data: dict[str, object]) -> None:
    """Ignored in silence, each of these would cost somebody a night."""
    assert key in problems({**GOOD, **data})


def test_options_newer_than_the_description_are_sent_where_a_manifest_says_so() -> None:
    """Unknown keys and values; what a known key can't be never is.

    Refused, they are named with the way round.
    """
    options = {"settings": {"hologram": True}, "retrieval": {"chunking": {"chunk_mode": "haiku"}}}
    found = problems({**GOOD, "job": {"options": options}})
    assert set(found) == {
        "job.options.settings.hologram",
        "job.options.retrieval.chunking.chunk_mode",
    }
    assert all('job.unknown_options = "warn"' in words for words in found.values())
    for asked in ("warn", "send"):
        job = {"unknown_options": asked, "options": options}
        assert (
            read_manifest({**GOOD, "job": job}, where="", folder=Path("/x"), stem="m")
            .jobs[0]
            .options
            == options
        )
        wrong = {**job, "options": {"settings": {"hologram": True, "timeout": "5m"}}}
        assert list(problems({**GOOD, "job": wrong})) == ["job.options.settings.timeout"]
    assert "job.unknown_options" in problems({**GOOD, "job": {"unknown_options": "ignore"}})


def test_a_key_that_is_there_and_wrong_is_not_called_missing_as_well() -> None:
    """One mistake, one message."""
    for data in (
        {"source": {"directory": 3}},
        {"source": {"listing": ""}},
        {"output": {"directory": ["out"]}},
    ):
        with pytest.raises(ManifestError) as caught:
            read_manifest({**GOOD, **data}, where="m.toml", folder=Path("/x"), stem="m")
        assert len(caught.value.problems) == 1


def test_a_secret_in_the_place_of_its_variable_is_not_shown() -> None:
    """Messages end up in logs."""
    found = problems({**GOOD, "service": {"name": "reducto", "api_key_env": "sk-live-0123"}})
    assert "sk-live" not in found["service.api_key_env"]


def test_nothing_may_be_paid_again_without_asking() -> None:
    """`pay_again = 0` is a limit, too."""
    manifest = read_manifest(
        {**GOOD, "limits": {"pay_again": 0}}, where="m", folder=Path("/x"), stem="m"
    )
    assert manifest.limits.pay_again == 0


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("X Team", "a", 'service.headers: "X Team" is no name of a header'),
        ("", "a", 'service.headers: "" is no name of a header'),
        ("X-T\u00e9am", "a", "is no name of a header"),
        ("X-Team\r\nX-Other", "a", "is no name of a header"),
        (
            "authorization",
            "a",
            "service.headers.authorization: batcher sets this itself (the key stands",
        ),
        (
            "Content-TYPE",
            "a",
            "service.headers.Content-TYPE: batcher sets this itself (take it out)",
        ),
        ("Content-Length", "1", "batcher sets this itself"),
        ("HOST", "a", "batcher sets this itself"),
        ("transfer-encoding", "chunked", "batcher sets this itself"),
        ("X-Team", 7, 'service.headers.X-Team: text is wanted (in quotes, as in X-Team = "…")'),
        (
            "X-Team",
            "CANARY\nX-Other: b",
            "service.headers.X-Team: a line break or another character",
        ),
        ("X-Team", "CANARY \u20ac", "service.headers.X-Team: a line break or another character"),
        ("X-Team", "env:", "service.headers.X-Team: the name of an environment variable is wanted"),
        (
            "X-Team",
            "env:CANARY-1",
            "service.headers.X-Team: the name of an environment variable is wanted",
        ),
    ],
)
def test_headers_that_can_not_be_sent_are_refused_in_words(
    name: str, value: object, said: str
) -> None:
    """By their names, and without what may be a secret."""
    (words,) = problems({**GOOD, "service": {"name": "reducto", "headers": {name: value}}}).values()
    assert said in words
    assert "CANARY" not in words


def test_headers_are_read_and_remembered_as_they_are_written() -> None:
    """What the environment holds is nobody's to write down; a name that is there twice is told."""
    headers = {"X-Team": "records", "X-Key": "env:GATEWAY_KEY", "User-Agent": "nightly"}
    manifest = read_manifest(
        {**GOOD, "service": {"name": "reducto", "headers": headers}},
        where="m",
        folder=Path("/x"),
        stem="m",
    )
    assert manifest.service.headers == headers
    assert outline(manifest)["service"]["headers"] == headers
    found = problems({**GOOD, "service": {"headers": {"X-Team": "a", "x-team": "b"}}})
    assert found == {"service.headers.x-team": "service.headers.x-team: is named twice, as X-Team"}
    assert (
        "a table is wanted"
        in problems({**GOOD, "service": {"headers": "X-Team"}})["service.headers"]
    )
    assert (
        "did you mean headers?" in problems({**GOOD, "service": {"header": {}}})["service.header"]
    )


def test_durations_are_read_in_every_unit() -> None:
    """Numbers are seconds."""
    for text, seconds in (("90s", 90), ("15m", 900), ("12h", 43200), ("1d", 86400), (7, 7)):
        service = {"name": "reducto", "settle": text}
        manifest = read_manifest(
            {**GOOD, "service": service}, where="m", folder=Path("/x"), stem="m"
        )
        assert manifest.service.settle == seconds


@pytest.mark.parametrize("length", [1e300, 10**400, "3651d", "9" * 400 + "s"])
def test_a_duration_has_a_top(length: object) -> None:
    """Ten years; one that is longer is a slip."""
    told = problems({**GOOD, "service": {"result_retention": length}})
    assert "10 years at most" in told["service.result_retention"]
    told = problems({**GOOD, "limits": {"max_duration": length}})
    assert "10 years at most" in told["limits.max_duration"]


def test_a_file_may_be_older_than_a_run_may_last() -> None:
    """Twenty years are no slip there."""
    data = {**GOOD, "source": {**GOOD["source"], "older_than": "7300d"}}
    manifest = read_manifest(data, where="m", folder=Path("/x"), stem="m")
    assert manifest.sources[0].older_than == 7300 * 86400


@pytest.mark.parametrize("number", [2**63, 10**400])
def test_a_whole_number_is_one_that_the_ledger_can_hold(number: int) -> None:
    for table, key in {
        "limits": ("max_documents", "max_pages", "max_credits", "pay_again"),
        "source": ("min_size",),
        "retry": ("runs",),
    }.items():
        for name in key:
            told = problems({**GOOD, table: {**GOOD.get(table, {}), name: number}})
            assert "9223372036854775807" in told[f"{table}.{name}"]


def test_overrides_reach_any_key() -> None:
    """JSON where it is JSON, tables and lists as TOML has them, else text."""
    data: dict[str, object] = {}
    override(data, 'job.options.settings.page_range={"start": 1, "end": 3}')
    override(data, "cluster.resources={ocr = 1}")
    override(data, "source.include=['*.pdf']")
    override(data, "batch=[nightly] run")
    assert data == {
        "job": {"options": {"settings": {"page_range": {"start": 1, "end": 3}}}},
        "cluster": {"resources": {"ocr": 1}},
        "source": {"include": ["*.pdf"]},
        "batch": "[nightly] run",
    }
    with pytest.raises(ManifestError):
        override(data, "nonsense")
    with pytest.raises(ManifestError, match="the key 'start' is there twice"):
        override(data, 'job.options.settings.page_range={"start": 1, "start": 3}')


def test_an_override_goes_into_a_service_that_is_only_named() -> None:
    """`service = "local"` is short for a table."""
    data: dict[str, object] = {"service": "reducto"}
    override(data, "service.settle=5s")
    assert data == {"service": {"name": "reducto", "settle": "5s"}}


def test_the_schema_accepts_what_is_accepted_and_refuses_unknown_keys() -> None:
    """It is made of the same table."""
    schema = json_schema()
    jsonschema.validate({**GOOD, "service": "local", "job": {"endpoint": "parse"}}, schema)
    jsonschema.validate(
        {**GOOD, "service": {"name": "reducto", "headers": {"X-Team": "a"}}}, schema
    )
    jsonschema.validate(
        {**GOOD, "source": {"listing": "a.csv", "identity": {"ignore": ["token"]}}}, schema
    )
    for bad in (
        {"sorce": {}},
        {"service": "nowhere"},
        {"job": {"endpoint": "prase"}},
        {"service": {"headers": {"A": 1}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**GOOD, **bad}, schema)


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    """With line and column, as tomllib gives them."""
    path = tmp_path / "m.toml"
    path.write_text("batch = \n")
    with pytest.raises(ManifestError, match=r"not TOML.*line 1"):
        load(path)


def test_a_key_that_is_there_twice_is_refused_in_json_as_in_toml(tmp_path: Path) -> None:
    """Which of the two was meant nobody knows."""
    path = tmp_path / "m.json"
    path.write_text('{"batch": "a", "limits": {"max_pages": 10, "max_pages": 1000}}')
    with pytest.raises(ManifestError, match="not JSON: the key 'max_pages' is there twice"):
        load(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    """The manifest itself, and the directory it names."""
    with pytest.raises(ManifestError, match="no such file"):
        load(tmp_path / "m.toml")
    path = tmp_path / "m.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(
        ManifestError, match=r"source\.directory: .*in: there is no such file or directory"
    ):
        load(path)


def test_a_schema_file_becomes_part_of_the_options(tmp_path: Path) -> None:
    """A changed schema is a changed step."""
    (tmp_path / "in").mkdir()
    (tmp_path / "s.json").write_text('{"type": "object"}')
    path = tmp_path / "m.json"
    job = {"endpoint": "extract", "schema_file": "s.json"}
    path.write_text(json.dumps({**GOOD, "service": "reducto", "job": job}))
    assert load(path).jobs[0].options["instructions"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"job\.schema_file: .*s\.json: No such file or directory \(check the path"),
        ("{", r"job\.schema_file: .*s\.json: this is not JSON: .*line 1"),
        ("[]", r"job\.schema_file: a JSON object is wanted"),
        ('{"type": "object", "type": "array"}', r"s\.json: .*the key 'type' is there twice"),
    ],
)
def test_a_schema_file_that_is_none_is_told_in_words(
    tmp_path: Path, content: str | None, said: str
) -> None:
    """Not as the interpreter prints its errors."""
    (tmp_path / "in").mkdir()
    if content is not None:
        (tmp_path / "s.json").write_text(content)
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**GOOD, "job": {"endpoint": "extract", "schema_file": "s.json"}}))
    with pytest.raises(ManifestError, match=said) as caught:
        load(path)
    assert "Errno" not in str(caught.value)


def test_a_schema_file_is_read_where_only_a_directory_is_named(tmp_path: Path) -> None:
    """`batcher run DIRECTORY -o OUT -S job.schema_file=…` asks for what the file says, or says why
    it can't.
    """
    schema = tmp_path / "s.json"
    schema.write_text('{"type": "object"}')
    told = (tmp_path, tmp_path.parent / "out")
    manifest = for_directory(*told, endpoint="extract", overrides=[f"job.schema_file={schema}"])
    assert manifest.jobs[0].options["instructions"]["schema"] == {"type": "object"}
    with pytest.raises(ManifestError, match=r"job\.schema_file"):
        for_directory(*told, endpoint="extract", overrides=["job.schema_file=not there.json"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"ca\.pem: No such file or directory \(check the path"),
        (CERTIFICATE.format("AAAA"), r"ca\.pem: no certificate can be read in it"),
        ("\0\1\2", r"ca\.pem: no certificate can be read in it .*BEGIN CERTIFICATE"),
        ("", r"ca\.pem: no certificate can be read in it"),
    ],
)
def test_certificates_that_can_not_be_trusted_are_a_mistake_in_the_manifest(
    tmp_path: Path, content: str | None, said: str
) -> None:
    """By key and file; found with all other problems."""
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    path = tmp_path / "m.json"
    path.write_text(json.dumps({**GOOD, "service": {"name": "reducto", "ca_file": "ca.pem"}}))
    with pytest.raises(ManifestError, match=r"service\.ca_file: .*" + said) as caught:
        load(path)
    assert {problem.key for problem in caught.value.problems} == {
        "service.ca_file",
        "source.directory",
    }
    assert load(path, sources=False).service.ca_file == tmp_path / "ca.pem", (
        "whoever asks how it stands needs none"
    )


def test_an_output_that_is_a_file_is_a_mistake_in_the_manifest(tmp_path: Path) -> None:
    """Told before anything is begun."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").touch()
    path = tmp_path / "m.json"
    path.write_text(json.dumps(GOOD))
    with pytest.raises(ManifestError, match=r"output\.directory: .*out is not a directory"):
        load(path)


@pytest.mark.parametrize(
    "path",
    sorted(Path(__file__).parents[2].joinpath("manifests").glob("*.toml")),
    ids=lambda p: p.name,
)
def test_every_shipped_manifest_is_read(path: Path) -> None:
    """They are the first thing a user copies."""
    assert load(path).batch == path.stem


def test_the_same_manifest_in_three_languages(tmp_path: Path) -> None:
    """TOML, JSON and YAML say the same by the same keys; in YAML `no` is a word, as in version
    1.2.
    """
    (tmp_path / "in").mkdir()
    (tmp_path / "m.toml").write_text(
        'batch = "no"\n[source]\ndirectory = "in"\ninclude = ["*.pdf"]\n'
        '[output]\ndirectory = "out"\n'
    )
    (tmp_path / "m.json").write_text(
        json.dumps({**GOOD, "batch": "no", "source": {"directory": "in", "include": ["*.pdf"]}})
    )
    (tmp_path / "m.yaml").write_text(
        "batch: no\nsource: {directory: in, include: ['*.pdf']}\noutput:\n  directory: out\n"
    )
    toml, of_json, of_yaml = (
        replace(load(tmp_path / f"m.{end}"), where="") for end in ("toml", "json", "yaml")
    )
    assert toml == of_json == of_yaml


def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    """And a key that is there twice isn't taken for one of them."""
    for text, word in (("source: [", "line 1"), ("batch: a\nbatch: b\n", "duplicate key")):
        (tmp_path / "m.yml").write_text(text)
        with pytest.raises(ManifestError, match=r"not YAML") as caught:
            load(tmp_path / "m.yml")
        assert word in str(caught.value)


def test_an_address_as_the_name_of_a_service_is_told_where_it_belongs() -> None:
    """The command line takes either in the same place."""
    found = problems({**GOOD, "service": "http://127.0.0.1:8765"})
    assert "reducto-au, or an address as service.url" in found["service"]
