"""Which files of a tested model a run read, and the digests by which they are known again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_scratchverify.core.evidence import ArtifactRecord, Finding, Source
from pytest_scratchverify.verdict.run import LISTING, WEIGHT_FILES, Run, records_of

DIGESTS = "weights.shard_digests"  # the test whose findings name the digests of weight files
IS_NO_FILE = (Source.CATALOGUE, Source.ENDPOINT)
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFile:
    """A file of a tested model of which something was read, its digest at least.

    `sha256` is that of the whole file, None where nobody computed it; `listed` says that it is a
    hub's word, and was not computed of bytes that were here.
    """

    repo: str
    path: str
    source: Source
    revision: str | None = None
    size: int | None = None
    sha256: str | None = None
    listed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesRead:
    """The files of one model, sorted by repository and path, and their weights' joint digest.

    `weights_sha256` is `stores.store.weights_digest`: of all weight files that the model's listing
    names, read or not; None where the listing was not read or lacks the digest of one of them.
    """

    files: tuple[ReadFile, ...]
    weights_sha256: str | None = None
    repo: str = ""
    revision: str | None = None


def files_read(run: Run, model: str) -> FilesRead:
    """Collect from a run's findings what was read of a model, and every digest that it holds."""
    findings = run.findings_of(model)
    records = [record for record in records_of(findings) if record.source not in IS_NO_FILE]
    listing = next((record for record in records if record.file == LISTING), None)
    found: dict[tuple[str, str], ReadFile] = {}
    for record in records:
        if record.file != LISTING:
            key = (record.repo, record.file)
            found[key] = _joined(found.get(key), record)
    if listing is not None:
        for path, digest in _listed(findings):
            known = found.get((listing.repo, path))
            if known is None or known.sha256 is None:
                size = known.size if known is not None else None
                listed = listing.source is not Source.FOLDER
                found[listing.repo, path] = _read_file(listing, path, size, digest, listed=listed)
    return FilesRead(
        files=tuple(found[key] for key in sorted(found)),
        weights_sha256=_sha256(listing.digest) if listing is not None else None,
        repo=listing.repo if listing is not None else model,
        revision=listing.revision if listing is not None else None,
    )


def _joined(known: ReadFile | None, record: ArtifactRecord) -> ReadFile:
    size = _size(record)
    digest = _sha256(record.digest) if _is_whole(record) else None
    if known is not None:
        size, digest = known.size or size, known.sha256 or digest
    return _read_file(record, record.file, size, digest)


def _read_file(
    record: ArtifactRecord, path: str, size: int | None, digest: str | None, *, listed: bool = False
) -> ReadFile:
    return ReadFile(
        repo=record.repo,
        path=path,
        source=record.source,
        revision=record.revision,
        size=size,
        sha256=digest,
        listed=listed,
    )


def _size(record: ArtifactRecord) -> int | None:
    """Return a file's size; the record of headers has that of all shards together."""
    headers = record.file.endswith(WEIGHT_FILES) and not record.ranges
    return None if headers else record.bytes_total


def _is_whole(record: ArtifactRecord) -> bool:
    """Whether a record's digest is that of the file, and not of headers alone."""
    if record.file.endswith(WEIGHT_FILES):
        return record.ranges == ((0, record.bytes_total),)
    return not record.ranges and record.bytes_read == record.bytes_total


def _listed(findings: list[Finding]) -> Iterator[tuple[str, str]]:
    for finding in findings:
        named = finding.details.get("digests") if finding.method == DIGESTS else None
        for path, digest in named.items() if isinstance(named, dict) else ():
            if known := _sha256(digest):
                yield str(path), known


def _sha256(digest: object) -> str | None:
    return digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else None
