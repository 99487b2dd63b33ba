"""Reads manifests from TOML, JSON and YAML files, and makes one for a plain directory.

What the values mean is left to `core`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from errno import ENOENT, ENOTDIR
from importlib.util import find_spec
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any, Final

from batcher.common.extras import install_command
from batcher.common.json_values import as_json, each_once
from batcher.common.missing_paths import instead_of
from batcher.common.names import as_text, is_text
from batcher.common.shell_words import typed
from batcher.common.text_files import NotText, read_text
from batcher.errors import ManifestError, Problem
from batcher.manifest.certificates import untrusted
from batcher.manifest.keys import read_manifest
from batcher.manifest.model import Manifest, Metrics, Source
from batcher.manifest.patterns import bad_pattern, never_matches
from batcher.manifest.settings import Setting, apply
from batcher.reducto.job import Job

_RELATIVE: Final = "check the path; it is relative to the manifest"


def load(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    sources: bool = True,
    tell: Callable[[str], None] = lambda words: None,
) -> Manifest:
    """Load the manifest at `path`, overridden by flags and `-S` assignments. Raises ManifestError.

    Its sources must exist unless `sources` is false. `tell` is called with a sentence where the
    manifest and what overrides it differ.
    """
    data = _parse(path)
    apply(data, settings, overrides, where=str(path), tell=tell)
    manifest = read_manifest(
        data, where=str(path), folder=path.absolute().parent, stem=as_text(path.stem)
    )
    return _checked(_with_schemas(manifest), sources=sources)


def of_values(data: Mapping[str, Any]) -> Manifest:
    """Return the manifest that `data` describes, with the keys of a file. Raises ManifestError.

    Paths are relative to the working directory.
    """
    manifest = read_manifest(data, where="the manifest", folder=Path.cwd(), stem="batch")
    return _checked(_with_schemas(manifest))


def for_directory(
    directory: Path,
    output: Path,
    *,
    endpoint: str = "parse",
    service: str = "local",
    overrides: Sequence[str] = (),
    settings: Sequence[Setting] = (),
    tell: Callable[[str], None] = lambda words: None,
) -> Manifest:
    """Return the manifest of `batcher run DIRECTORY -o OUT`: a batch named after OUT.

    `tell` is called with a sentence where a flag and a `-S` assignment differ.
    """
    data: dict[str, Any] = {
        "source": {"directory": str(directory)},
        "job": {"endpoint": endpoint},
        "output": {"directory": str(output)},
        "service": {"url": service} if "://" in service else service,
    }
    where = as_text(f"batcher run {typed(directory)} -o {typed(output)}")
    apply(data, settings, overrides, where=where, tell=tell)
    manifest = read_manifest(
        data, where=where, folder=Path.cwd(), stem=as_text(output.absolute().name)
    )
    return _checked(_with_schemas(manifest))


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path)
    except FileNotFoundError:
        hint = instead_of(path) or "check the path; batcher init writes a new one"
        raise ManifestError(
            str(path), [Problem("", "there is no such file or directory", hint)]
        ) from None
    except OSError as error:
        raise ManifestError(str(path), [Problem("", f"can't be read: {error.strerror}")]) from error
    except NotText as error:
        raise ManifestError(str(path), [Problem("", str(error), _no_manifest(path))]) from error
    language, read = _LANGUAGES.get(path.suffix, ("TOML", tomllib.loads))
    try:
        data = read(text)
    except ImportError as error:
        hint = f"{install_command('yaml')}, or write it in TOML or JSON"
        raise ManifestError(
            str(path), [Problem("", "YAML needs ruamel.yaml, which isn't installed", hint)]
        ) from error
    except (ValueError, RecursionError) as error:
        words = f"this is not {language}: {error}"
        raise ManifestError(str(path), [Problem("", words, _no_manifest(path))]) from error
    if not isinstance(data, dict):
        raise ManifestError(str(path), [Problem("", "a table is wanted at the top")])
    return data


def _no_manifest(path: Path) -> str:
    return "" if path.suffix in SUFFIXES else "name a manifest, or a directory of documents"


def _json(text: str) -> Any:
    """Parse JSON. Raises ValueError, also for a key that an object has twice, as TOML does."""
    return json.loads(text, object_pairs_hook=each_once)


def _yaml(text: str) -> Any:
    """Parse YAML 1.2, where `no` is a word. Raises ValueError; ImportError without the extra."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


_LANGUAGES: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    ".json": ("JSON", _json),
    ".yaml": ("YAML", _yaml),
    ".yml": ("YAML", _yaml),
}
SUFFIXES: Final = (".toml", *_LANGUAGES)


def _with_schemas(manifest: Manifest) -> Manifest:
    return replace(manifest, jobs=tuple(_with_schema(job, manifest.where) for job in manifest.jobs))


def _with_schema(job: Job, where: str) -> Job:
    """Return the job with its schema file's content in the place where the API wants it.

    So the schema is part of what makes two steps equal.
    """
    if job.schema_file is None:
        return job
    try:
        schema = _json(read_text(job.schema_file))
    except OSError as error:
        words = f"{job.schema_file}: {error.strerror}"
        raise ManifestError(where, [Problem("job.schema_file", words, _RELATIVE)]) from error
    except NotText as error:
        raise ManifestError(
            where, [Problem("job.schema_file", f"{job.schema_file}: {error}")]
        ) from error
    except (ValueError, RecursionError) as error:
        words = f"{job.schema_file}: this is not JSON: {error}"
        raise ManifestError(where, [Problem("job.schema_file", words)]) from error
    if not isinstance(schema, dict):
        raise ManifestError(
            where, [Problem("job.schema_file", "a JSON object is wanted at the top")]
        )
    try:
        schema = as_json(schema, str(job.schema_file))
    except ValueError as error:
        raise ManifestError(where, [Problem("job.schema_file", str(error))]) from error
    instructions = {**job.options.get("instructions", {}), "schema": schema}
    return replace(job, options={**job.options, "instructions": instructions})


def _checked(manifest: Manifest, *, sources: bool = True) -> Manifest:
    problems = missing_sources(manifest) if sources else []
    problems += _misplaced(manifest)
    ca_file = manifest.service.ca_file
    if sources and ca_file is not None and (problem := untrusted(ca_file)):
        problems.append(problem)
    if "parquet" in manifest.output.formats and find_spec("pyarrow") is None:
        hint = install_command("parquet")
        problems.append(
            Problem("output.formats", "parquet needs pyarrow, which isn't installed", hint)
        )
    if manifest.output.mirror and find_spec("obstore") is None:
        hint = install_command("s3")
        problems.append(
            Problem("output.mirror", "object stores need obstore, which isn't installed", hint)
        )
    problems += _without_metrics_library(manifest)
    if sources:  # who looks at a batch needs no cluster
        problems += _without_a_cluster(manifest)
    if problems:
        raise ManifestError(manifest.where, problems)
    return manifest


def check_sources(manifest: Manifest) -> None:
    """Check that the sources exist. Raises ManifestError.

    `load` does so, too, unless it is told that they needn't.
    """
    if problems := missing_sources(manifest):
        raise ManifestError(manifest.where, problems)


def missing_sources(manifest: Manifest) -> list[Problem]:
    """Return what is wrong with where the sources are, and with what names their documents."""
    return [problem for source in manifest.sources for problem in _missing(source)]


def with_metrics(manifest: Manifest, listen: tuple[str, int]) -> Manifest:
    """Return the manifest with its metrics served at `listen`.

    Raises ManifestError if the library for that isn't installed.
    """
    manifest = replace(manifest, metrics=Metrics(listen=listen))
    if problems := list(_without_metrics_library(manifest)):
        raise ManifestError(manifest.where, problems)
    return manifest


def _without_metrics_library(manifest: Manifest) -> Iterator[Problem]:
    if manifest.metrics is not None and find_spec("prometheus_client") is None:
        yield Problem(
            "metrics.listen",
            "metrics need prometheus-client, which isn't installed",
            install_command("metrics"),
        )


def _without_a_cluster(manifest: Manifest) -> Iterator[Problem]:
    """Yield why the manifest's cluster can't be used. Ray itself isn't imported."""
    if manifest.cluster is None:
        return
    if find_spec("ray") is None:
        yield Problem(
            "cluster.engine",
            "a cluster needs Ray, which isn't installed",
            install_command("ray"),
        )
    if not manifest.service.is_local and _all_are_presigned(manifest):
        yield Problem(
            "cluster",
            f"{manifest.service.identity} reads all documents where they are, so there is nothing "
            "for a cluster to upload",
            'take it out, or set source.transfer = "upload"',
        )


def _all_are_presigned(manifest: Manifest) -> bool:
    return all(source.transfer == "presign" for source in manifest.sources)


def _misplaced(manifest: Manifest) -> Iterator[Problem]:
    """Yield why the output directory can't be used, as far as is known without creating it."""
    output = manifest.output.directory
    try:
        if output.is_symlink() and not output.exists():
            yield Problem(
                "output.directory",
                f"{output} is a link that leads nowhere: {output.readlink()}",
                _RELATIVE,
            )
            return
        if output.exists() and not output.is_dir():
            yield Problem("output.directory", f"{output} is not a directory", _RELATIVE)
            return
        inside = next(
            (one.directory for one in manifest.sources if _holds(one.directory, output)), None
        )
    except (OSError, RuntimeError) as error:  # RuntimeError: links form a circle
        yield Problem(
            "output.directory", f"{output}: {getattr(error, 'strerror', error)}", _RELATIVE
        )
        return
    if inside is not None:
        hint = "choose a folder beside it, or results would be taken for documents"
        yield Problem(
            "output.directory", f"{output} lies inside the source {inside}, by a link", hint
        )


def _holds(source: Path | None, output: Path) -> bool:
    return (
        source is not None and source.exists() and output.resolve().is_relative_to(source.resolve())
    )


def _missing(source: Source) -> Iterator[Problem]:
    for key, patterns in (("include", source.include), ("exclude", source.exclude)):
        if (bad := bad_pattern(patterns)) is not None:
            yield Problem(
                f"source.{key}", f"{bad} is no pattern", "gitignore-style, as in **/*.pdf"
            )
        for pattern in patterns:
            if hint := never_matches(pattern):
                yield Problem(f"source.{key}", f"{pattern!r} matches nothing", hint)
    if source.directory:
        yield from _unfit("source.directory", source.directory, S_ISDIR, "a directory")
    if source.listing:
        yield from _unfit("source.listing", source.listing, S_ISREG, "a file")
    if source.passwords_file:
        yield from _unfit("source.passwords_file", source.passwords_file, S_ISREG, "a file")
    if source.url and find_spec("obstore") is None:
        yield Problem(
            "source.url",
            "object stores need obstore, which isn't installed",
            install_command("s3"),
        )


def _unfit(
    key: str, path: Path, is_wanted: Callable[[int], bool], wanted: str
) -> Iterator[Problem]:
    """Yield why the path can't be used, unless it can."""
    if not is_text(str(path)):
        yield Problem(
            key,
            f"{as_text(str(path))} isn't UTF-8, and so no ledger can hold where documents are",
            "rename it, or reach it by a link with another name",
        )
        return
    try:
        if not is_wanted(path.stat().st_mode):
            yield Problem(key, f"{path} is not {wanted}", _RELATIVE)
    except OSError as error:
        if error.errno not in (ENOENT, ENOTDIR):
            yield Problem(key, f"{path}: {error.strerror}", _RELATIVE)
            return
        hint = instead_of(path, folder=is_wanted is S_ISDIR) or _RELATIVE
        yield Problem(key, f"{path}: there is no such file or directory", hint)
    except ValueError:
        yield Problem(key, f"{str(path)!r} is no path", _RELATIVE)
