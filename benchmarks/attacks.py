"""Attacks on the weights method that know it, and what each costs the attacker.

    /tmp/venv-zoo/bin/python -m tools.zoo.train.adversaries --into .artifacts/adversaries
    python -m benchmarks.attacks .artifacts/adversaries [--peer /tmp/peers/bin/modeldna]

*Splice*: blocks of a public model among a stranger's, as they are and trained on. *Reshape*: blocks
widened by one unit, so that nothing has the shape it had. *Forgery*: a stranger trained on text and
towards the public model's matrices. *Evasion*: a descendant trained on text and away from what
this project publishes as its statistics, released as it is and in every disguise.
The cost is the loss on fresh text above that of the same training without the attack.
Prints Markdown; `--only` takes one of the four.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.adversary_bench import DEPTHS, PARTS, Bank, options, table, word_of
from benchmarks.lineage_scores import raw_cosine, residual_signature
from tools.zoo.disguises import FFN, Array, Model, resize_ffn, resize_residual
from tools.zoo.forgeries import transplanted
from tools.zoo.laundering import LAUNDERINGS

PUBLIC, HOST = "s0", "x0"
SPLICES = ((), (1,), (1, 2), (0, 1, 2), (0, 1, 2, 3))
Cells = Iterator[tuple[object, ...]]


def splices(bank: Bank) -> Cells:
    """Ask about 0 to n blocks of the public model in a stranger, as they are and trained on."""
    public, host = bank.model(PUBLIC), bank.model(HOST)
    rng = np.random.default_rng(0)
    for blocks in SPLICES:
        name = f"splice-{len(blocks)}"
        raw = transplanted(blocks, host)(public, rng)
        bank.write(f"{name}-raw", raw, HOST)
        bank.write(f"{name}-raw-all", LAUNDERINGS["all"](raw, rng), HOST)
        trained = name if name in bank.manifest else None
        yield (
            f"{len(blocks)} of {len(public.layers)}",
            *(_decoder(bank, f"{name}-raw", depth) for depth in DEPTHS),
            _decoder(bank, f"{name}-raw-all", "robust"),
            _loss(bank, trained),
            _decoder(bank, trained, "quick"),
            _peer(bank, f"{name}-raw"),
        )


def reshapes(bank: Bank) -> Cells:
    """Ask about blocks and streams that are one unit wider than the public model's."""
    public, host = bank.model(PUBLIC), bank.model(HOST)
    made: dict[str, Callable[[np.random.Generator], Model]] = {
        "every block, one neuron more": lambda rng: resize_ffn(public, _wider(public), rng),
        "one block of four, one neuron more": lambda rng: _widened(public, (2,), rng),
        "three blocks of four, one neuron more": lambda rng: _widened(public, (0, 1, 2), rng),
        "stream, one channel more": lambda rng: resize_residual(
            public, public.number("hidden_size") + 1, rng
        ),
        "stream and every block": lambda rng: resize_residual(
            resize_ffn(public, _wider(public), rng), public.number("hidden_size") + 1, rng
        ),
        "two blocks of four in a stranger, widened": lambda rng: _widened(
            transplanted((1, 2), host)(public, rng), (1, 2), rng
        ),
        "two foreign blocks of four, widened": lambda rng: _widened(
            transplanted((0, 3), host)(public, rng), (1, 2), rng
        ),
        "a stranger, every block widened": lambda rng: resize_ffn(host, _wider(host), rng),
    }
    for number, (what, make) in enumerate(made.items()):
        name, rng = f"reshape-{number}", np.random.default_rng(number)
        wide = make(rng)
        bank.write(name, wide, PUBLIC)
        bank.write(f"{name}-all", LAUNDERINGS["all"](wide, rng), PUBLIC)
        yield (
            what,
            *(_decoder(bank, name, depth) for depth in DEPTHS),
            _decoder(bank, f"{name}-all", "robust"),
            _peer(bank, name),
        )


def forgeries(bank: Bank) -> Cells:
    """Ask about strangers that were trained towards the public model."""
    public = bank.model(PUBLIC).tensors
    honest = _fresh(bank, "forger-0")
    for name in _named(bank, "forger-"):
        own = bank.model(name).tensors
        yield (
            name.removeprefix("forger-"),
            _loss(bank, name),
            f"{_fresh(bank, name) - honest:+.2f}",
            f"{_mean_cosine(own, public):.3f}",
            f"{residual_signature(public, own):.3f}",
            *_parts(bank, name, "quick"),
            _peer(bank, name),
        )


def evasions(bank: Bank) -> Cells:
    """Ask about descendants that were trained away from the public model."""
    public = bank.model(PUBLIC).tensors
    honest = _fresh(bank, "evader-in-place-0")
    for name in _named(bank, "evader-"):
        model = bank.model(name)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        bank.write(f"{name}-all", LAUNDERINGS["all"](model, rng), name)
        yield (
            name.removeprefix("evader-"),
            bank.manifest[name]["steps"],
            _loss(bank, name),
            f"{_fresh(bank, name) - honest:+.2f}",
            f"{_mean_cosine(model.tensors, public):.3f}",
            f"{raw_cosine(public, model.tensors):.3f}",
            *_parts(bank, name, "robust"),
            *(_decoder(bank, f"{name}-all", depth) for depth in DEPTHS),
            _peer(bank, name),
        )


def _wider(model: Model) -> int:
    return model.number("intermediate_size") + 1


def _widened(model: Model, layers: tuple[int, ...], rng: np.random.Generator) -> Model:
    """Widen the blocks of some layers alone; the config keeps the size of the others."""
    wide = resize_ffn(model, _wider(model), rng)
    out = model.copy()
    for layer in layers:
        for root in model.ffns(layer):
            for kind in FFN:
                out.tensors[f"{root}{kind}.weight"] = wide.tensors[f"{root}{kind}.weight"]
    return out


def _mean_cosine(own: dict[str, Array], public: dict[str, Array]) -> float:
    """Return the mean cosine of matrices in their place: what a forger pulls at."""
    found = [
        float((own[k] * v).sum() / np.linalg.norm(own[k]) / np.linalg.norm(v))
        for k, v in public.items()
        if v.ndim > 1
    ]
    return float(np.mean(found))


def _named(bank: Bank, prefix: str) -> list[str]:
    return [name for name in bank.manifest if name.startswith(prefix)]


def _fresh(bank: Bank, name: str) -> float:
    return float(bank.manifest[name]["loss_on_fresh_text"])


def _loss(bank: Bank, name: str | None) -> str:
    return "-" if name is None else f"{_fresh(bank, name):.2f}"


def _decoder(bank: Bank, name: str | None, depth: str) -> str:
    if name is None:
        return "-"
    (found,) = bank.findings(name, PUBLIC, depth)
    return f"{word_of(found)}, p {found.pvalue:.0e}" if found.pvalue else word_of(found)


def _parts(bank: Bank, name: str, depth: str) -> tuple[str, ...]:
    return tuple(word_of(found) for found in bank.findings(name, PUBLIC, depth, PARTS))


def _peer(bank: Bank, name: str) -> str:
    return "-" if bank.peer is None else bank.ask_peer(name, PUBLIC).word


_DECODER = tuple(f"decoder, {depth}" for depth in DEPTHS)
_PARTS = ("decoder", "embeddings", "head")
ATTACKS: dict[str, tuple[tuple[str, ...], Callable[[Bank], Cells]]] = {
    "splice": (
        ("blocks", *_DECODER, "in every disguise", "loss trained on", "then", "modeldna"),
        splices,
    ),
    "reshape": (("what is wider", *_DECODER, "in every disguise", "modeldna"), reshapes),
    "forgery": (
        ("pull", "loss", "cost", "cosine", "signature", *_PARTS, "modeldna"),
        forgeries,
    ),
    "evasion": (
        (
            *("away by", "steps", "loss", "cost", "cosine", "of blocks", *_PARTS),
            *("disguised, quick", "disguised, robust", "modeldna"),
        ),
        evasions,
    ),
}


def main() -> None:
    """Print the tables."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=[*ATTACKS], default=[*ATTACKS])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        bank = Bank(given.folder, Path(made), given.peer)
        for name in given.only:
            head, attack = ATTACKS[name]
            print(f"\n{name.capitalize()}:\n")
            table(head, attack(bank))


if __name__ == "__main__":
    main()
