"""Static scan of a pickled state dict for its tensors, without unpickling anything.

`pickletools.genops` cuts the stream into opcodes and runs none of them. The few that describe
tensors are followed on a stack of inert values; a global outside of the list below, or an opcode
that could do more, ends the scan with a `HeaderError`. No name is looked up, nothing is called.

Formats: pickletools.py of Python; torch/serialization.py, torch/_utils.py.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from pytest_scratchverify.checkpoint.header import MAX_RANK, HeaderError

MAX_OPCODES = 2_000_000  # some ten for each tensor; each costs microseconds
MAX_STACK = 1_000_000
LARGEST = 2**48

# torch's names of storages and dtypes, and what safetensors calls them.
STORAGES: Mapping[str, str] = MappingProxyType(
    {
        "DoubleStorage": "F64",
        "FloatStorage": "F32",
        "HalfStorage": "F16",
        "BFloat16Storage": "BF16",
        "LongStorage": "I64",
        "IntStorage": "I32",
        "ShortStorage": "I16",
        "CharStorage": "I8",
        "ByteStorage": "U8",
        "BoolStorage": "BOOL",
        "UntypedStorage": "U8",
    }
)
DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "float8_e4m3fn": "F8_E4M3",
        "float8_e5m2": "F8_E5M2",
        "float8_e8m0fnu": "F8_E8M0",
        "uint16": "U16",
        "uint32": "U32",
        "uint64": "U64",
    }
)
REBUILD = frozenset({"_rebuild_tensor_v2", "_rebuild_tensor_v3"})


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of bytes in the archive: its key, the dtype that it was declared as, its elements."""

    key: str
    dtype: str
    elements: int


@dataclass(frozen=True, slots=True)
class PickledTensor:
    """A tensor over a storage; `offset` and `stride` count elements."""

    storage: Storage
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @property
    def is_contiguous(self) -> bool:
        """Whether rows follow one another as in C."""
        expected = 1
        for length, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if length != 1 and step != expected:
                return False
            expected *= length
        return True


@dataclass(slots=True)
class Table:
    """A dict or list under construction; of a list only that it is one matters."""

    items: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Global:
    module: str
    name: str


_Handler = Callable[["_Machine", Any], None]

# What `pickletools` and the handlers raise on damaged bytes; it also warns of bad escapes, which
# is an error where warnings are.
_BROKEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, Warning,
           struct.error, RecursionError)  # fmt: skip


def scan(raw: bytes, file: str) -> tuple[dict[str, PickledTensor], int]:
    """Return the tensors of a pickled state dict by name, and where its pickle ends.

    A checkpoint that wraps its state dict once (``state_dict``, ``model``) is unwrapped.
    Raises `HeaderError` for anything but dicts, numbers, texts and tensors.
    """
    top, end = follow(raw, file)
    if not isinstance(top, Table):
        raise HeaderError(f"{file} holds no table of tensors")
    return _tensors(top), end


def follow(raw: bytes, file: str) -> tuple[Any, int]:
    """Follow one pickle; return the inert value on top of its stack, and where it ends."""
    machine = _Machine(file)
    stream = io.BytesIO(raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of an escape that is none
            for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
                machine.step(opcode.name, argument, count)
    except HeaderError:
        raise
    except _BROKEN as error:
        raise HeaderError(f"the pickle of {file} is broken ({error!s:.100})") from error
    return machine.stack.pop() if machine.stack else None, stream.tell()


def _tensors(table: Table) -> dict[str, PickledTensor]:
    found = _named(table.items)
    if found:
        return found
    for key in ("state_dict", "model_state_dict", "model", "module"):
        inner = table.items.get(key)
        if isinstance(inner, Table):
            return _named(inner.items)
    return {}


def _named(items: Mapping[Any, Any]) -> dict[str, PickledTensor]:
    return {
        name: value
        for name, value in items.items()
        if isinstance(name, str) and isinstance(value, PickledTensor)
    }


class _Machine:
    """The pickle machine's stack, marks and memo over inert values: nothing is called."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any, count: int) -> None:
        """Follow one opcode; raise `HeaderError` for one that no state dict needs."""
        if count > MAX_OPCODES:
            raise HeaderError(f"{self.file} holds more than {MAX_OPCODES} opcodes")
        if max(len(self.stack), len(self.marks)) > MAX_STACK:
            raise HeaderError(f"{self.file} stacks more than {MAX_STACK} values")
        handler = _HANDLERS.get(name)
        if handler is None:
            raise HeaderError(f"the pickle of {self.file} uses {name}, which no state dict needs")
        handler(self, argument)

    # One method for each group of opcodes; `_HANDLERS` below says which.

    def ignore(self, _: Any) -> None:
        """PROTO, FRAME, STOP: nothing that a state dict holds."""

    def push_argument(self, argument: Any) -> None:
        self.stack.append(argument)

    def push_table(self, _: Any) -> None:
        self.stack.append(Table())

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def tuple_of_marked(self, _: Any) -> None:
        self.stack.append(tuple(self._marked()))

    def dict_of_marked(self, _: Any) -> None:
        self.stack.append(Table(_pairs(self._marked())))

    def list_of_marked(self, _: Any) -> None:
        self._marked()
        self.stack.append(Table())

    def set_item(self, _: Any) -> None:
        items = [self.stack.pop(-2), self.stack.pop()]
        self._top().items.update(_pairs(items))

    def set_marked_items(self, _: Any) -> None:
        items = self._marked()
        self._top().items.update(_pairs(items))

    def append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def append_marked(self, _: Any) -> None:
        self._extend(self._marked())

    def memoize_at(self, argument: Any) -> None:
        self.memo[int(argument)] = self.stack[-1]

    def memoize_next(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def recall(self, argument: Any) -> None:
        self.stack.append(self.memo[int(argument)])

    def global_by_argument(self, argument: Any) -> None:
        module, _, word = argument.partition(" ")
        self.stack.append(self._known(module, word))

    def global_by_stack(self, _: Any) -> None:
        word, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self._known(module, word))

    def persistent_storage(self, _: Any) -> None:
        self.stack.append(self._storage(self.stack.pop()))

    def reduce(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._called(function, arguments))

    def build(self, _: Any) -> None:
        """Drop the attributes of an OrderedDict: _metadata."""
        self.stack.pop()
        self._top()

    def _extend(self, items: list[Any]) -> None:
        table = self._top().items
        table.update(enumerate(items, start=len(table)))

    def _marked(self) -> list[Any]:
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items

    def _top(self) -> Table:
        table = self.stack[-1]
        if not isinstance(table, Table):
            raise HeaderError(f"the pickle of {self.file} fills something that is no table")
        return table

    def _known(self, module: Any, word: Any) -> _Global:
        known = (
            (module == "collections" and word == "OrderedDict")
            or (module == "torch._utils" and word in {*REBUILD, "_rebuild_parameter"})
            or (module in ("torch", "torch.storage") and word in STORAGES)
            or (module == "torch" and (word in DTYPES or word == "Size"))
        )
        if not known:
            raise HeaderError(
                f"the pickle of {self.file} names {module!s:.60}.{word!s:.60}, "
                "which no state dict of tensors needs"
            )
        return _Global(module, word)

    def _storage(self, described: Any) -> Storage:
        kind, declared, key, _, elements = described[:5]
        sound = kind == "storage" and isinstance(key, str) and isinstance(declared, _Global)
        if not sound or type(elements) is not int or not 0 <= elements < LARGEST:
            raise HeaderError(f"the pickle of {self.file} describes no storage")
        return Storage(key, STORAGES[declared.name], elements)

    def _called(self, function: Any, arguments: Any) -> Any:
        """Say what a call would make, without calling."""
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise HeaderError(f"the pickle of {self.file} calls something that is no function")
        if function.name == "OrderedDict":
            return Table()
        if function.name == "Size":
            return arguments[0]
        if function.name == "_rebuild_parameter":
            return arguments[0]
        if function.name not in REBUILD:
            raise HeaderError(f"the pickle of {self.file} calls {function.name}")
        storage, offset, shape, stride = arguments[:4]
        if not isinstance(storage, Storage) or not len(shape) == len(stride) <= MAX_RANK:
            raise HeaderError(f"the pickle of {self.file} describes no tensor")
        if not _natural([offset, *shape, *stride]) or math.prod(shape) >= LARGEST:
            raise HeaderError(f"the pickle of {self.file} describes an impossible tensor")
        dtype = storage.dtype
        if function.name == "_rebuild_tensor_v3":
            dtype = DTYPES[arguments[6].name]
        return PickledTensor(storage, dtype, tuple(shape), tuple(stride), offset)


def _push(value: Any) -> _Handler:
    """Return the handler of an opcode that pushes one constant."""
    return lambda machine, _: machine.stack.append(value)


def _tuple_of(count: int) -> _Handler:
    """Return the handler of an opcode that makes a tuple of the last `count` values."""

    def handler(machine: _Machine, _: Any) -> None:
        machine.stack[-count:] = [tuple(machine.stack[-count:])]

    return handler


_TEXTS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE")
_BYTES = ("SHORT_BINSTRING", "BINSTRING", "BINBYTES", "SHORT_BINBYTES")
_NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT", "FLOAT")

# Every opcode that a state dict needs, and what is done for it; any other ends the scan.
_HANDLERS: Mapping[str, _Handler] = MappingProxyType(
    {
        **dict.fromkeys((*_TEXTS, *_BYTES, *_NUMBERS), _Machine.push_argument),
        "NONE": _push(None),
        "NEWTRUE": _push(True),
        "NEWFALSE": _push(False),
        "EMPTY_TUPLE": _push(()),
        "TUPLE1": _tuple_of(1),
        "TUPLE2": _tuple_of(2),
        "TUPLE3": _tuple_of(3),
        "TUPLE": _Machine.tuple_of_marked,
        "EMPTY_DICT": _Machine.push_table,
        "EMPTY_LIST": _Machine.push_table,
        "DICT": _Machine.dict_of_marked,
        "LIST": _Machine.list_of_marked,
        "MARK": _Machine.mark,
        "SETITEM": _Machine.set_item,
        "SETITEMS": _Machine.set_marked_items,
        "APPEND": _Machine.append,
        "APPENDS": _Machine.append_marked,
        **dict.fromkeys(("BINPUT", "LONG_BINPUT", "PUT"), _Machine.memoize_at),
        "MEMOIZE": _Machine.memoize_next,
        **dict.fromkeys(("BINGET", "LONG_BINGET", "GET"), _Machine.recall),
        "GLOBAL": _Machine.global_by_argument,
        "STACK_GLOBAL": _Machine.global_by_stack,
        "BINPERSID": _Machine.persistent_storage,
        "REDUCE": _Machine.reduce,
        "BUILD": _Machine.build,
        **dict.fromkeys(("PROTO", "FRAME", "STOP"), _Machine.ignore),
    }
)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Pair keys with values; keys that are no texts or numbers are nobody's names."""
    pairs = zip(items[::2], items[1::2], strict=True)
    return {key: value for key, value in pairs if isinstance(key, str | int)}


def _natural(numbers: Iterable[Any]) -> bool:
    return all(type(number) is int and 0 <= number < LARGEST for number in numbers)
