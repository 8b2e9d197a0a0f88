"""Hash-sampled sketches of real vocabularies: keys of tokens with ranks, never the file.

A sketch keeps the tokens whose key is below a threshold, which is a random sample that is
the same for every vocabulary. Shared tokens, ranks and orders are therefore measured on the
very tokens that the files themselves would give; only counts become estimates. No token can
be read back from a sketch, and no text can be encoded with it.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import ScratchError
from pytest_scratchverify.tokenizer.keys import KEY_BYTES, Keys
from pytest_scratchverify.tokenizer.korean import korean_cost, script_profile
from pytest_scratchverify.tokenizer.placeholders import is_placeholder
from pytest_scratchverify.tokenizer.read import read_tokenizer
from pytest_scratchverify.tokenizer.vocabulary import Kind, Sizes, Tokenizer, Traits

SHIPPED = Path(__file__).parents[1] / "catalog" / "tokenizers"
SCHEMA = "scratchverify/tokenizer-sketches/1"
# Tokens kept at least: a shared third of them still decides (5,000 tokens, 2,500 neighbours).
KEEP = 16_384
LOCK = threading.RLock()  # of a folder's index, for those who add sketches at once


@dataclass(frozen=True)
class Sketch:
    """What is shipped of one vocabulary; compares like a `Tokenizer`.

    `repos` are hub repositories whose tokenizer is this one, `sources` where the file was
    read, `aliases` other files with the very same vocabulary.
    """

    name: str
    kind: Kind
    digest: str
    sizes: Sizes
    learned: int
    rate: float
    added: Mapping[str, int]
    traits: Traits
    scripts: Mapping[str, float]
    tokens_per_syllable: float
    sources: Sequence[str] = ()
    aliases: Sequence[str] = ()
    repos: Sequence[str] = ()
    folder: Path = field(default=SHIPPED, compare=False)
    file: str = ""  # the array file, where a sketch goes by another name

    def called(self, name: str) -> Sketch:
        """The same sketch under the name of the model it stands in for."""
        return replace(self, name=name, file=self.file or self.name)

    @cached_property
    def keys(self) -> Keys:
        """The sampled tokens, read from the sketch's own array file."""
        path = self.folder / f"{self.file or self.name}.npz"
        try:
            with np.load(path, allow_pickle=False) as arrays:
                ranks, ids = arrays["ranks"], arrays["ids"]
                keys = _unpack_keys(arrays["keys"])
        except (OSError, KeyError, ValueError) as error:
            raise ScratchError(f"The sketch {path.name} is broken ({error}).") from error
        ranks = _unplane(ranks)
        return Keys(keys, ranks, ranks + ids, self.learned, self.rate)


def load_sketches(folder: Path | None = None) -> tuple[Sketch, ...]:
    """All sketches of a folder (the shipped ones by default), sorted by name."""
    return _load(folder or SHIPPED)


@cache
def _load(folder: Path) -> tuple[Sketch, ...]:
    try:
        index = json.loads((folder / "index.json").read_text("utf-8"))
        if index["schema"] != SCHEMA:
            raise ScratchError(f"{folder} holds sketches of schema {index['schema']!r}.")
        return tuple(_from_json(entry, folder) for entry in index["sketches"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScratchError(f"The sketches in {folder} cannot be read ({error}).") from error


def sketch_for(repo: str, folder: Path | None = None) -> Sketch | None:
    """The sketch of a hub repository's tokenizer, for when its file cannot be reached."""
    named = (s for s in load_sketches(folder) if repo in (s.name, *s.repos, *s.aliases))
    return next(named, None)


def add_sketch(
    path: Path,
    name: str,
    *,
    folder: Path | None = None,
    repos: Sequence[str] = (),
    source: str = "",
) -> Sketch:
    """Sketch the tokenizer in a file or model folder and put it into a catalogue folder.

    A vocabulary that is there already gets another alias, repository and source instead of
    another sketch. `name` becomes a file name: letters, digits, dots and dashes.
    Raises `ScratchError` for a bad name and `Unavailable` for a bad file.
    """
    if not name.replace("-", "").replace(".", "").isalnum():
        raise ScratchError(f"{name!r} cannot name a sketch: use letters, digits, '.' and '-'.")
    folder = folder or SHIPPED
    tokenizer = read_tokenizer(path, name)
    known = {s.digest: s for s in (load_sketches(folder) if _has_index(folder) else ())}
    sketch = _sketch(tokenizer, folder)
    before = known.get(sketch.digest, sketch)
    kept = _joined(before, name, repos, source)
    folder.mkdir(parents=True, exist_ok=True)
    if before is sketch:
        (folder / f"{name}.npz").write_bytes(_packed(tokenizer.keys.thin(sketch.rate)))
    _write_index(folder, [*(s for s in known.values() if s.digest != kept.digest), kept])
    return kept


def _has_index(folder: Path) -> bool:
    return (folder / "index.json").is_file()


def _joined(sketch: Sketch, name: str, repos: Sequence[str], source: str) -> Sketch:
    return replace(
        sketch,
        aliases=sorted({*sketch.aliases, *([name] if name != sketch.name else [])}),
        repos=sorted({*sketch.repos, *repos}),
        sources=sorted({*sketch.sources, *([source] if source else [])}),
    )


def _sketch(tokenizer: Tokenizer, folder: Path) -> Sketch:
    learned = tokenizer.keys.size
    return Sketch(
        name=tokenizer.name,
        kind=tokenizer.kind,
        digest=tokenizer.digest,
        sizes=tokenizer.sizes,
        learned=learned,
        rate=rate_for(learned),
        added={t: i for t, i in sorted(tokenizer.added.items()) if not is_placeholder(t)},
        traits=tokenizer.traits,
        scripts={k: round(v, 5) for k, v in script_profile(tokenizer).items()},
        tokens_per_syllable=round(korean_cost(tokenizer), 4),
        folder=folder,
    )


def rate_for(learned: int) -> float:
    """The sampling rate of a vocabulary: a power of one half that keeps `KEEP` tokens."""
    rate = 1.0
    while learned * rate / 2 >= KEEP:
        rate /= 2
    return rate


def _packed(keys: Keys) -> bytes:
    """Arrays in the form that compresses best: byte planes of keys, and of ranks."""
    columns = keys.keys.astype(">u8").view(np.uint8).reshape(-1, 8)[:, 8 - KEY_BYTES :]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        keys=np.ascontiguousarray(columns.T),
        ranks=_planes(keys.ranks),
        ids=keys.ids - keys.ranks,  # almost always one number: specials in front, or none
    )
    return buffer.getvalue()


def _unpack_keys(planes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    padded = np.zeros((planes.shape[1], 8), dtype=np.uint8)
    padded[:, 8 - KEY_BYTES :] = planes.T
    return padded.view(">u8").ravel().astype(np.uint64)


def _planes(ranks: NDArray[np.int32]) -> NDArray[np.uint8]:
    """The byte planes of ranks, highest first: the high ones compress to nothing."""
    columns = (ranks + 1).astype(">u4").view(np.uint8).reshape(-1, 4)
    return np.ascontiguousarray(columns.T)


def _unplane(planes: NDArray[np.uint8]) -> NDArray[np.int32]:
    return np.ascontiguousarray(planes.T).view(">u4").ravel().astype(np.int32) - np.int32(1)


def _write_index(folder: Path, sketches: Sequence[Sketch]) -> None:
    entries = [_to_json(s) for s in sorted(sketches, key=lambda s: s.name)]
    text = json.dumps({"schema": SCHEMA, "sketches": entries}, ensure_ascii=False, indent=1)
    (folder / "index.json").write_text(text + "\n", "utf-8")
    _load.cache_clear()


def _to_json(sketch: Sketch) -> dict[str, Any]:
    entry = {name: value for name, value in _items(sketch) if name not in ("folder", "file")}
    return entry | {"sizes": asdict(sketch.sizes), "traits": asdict(sketch.traits)}


def _items(sketch: Sketch) -> Iterator[tuple[str, Any]]:
    return ((name, getattr(sketch, name)) for name in Sketch.__dataclass_fields__)


def _from_json(entry: Mapping[str, Any], folder: Path) -> Sketch:
    return Sketch(
        **{
            **entry,
            "kind": Kind(entry["kind"]),
            "sizes": Sizes(**entry["sizes"]),
            "traits": Traits(**entry["traits"]),
            "folder": folder,
        }
    )
