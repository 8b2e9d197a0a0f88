"""Which matrices of a base an adapter's factors fit: by name or by role, by shape either way."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_scratchverify.checkpoint.dtypes import NUMPY_DTYPES, TRAINED
from pytest_scratchverify.checkpoint.formats.codec import Codec
from pytest_scratchverify.checkpoint.formats.recognise import Unpacked
from pytest_scratchverify.checkpoint.formats.row_order import PlainRows
from pytest_scratchverify.checkpoint.header import TensorInfo
from pytest_scratchverify.checkpoint.roles import TensorRole, role_of
from pytest_scratchverify.stores.adapter import AdapterConfig, AdapterTensors, Factors
from pytest_scratchverify.tensors.uncounted import scaled_by

LARGEST_FACTOR = 2**26  # elements; a rank of 1,024 beside 65,536 inputs


@dataclass(frozen=True, slots=True)
class Changed:
    """A matrix of the base that the adapter changes: as it is stored there, and as it is shown.

    `turned` says that it is stored inputs first, `scale` is the factor of the product.
    """

    info: TensorInfo
    stored: Codec
    factors: Factors
    turned: bool
    scale: float


@dataclass(frozen=True)
class Fitted:
    """What of a base an adapter changes, what it brings whole, and what fits nothing.

    `gone` are the base's tensors that these stand in place of.
    """

    changed: tuple[Changed, ...]
    whole: Mapping[str, TensorInfo]
    left: tuple[str, ...]
    gone: frozenset[str]


def fit(
    tensors: AdapterTensors,
    base: Unpacked,
    stored: Mapping[str, TensorInfo],
    settings: AdapterConfig,
    *,
    file: str,
) -> Fitted:
    """Give every module its matrix of the base, and every whole tensor its name there.

    Parameters
    ----------
    base
        The base as it decodes.
    stored
        Its tensors as they are stored.
    file
        What the changed matrices are said to lie in, one after the other.
    """
    names = _Names(base.index.tensors)
    scales = {
        scaled_by(name): info
        for name, info in base.index.tensors.items()
        if name.endswith(("_scale", "_scale_inv", ".scale"))
    }
    changed: dict[str, Changed] = {}
    left = [*tensors.unknown]
    at = 0
    for module, factors in sorted(tensors.factors.items()):
        name = names.of(f"{module}.weight")
        one = _changed(name, factors, base, scales, settings) if name else None
        if one is None or one.info.name in changed:
            left.append(factors.first.name)
            continue
        info = replace(one.info, start=at, stop=at + one.info.stop, file=file)
        changed[info.name] = replace(one, info=info)
        at = info.stop
    whole = {}
    for name, info in tensors.whole.items():
        place = names.of(name) or name
        if place in whole or place in changed:
            left.append(info.name)
        else:
            whole[place] = replace(info, name=place)
    new = changed.keys() | whole.keys()
    packed = {name.removesuffix(".weight") for name in new & base.codecs.keys()}
    gone = {scales[name].name for name in new & scales.keys()}
    gone |= {name for name in stored if _belongs(name, packed)}
    return Fitted(tuple(changed.values()), whole, tuple(left), frozenset(gone))


def _changed(
    name: str,
    factors: Factors,
    base: Unpacked,
    scales: Mapping[str, TensorInfo],
    settings: AdapterConfig,
) -> Changed | None:
    """Lay factors over a matrix of the base, in bytes from zero; None where they do not fit."""
    info, codec, scale = base.index.tensors[name], base.codecs.get(name), scales.get(name)
    turned = _orientation(info.shape, factors, settings)
    if turned is None or (codec is None and info.dtype not in NUMPY_DTYPES):
        return None
    stored: Codec = codec or PlainRows(info, info.shape, scale)
    kept = codec is None and scale is None and info.dtype in TRAINED
    dtype = info.dtype if kept else "BF16"
    size = info.parameters * NUMPY_DTYPES[dtype].itemsize
    shown = TensorInfo(name, dtype, info.shape, 0, size, info.file)
    scaled = settings.scale(factors.module, factors.shapes[0][0])
    return Changed(shown, stored, factors, turned, scaled)


class _Names:
    """A base's tensors by name and by role: trainers and files prefix names differently."""

    def __init__(self, tensors: Mapping[str, TensorInfo]) -> None:
        self._known = tensors

    @cached_property
    def _by_role(self) -> Mapping[TensorRole, list[str]]:
        found: dict[TensorRole, list[str]] = {}
        for name in self._known:
            role = role_of(name)
            if role is not None:
                found.setdefault(role, []).append(name)
        return found

    def of(self, name: str) -> str | None:
        """Return the base's name for a tensor; None where there is none, or several."""
        if name in self._known:
            return name
        role = role_of(name)
        alike = self._by_role.get(role, []) if role is not None else []
        return alike[0] if len(alike) == 1 else None


def _orientation(shape: tuple[int, ...], factors: Factors, settings: AdapterConfig) -> bool | None:
    """Whether a matrix lies inputs first, as factors fit it; None where they do not fit."""
    first, second = factors.first, factors.second
    if not len(shape) == len(first.shape) == len(second.shape) == 2:
        return None
    (rank, inputs), (outputs, inner) = factors.shapes
    if rank != inner or not min(rank, inputs, outputs):
        return None
    if max(first.parameters, second.parameters) > LARGEST_FACTOR:
        return None
    if not {first.dtype, second.dtype} <= TRAINED:
        return None
    if not factors.turned and settings.rank not in (None, rank):
        return None  # loaders refuse it
    straight, across = shape == (outputs, inputs), shape == (inputs, outputs)
    turned = across and (factors.turned or settings.inputs_first or not straight)
    if not turned and (not straight or factors.turned):
        return None
    lengths = factors.magnitude
    if lengths is not None and (
        turned or lengths.parameters != outputs or lengths.dtype not in TRAINED
    ):
        return None  # DoRA's lengths over rows that lie across need all of the matrix
    return turned


def _belongs(name: str, packed: AbstractSet[str]) -> bool:
    """Whether a tensor is a piece of one of these packed matrices: numbers, scales, tables."""
    if name.endswith(".bias"):
        return False
    parts = name.split(".")
    return any(".".join(parts[:stop]) in packed for stop in range(1, len(parts)))
