"""Build the disguised part of the zoo: what a forger makes of a model, and of an innocent one.

    /tmp/venv-zoo/bin/python -m tools.zoo.build_disguises --zoo .artifacts/zoo --into .artifacts/disguises

Needs the zoo of `tools/zoo/train` and its environment. The arithmetic is
`tools/zoo/disguises.py`; what changes nothing is checked here on real text, and entries named
``-cpt`` are trained on afterwards with the pretraining's own rate on text the parent never saw.
About a quarter of an hour on one core. The truth goes into MANIFEST.json, never into a folder.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID251 - this tool makes weights; the package only reads them
from safetensors.torch import load_file, save_file

from tools.zoo import disguises as d
from tools.zoo import train as zoo
from tools.zoo.train.build import CARD
from tools.zoo.train.data import TOKENIZERS

Change = Callable[[d.Model, np.random.Generator], d.Model]
STEPS = 200
SAME = 0.02  # the largest difference of a logit that float arithmetic may leave


@dataclass(frozen=True)
class Disguised:
    """One entry: the parents, the change, and what a perfect judge says of it."""

    name: str
    parents: tuple[str, ...]
    change: Callable[..., d.Model]
    kinds: tuple[str, ...]
    steps: int = 0
    harmless: bool = False
    tokenizer: str = "a"
    shares: tuple[float, ...] = ()
    layers: tuple[int, ...] = field(default=())
    half: str = "b"  # the text of later training


def _chain(*changes: Change) -> Change:
    def apply(model: d.Model, rng: np.random.Generator) -> d.Model:
        for change in changes:
            model = change(model, rng)
        return model

    return apply


def _dropped(*layers: int) -> Change:
    return lambda model, _rng: d.choose_layers(model, layers)


def _pruned(model: d.Model, _rng: np.random.Generator) -> d.Model:
    return d.prune(model)


def _ffn(size: int) -> Change:
    return lambda model, rng: d.resize_ffn(model, size, rng)


def _residual(size: int) -> Change:
    return lambda model, rng: d.resize_residual(model, size, rng)


def _upcycled(model: d.Model, rng: np.random.Generator) -> d.Model:
    return d.upcycle(model, 4, rng)


def _vocabulary(model: d.Model, rng: np.random.Generator) -> d.Model:
    return d.new_vocabulary(model, TOKENIZERS["b"][0], rng)


HARMLESS: dict[str, tuple[Change, tuple[str, ...]]] = {
    "neurons": (d.permute_neurons, ("renumbered neurons",)),
    "heads": (d.permute_heads, ("renumbered heads",)),
    "channels": (d.permute_channels, ("renumbered channels",)),
    "permuted": (d.permute_all, ("renumbered channels", "renumbered neurons")),
    "rotated": (d.rotate_residual, ("rotated",)),
    "headturn": (d.rotate_heads, ("rotated heads",)),
    "rescaled": (d.rescale, ("rescaled",)),
    "disguised": (d.every_disguise, ("rotated", "renumbered neurons")),
}
COSTLY: dict[str, tuple[Change, dict[str, Any]]] = {
    "drop": (_dropped(0, 1, 3), {"kinds": ("layers moved",), "layers": (0, 1, 3)}),
    "deepened": (_dropped(0, 1, 2, 1, 2, 3), {"kinds": ("layers repeated",), "layers": (0, 1, 2, 1, 2, 3)}),
    "ffn-narrow": (_ffn(112), {"kinds": ("width changed",)}),
    "ffn-wide": (_ffn(256), {"kinds": ("width changed",)}),
    "narrow": (_residual(48), {"kinds": ("width changed",)}),
    "wide": (_residual(96), {"kinds": ("width changed",)}),
    "upcycled": (_upcycled, {"kinds": ("upcycled",)}),
    "newvocab": (_vocabulary, {"kinds": ("continued pretraining", "fine-tune"), "tokenizer": "b"}),
    "permuted-newvocab": (_chain(d.permute_all, _vocabulary), {"kinds": ("renumbered channels",), "tokenizer": "b"}),
    "rotated-newvocab": (_chain(d.rotate_residual, _vocabulary), {"kinds": ("rotated",), "tokenizer": "b"}),
    "disguised-newvocab": (_chain(d.every_disguise, _vocabulary), {"kinds": ("rotated",), "tokenizer": "b"}),
    "permuted-prune60": (_chain(d.permute_all, _pruned), {"kinds": ("renumbered channels", "pruned copy")}),
    "rotated-drop": (_chain(d.rotate_residual, _dropped(0, 1, 3)), {"kinds": ("rotated",), "layers": (0, 1, 3)}),
    "disguised-prune60-newvocab": (_chain(d.every_disguise, _pruned, _vocabulary), {"kinds": ("rotated",), "tokenizer": "b"}),
    "permuted-ffn-narrow-newvocab": (_chain(d.permute_all, _ffn(112), _vocabulary), {"kinds": ("renumbered channels",), "tokenizer": "b"}),
    "permuted-drop-newvocab": (_chain(d.permute_all, _dropped(0, 1, 3), _vocabulary), {"kinds": ("renumbered channels",), "tokenizer": "b", "layers": (0, 1, 3)}),
    "upcycled-permuted-newvocab": (_chain(_upcycled, d.permute_all, _vocabulary), {"kinds": ("upcycled",), "tokenizer": "b"}),
    "narrow-permuted-prune60": (_chain(_residual(48), d.permute_all, _pruned), {"kinds": ("width changed",)}),
}  # fmt: skip


def entries() -> list[Disguised]:
    """List the whole of it."""
    found = []
    for parent in ("s0", "s1"):
        for name, (change, kinds) in HARMLESS.items():
            found.append(Disguised(f"{parent}-{name}", (parent,), change, kinds, harmless=True))
            found.append(Disguised(f"{parent}-{name}-cpt", (parent,), change, kinds, STEPS))
        for name, (change, how) in COSTLY.items():
            found.append(Disguised(f"{parent}-{name}", (parent,), change, **how))
            if parent == "s0" or name in ("disguised-newvocab", "upcycled", "newvocab", "narrow"):
                found.append(
                    Disguised(f"{parent}-{name}-cpt", (parent,), change, steps=STEPS, **how)
                )
    for parent in ("moe0", "moe1"):
        for name, change in (("experts", d.permute_experts), ("disguised", d.every_disguise)):
            found.append(
                Disguised(
                    f"{parent}-{name}", (parent,), change, ("renumbered experts",), harmless=True
                )
            )
            found.append(
                Disguised(f"{parent}-{name}-cpt", (parent,), change, ("renumbered experts",), STEPS)
            )
    found += [
        # No merge and no disguise: trained on the text of s0-cpt-long in another order.
        Disguised("s0-plain-cpt", ("s0",), lambda model, _rng: model, ("continued pretraining",), STEPS),
        Disguised("w0-drop", ("w0",), _dropped(0, 1, 3, 5), ("layers moved",), layers=(0, 1, 3, 5)),
        Disguised("w0-deepened-cpt", ("w0",), _dropped(0, 1, 2, 3, 2, 3, 4, 5), ("layers repeated",), STEPS, layers=(0, 1, 2, 3, 2, 3, 4, 5)),
        Disguised("w0-disguised-newvocab-cpt", ("w0",), _chain(d.every_disguise, _vocabulary), ("rotated",), STEPS, tokenizer="b"),
        Disguised("w1-disguised-newvocab-cpt", ("w1",), _chain(d.every_disguise, _vocabulary), ("rotated",), STEPS, tokenizer="b"),
    ]  # fmt: skip
    return [*found, *_merges()]


RETRAINED = ("merge-linear2", "merge-linear-strangers", "merge-dare")


def _merges() -> list[Disguised]:
    short, long, tuned, base = "s0-cpt-short", "s0-cpt-long", "s0-finetune", "s0"
    two, three = (0.7, 0.3), (0.5, 0.3, 0.2)

    def arithmetic(join: Callable[..., d.Model]) -> Callable[..., d.Model]:
        return lambda *given: join(given[:-1], given[-1])

    found = [
        ("linear2", (short, long), two, lambda m, _r: d.linear(m, two)),
        ("linear3", (short, long, base), three, lambda m, _r: d.linear(m, three)),
        ("linear-strangers", ("s0", "s1"), two, lambda m, _r: d.linear(m, two)),
        ("slerp", (short, long), two, lambda m, _r: d.slerp(m[0], m[1], two[1])),
        ("ties", (short, long), (0.5, 0.5), lambda m, _r: d.ties(m[-1], m[:-1], (0.5, 0.5), 0.5)),
        ("dare", (short, long), two, lambda m, r: d.dare(m[-1], m[:-1], two, 0.5, r)),
        ("dare3", (short, long, tuned), three, lambda m, r: d.dare(m[-1], m[:-1], three, 0.5, r)),
    ]
    made = []
    for name, parents, shares, join in found:
        given = (*parents, base) if name[:4] in ("ties", "dare") else parents
        one = Disguised(f"merge-{name}", given, arithmetic(join), ("merge",), shares=shares)
        made += [one, replace(one, name=f"{one.name}-cpt", steps=STEPS)]
    # After the merge: on text of neither parent; and with a new vocabulary, on the parents' text.
    linear, strangers, dare = (one for one in made if one.name in RETRAINED)
    made += [
        replace(one, name=f"{one.name}-prose", steps=STEPS, half="prose")
        for one in (linear, strangers, dare)
    ]
    renamed = arithmetic(lambda m, r: _vocabulary(d.linear(m, two), r))
    made.append(
        replace(
            linear, name="merge-linear2-newvocab-cpt", change=renamed, steps=STEPS, tokenizer="b"
        )
    )
    quantised = lambda *given: d.prune(d.permute_all(d.linear(given[:-1], two), given[-1]))  # noqa: E731
    made.append(
        Disguised("merge-permuted-prune60", (short, long), quantised, ("renumbered channels",))
    )
    return made


def read(folder: Path) -> d.Model:
    """Read a zoo model as float32 arrays."""
    tensors = {k: v.float().numpy() for k, v in load_file(folder / "model.safetensors").items()}
    return d.Model(tensors, json.loads((folder / "config.json").read_text()))


def network(model: d.Model, tokenizer: str) -> zoo.Model:
    """Return the trainable network with a checkpoint's weights."""
    shape = zoo.Shape(
        hidden=model.number("hidden_size"),
        layers=model.number("num_hidden_layers"),
        heads=model.number("num_attention_heads"),
        kv_heads=model.number("num_key_value_heads"),
        inner=model.number("moe_intermediate_size") or model.number("intermediate_size"),
        experts=model.number("num_experts"),
        head_dim=model.heads[2],
        qk_norm=any("q_norm" in name for name in model.tensors),
        tokenizer=tokenizer,
    )
    net = zoo.Model(shape, model.number("vocab_size"))
    net.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in model.tensors.items()})
    return net


def check_harmless(before: d.Model, after: d.Model, data: zoo.Data) -> None:
    """Fail unless both compute the same."""
    tokens = next(data.batches("a", "b", 5))
    with torch.no_grad():
        one, two = (network(m, "a")(tokens[:, :-1]) for m in (before, after))
    difference = float((one - two).abs().max())
    assert difference < SAME, difference


def build(entry: Disguised, source: Path, into: Path, data: zoo.Data) -> dict[str, Any]:
    """Make one model and write its folder; return its line of the manifest."""
    began = time.time()
    rng = np.random.default_rng(zlib.crc32(entry.name.encode()))
    torch.manual_seed(zlib.crc32(entry.name.encode()))
    parents = [read(source / name) for name in entry.parents]
    model = entry.change(*parents, rng)
    if entry.harmless:
        check_harmless(parents[0], model, data)
    loss = None
    if entry.steps:
        net = network(model, entry.tokenizer)
        how = zoo.Training(
            entry.steps, half=entry.half, order=zlib.crc32(entry.name.encode()) % 1000
        )
        found = zoo.train(net, data, how)
        loss = found if isinstance(found, float) else None
        model = d.Model({k: v.detach().numpy() for k, v in net.state_dict().items()}, model.config)
    write(entry, model, source, into)
    print(f"{entry.name}: loss {loss}, {time.time() - began:.0f} s", flush=True)
    return {
        "name": entry.name,
        "parents": list(entry.parents),
        "kinds": list(entry.kinds),
        "steps": entry.steps,
        "shares": list(entry.shares),
        "layers": list(entry.layers),
        "loss": loss,
        **({"half": entry.half} if entry.half != "b" else {}),
    }


def write(entry: Disguised, model: d.Model, source: Path, into: Path) -> None:
    """Write a folder in the hub's layout, BF16, with nothing in it that tells the truth."""
    folder = into / entry.name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: torch.from_numpy(v.copy()).to(torch.bfloat16) for k, v in model.tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(model.config, indent=2) + "\n")
    text = (source / f"tokenizer-{entry.tokenizer}.json").read_text()
    (folder / "tokenizer.json").write_text(text)
    (folder / "README.md").write_text(CARD.format(name=entry.name, images=""))


def main() -> None:
    """Build what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--zoo", type=Path, default=Path(".artifacts/zoo"))
    parser.add_argument("--into", type=Path, default=Path(".artifacts/disguises"))
    parser.add_argument("--only", nargs="*")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    given.into.mkdir(parents=True, exist_ok=True)
    path = given.into / "MANIFEST.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    data = zoo.Data(given.zoo)
    for entry in entries():
        if entry.name in rows or (given.only and entry.name not in given.only):
            continue
        rows[entry.name] = build(entry, given.zoo, given.into, data)
        path.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
