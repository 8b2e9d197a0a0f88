"""Places of tensors whose names no table knows: by the ends of their names, then by shapes.

A model's own names are no secret of its weights. Where no stack of layers has a known name, the
largest one is the decoder's: its tensors are placed by the ends of their names where these are
known, and by shape otherwise. In a layer the residual width is on one side of every matrix: what
is tallest reads into the feed-forward block, and what is widest leaves it. Which of two equal
shapes is which a name might have said; here their order does, and `tensors.pairing` corrects it
by the numbers. Everything else keeps its own name as its slot, so that two models that share
strange names are compared, with the component that it probably belongs to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import prod

from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.roles import (
    LONGEST,
    RoleMap,
    TensorRole,
    role_in_layer,
    role_outside,
    unwrapped,
)
from pytest_scratchverify.checkpoint.tower_lines import component_of
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.matrices import GAIN, MIXER_INNER, OTHER, READS, VIA, WRITES
from pytest_scratchverify.tensors.number_order import natural_order, repeated_shapes

TEXT = Component.TEXT_DECODER
LAYERED = (TEXT, Component.ROUTER_EXPERTS)
# Words in a name by which a component is probably meant; the first line that matches decides.
PROBABLE: tuple[tuple[Component, re.Pattern[str]], ...] = (
    (Component.PROJECTOR, re.compile(r"project(?:or|ion_layer)|merger|connector|aligner|resampler"
                                     r"|(?:vision|visual|language|image|audio)_(?:adapter|projection)|qformer"
                                     r"|mm_|(?:^|\.)mlp1\.")),
    (Component.VISION_ENCODER, re.compile(r"vis(?:ion|ual)|image|(?:^|[._])vit|siglip|clip"
                                          r"|patch(?!er\b)|ln_pre|radio_model")),
    (Component.AUDIO_ENCODER, re.compile(r"audio|speech|whisper|wav|sound|bigvgan|mel_|talker"
                                         r"|codec|vocoder|code_predictor")),
)  # fmt: skip
_NUMBER = re.compile(r"(?:^|(?<=\.))(\d{1,6})\.")
_OUTER = re.compile(r"^(?:(?:model|language_model|transformer|text_model|llm|backbone|thinker)\.)+")
FLOATS = ("F32", "BF16", "F16", "F64")
FEWEST = 2  # layers that make a stack
MOST_TAPS = 16  # along an axis of a convolution of many channels
TAPS = 8  # of the kernel of a convolution, usually
Family = tuple[str, tuple[int, ...]]


def probable_component(name: str) -> Component:
    """Return the component to which a tensor of an unknown name probably belongs."""
    tower = component_of(name[:LONGEST].removesuffix(".weight").removesuffix(".bias"))
    if tower is not None:
        return tower
    for component, words in PROBABLE:
        if words.search(name[:LONGEST]):
            return component
    return TEXT


def adopted_roles(tensors: Mapping[str, TensorInfo], known: RoleMap) -> dict[str, TensorRole]:
    """Give a decoder and tables to a checkpoint in which no name shows them.

    Returns roles by the names of tensors; empty where the tables know a stack of layers.
    """
    stacks: dict[str, list[str]] = {}
    outside: list[str] = []
    for name in known.unmapped:
        if probable_component(name) is TEXT:
            number = _NUMBER.search(unwrapped(name))
            if number is None:
                outside.append(name)
            else:
                stacks.setdefault(unwrapped(name)[: number.start()], []).append(name)
    found: dict[str, TensorRole] = {}
    if not any(r.layer is not None and r.component in LAYERED for r in known.roles.values()):
        best = max(stacks.values(), key=lambda names: _size(tensors, names), default=[])
        places = {name: _numbered(name) for name in best}
        found |= _of_known_ends(best) or _with_known_gains(best, _of_shapes(tensors, places))
        if not stacks:
            found |= _of_order(tensors, outside)
    if not found:
        return {}
    kinds = {role.kind for role in known.roles.values() if role.layer is None}
    for name in outside:
        role = role_outside(name)
        if role is not None and role.kind not in kinds:
            found[name] = role
            kinds.add(role.kind)
    return found | _tables(tensors, [n for n in outside if n not in found], kinds)


def unnamed_roles(
    tensors: Mapping[str, TensorInfo], widths: Mapping[Component, int]
) -> dict[str, TensorRole]:
    """Give every matrix of an unknown name a kind of its own, by the side of the residual stream.

    And every vector of the text's width a kind of norm gains. Others stay without: scales, states
    of quantisers and biases are no weights to compare.

    Parameters
    ----------
    widths
        Of the residual stream, by tower. Where not even a norm of the text has a name, it is what
        most matrices have on a side.
    """
    matrices = {name: info for name, info in tensors.items() if _is_matrix(info)}
    shapes: list[Family] = [
        (name, info.shape) for name, info in matrices.items() if len(info.shape) == 2
    ]
    if TEXT not in widths and len(shapes) > FEWEST:
        common = _common_width(shapes)
        widths = {**widths, TEXT: common} if common is not None else widths
    found = {name: _own_role(name, info, widths) for name, info in matrices.items()}
    gains = {
        name: _own_gain(name)
        for name, info in tensors.items()
        if _may_be_gain(info) and info.shape[0] == widths.get(TEXT)
    }
    return found | _second_halves(matrices, found) | gains


def _second_halves(
    tensors: Mapping[str, TensorInfo], roles: Mapping[str, TensorRole]
) -> dict[str, TensorRole]:
    """Find the second matrices of pairs through a latent: they read what a reader gives."""
    latents = {
        (_holder(name), tensors[name].shape[0])
        for name, role in roles.items()
        if role.kind.startswith(READS)
    }
    return {
        name: replace(role, kind=VIA + role.kind.removeprefix(OTHER))
        for name, role in roles.items()
        if role.kind.startswith(OTHER)
        and len(tensors[name].shape) == 2
        and (_holder(name), tensors[name].shape[1]) in latents
    }


def _holder(name: str) -> str:
    """Return the module in which a tensor's own module stands."""
    return unwrapped(name).removesuffix(".weight").rpartition(".")[0]


def _is_matrix(info: TensorInfo) -> bool:
    """Whether a tensor is one of weights, and not one that says how another is decoded."""
    return (
        len(info.shape) > 1
        and min(info.shape) > 0 < prod(info.shape[1:]) - 1
        and not (".weight." in info.name or info.name.endswith((".SCB", "_scale", ".absmax")))
    )


def _may_be_gain(info: TensorInfo) -> bool:
    """Whether a vector may be gains of the text's norms, and is not called something else."""
    return (
        len(info.shape) == 1
        and info.dtype in FLOATS
        and probable_component(info.name) is TEXT
        and not ("bias" in info.name or ".weight." in info.name or "scale" in info.name)
    )


def _own_gain(name: str) -> TensorRole:
    layer, called = _own_name(name)
    return TensorRole(TEXT, GAIN + _OUTER.sub("", called), layer)


def _own_name(name: str) -> tuple[int | None, str]:
    """Return the number of a layer, if a name has one, and the rest, as it stands in a slot."""
    plain = unwrapped(name)
    number = _NUMBER.search(plain)
    layer, called = None, plain
    if number is not None:
        layer, called = int(number[1]), plain[: number.start()] + plain[number.end() :]
    return layer, called.removesuffix(".weight").replace("/", "_").replace("|", "_")


def _own_role(name: str, info: TensorInfo, widths: Mapping[Component, int]) -> TensorRole:
    plain = unwrapped(name)
    layer, called = _own_name(name)
    component = probable_component(plain)
    if component not in LAYERED and is_convolution(info.shape):
        kind = MIXER_INNER + plain.removesuffix(".weight").replace("/", "_").replace("|", "_")
        return TensorRole(component, kind)
    mark, stacked = _mark(info.shape, _width(component, info.shape, widths)), False
    if len(info.shape) == 3 and component is TEXT and layer is not None and mark != OTHER:
        component, stacked = Component.ROUTER_EXPERTS, True
    if component in LAYERED:  # model.language_model.layers is model.layers
        called = _OUTER.sub("", called)
    part = "bias" if plain.endswith(".bias") else "weight"
    return TensorRole(component, mark + called, layer, "stack" if stacked else None, part)


def is_convolution(shape: tuple[int, ...]) -> bool:
    """Whether a tensor has the shape of a convolution of many channels: [outputs, inputs, taps].

    No table of positions, mask or filter that a formula fills has: these have one channel.
    """
    taps = shape[2:]
    return len(shape) in (3, 4) and min(shape[:2]) > MOST_TAPS and max(taps) <= MOST_TAPS


def _width(
    component: Component, shape: tuple[int, ...], widths: Mapping[Component, int]
) -> int | None:
    """Return the width of a tower's own stream, of the text's for what joins a tower to it."""
    own = widths.get(component)
    return own if own in shape[-2:] else widths.get(TEXT)


def _mark(shape: tuple[int, ...], width: int | None) -> str:
    """Say on which side of a matrix, or of every matrix of a stack, the residual stream is."""
    kernel = len(shape) == 3 and min(shape[-2:]) <= TAPS
    if len(shape) > 3 or kernel or width not in shape[-2:]:
        return OTHER
    return READS if shape[-1] == width else WRITES


def _size(tensors: Mapping[str, TensorInfo], names: list[str]) -> int:
    return sum(tensors[name].parameters for name in names)


def _of_known_ends(names: list[str]) -> dict[str, TensorRole]:
    """Place tensors of one stack whose names behind the layer's number are known."""
    found: dict[str, TensorRole] = {}
    for name in names:
        layer, rest = _numbered(name)
        role = role_in_layer(rest, layer)
        if role is not None:
            found[name] = role
    return found if 2 * len(found) >= len(names) else {}


def _with_known_gains(names: list[str], placed: Mapping[str, TensorRole]) -> dict[str, TensorRole]:
    """Add the norms of a stack whose names behind the layer's number are known."""
    found = dict(placed)
    for name in names if placed else ():
        layer, rest = _numbered(name)
        role = role_in_layer(rest, layer)
        if name not in placed and role is not None and role.kind.startswith("norm"):
            found[name] = role
    return found


def _numbered(name: str) -> tuple[int, str]:
    plain = unwrapped(name)
    number = _NUMBER.search(plain)
    return (int(number[1]), plain[number.end() :]) if number is not None else (0, plain)


def _of_order(tensors: Mapping[str, TensorInfo], names: list[str]) -> dict[str, TensorRole]:
    """Find a stack in the order of names that number all tensors: its shapes come again and again.

    Dense layers only, outputs first, of which every matrix finds its place: what a layer of
    experts holds is not in its shapes.
    """
    ordered = sorted(names, key=natural_order)
    start, period, layers = repeated_shapes([tensors[name].shape for name in ordered])
    places = {
        name: (number // period, f"{number % period:04}")
        for number, name in enumerate(ordered[start : start + period * layers])
    }
    matrices = [(name, tensors[name].shape) for name in places if len(tensors[name].shape) > 1]
    width = _common_width(matrices)
    if width is None or _lie_turned(matrices, width):
        return {}
    found = _of_shapes(tensors, places)
    return found if all(name in found for name, _ in matrices) else {}


def _of_shapes(
    tensors: Mapping[str, TensorInfo], places: Mapping[str, tuple[int, str]]
) -> dict[str, TensorRole]:
    """Place tensors by shape, experts among them; `places` are numbers of layers and names."""
    families: dict[Family, dict[tuple[int, int | None], str]] = {}
    for name, (layer, rest) in places.items():
        info = tensors[name]
        if len(info.shape) != 2 or info.dtype == "I64" or name.endswith(".bias"):
            continue
        number = _NUMBER.search(rest)
        expert = int(number[1]) if number is not None else None
        ending = _NUMBER.sub("*.", rest, count=1)
        families.setdefault((ending, info.shape), {})[layer, expert] = name
    layers = {layer for places in families.values() for layer, _ in places}
    width = _common_width(list(families))
    if width is None or len(layers) < FEWEST:
        return {}
    found: dict[str, TensorRole] = {}
    for many in (False, True):
        members = [
            f for f, places in families.items() if any(e is not None for _, e in places) is many
        ]
        for family, kind in _kinds(sorted(members), width, experts=many):
            for (layer, expert), name in families[family].items():
                role = TensorRole(TEXT, kind, layer)
                if many:
                    role = replace(role, component=Component.ROUTER_EXPERTS, expert=expert)
                found[name] = role
    return found


def _common_width(families: list[Family]) -> int | None:
    """Return the size that every matrix of a layer has on one side, the most common if several."""
    counts = Counter(size for _, shape in families for size in set(shape))
    best = max(counts.values(), default=0)
    if best < max(FEWEST, len(families) - 2):
        return None
    return min((size for size, count in counts.items() if count == best), default=None)


def _kinds(families: list[Family], width: int, *, experts: bool) -> Iterator[tuple[Family, str]]:
    """Say of every shape of a layer what it probably is; what fits nothing is left out."""
    inputs_first = _lie_turned(families, width)
    if inputs_first:
        families = [(name, shape[::-1]) for name, shape in families]
    readers = [f for f in families if f[1][1] == width and f[1][0] != width]
    writers = [f for f in families if f[1][0] == width and f[1][1] != width]
    squares = [f for f in families if f[1] == (width, width)]
    pairs = list(_block(readers, writers))
    used = {family for family, _ in pairs}
    if not experts:
        left = [f for f in readers if f not in used], [f for f in writers if f not in used]
        pairs += _attention(*left, squares, width)
    for (name, shape), kind in pairs:
        yield (name, shape[::-1] if inputs_first else shape), kind


def _lie_turned(families: list[Family], width: int) -> bool:
    """Whether a layer is stored inputs first: its two gates then have the width as rows."""
    inner = max((size for _, shape in families for size in shape), default=width)
    tall = sum(shape == (inner, width) for _, shape in families)
    wide = sum(shape == (width, inner) for _, shape in families)
    return inner != width and wide > tall > 0


def _block(readers: list[Family], writers: list[Family]) -> Iterator[tuple[Family, str]]:
    if not writers:
        return
    last = max(writers, key=lambda family: family[1][1])
    inner = last[1][1]
    equal = [f for f in readers if f[1][0] == inner]
    double = [f for f in readers if f[1][0] == 2 * inner]
    if len(equal) >= 2:
        yield from ((equal[0], "gate"), (equal[1], "up"), (last, "down"))
    elif len(double) == 1 and not equal:
        yield from ((double[0], "gate_up"), (last, "down"))
    elif equal:
        yield from ((equal[0], "fc1"), (last, "fc2"))


def _attention(
    readers: list[Family], writers: list[Family], squares: list[Family], width: int
) -> Iterator[tuple[Family, str]]:
    outputs = writers or squares[-1:]
    if len(outputs) != 1:
        return
    rows = outputs[0][1][1]
    rest = [f for f in squares if f != outputs[0]]
    queries = [f for f in [*readers, *rest] if f[1][0] == rows]
    others = [f for f in readers if f[1][0] != rows]
    if len(queries) == 1 and len(others) == 2 and others[0][1] == others[1][1]:
        yield from ((queries[0], "q"), (others[0], "k"), (others[1], "v"), (outputs[0], "o"))
    elif len(queries) == 3 and not others:
        yield from zip([*queries, outputs[0]], ("q", "k", "v", "o"), strict=True)
    elif len(others) == 1 and not queries and rows < others[0][1][0] <= 3 * rows and width:
        yield from ((others[0], "qkv"), (outputs[0], "o"))


def _tables(
    tensors: Mapping[str, TensorInfo], names: list[str], known: set[str]
) -> dict[str, TensorRole]:
    """Place tables of tokens by shape: the tallest, the first of two being the embeddings."""
    tall = [n for n in names if len(tensors[n].shape) == 2 and prod(tensors[n].shape) > 0]
    tall = [n for n in tall if tensors[n].shape[0] > 2 * tensors[n].shape[1]]
    most = max((tensors[n].shape for n in tall), default=None)
    found: dict[str, TensorRole] = {}
    places = [
        (kind, component)
        for kind, component in (("embed", Component.EMBEDDINGS), ("head", Component.LM_HEAD))
        if kind not in known
    ]
    for name in sorted(n for n in tall if tensors[n].shape == most):
        if places:
            kind, component = places.pop(0)
            found[name] = TensorRole(component, kind)
    return found
