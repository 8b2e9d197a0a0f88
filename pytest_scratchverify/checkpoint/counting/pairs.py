"""Which types are an encoder and a decoder of text, and what their code fixes.

A line is what no key says: where positions are learned, which norms stand beside the layers.
Source: the modelling code of `transformers` 5.24, held against instantiated models
(`tools/facts/counted.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pytest_scratchverify.checkpoint.counting.keys import Keys, UnknownLayerError

ENCODER: Final = "encoder"
DECODER: Final = "decoder"


@dataclass(frozen=True, slots=True)
class Pair:
    """Features of an encoder with a decoder; the defaults are BART's."""

    positions: int | None = 2  # learned ones, and how many more than the context
    embedding_norm: bool = True
    final_norm: bool = False
    biased: bool = True  # of attention; None of its projections has one where a key says so
    logits_bias: bool = True  # of the output, which no gradient trains
    both: bool | None = None  # encoder and decoder; None: as `is_encoder_decoder` says
    own_head: bool = (
        False  # where it is not tied the head is one more table; else as many as stacks
    )
    square: bool = False  # of attention, whatever the heads' size
    global_attention: bool = False  # of the encoder, with projections of its own
    global_norm: bool = False  # of the encoder's layers
    sparse: bool = False  # some layers route between experts
    ahead: bool = False  # the decoder predicts several tokens, by distances of its own
    relative: str = ""  # biases by distance: "first" layer of a stack, or "all"; T5's kin
    gated: bool | None = None  # MLPs of T5's kin; None: as the config says
    silent: bool | None = None  # whether MLPs have a gate where the config says nothing
    stem: str = ""  # of convolutions, before an encoder of sound
    no_key_bias: bool = False
    sided: bool = (
        False  # sizes of encoder and decoder under names of their own, norms of one vector
    )
    never_tied: bool = False
    rows: tuple[str, ...] = ()  # keys of tables as wide as the residual stream
    own_tables: bool = False  # of tokens of two languages, and a head besides
    known: bool = True


BART: Final = Pair()
_PEGASUS = Pair(positions=0, embedding_norm=False, final_norm=True)
_M2M = Pair(positions=None, embedding_norm=False, final_norm=True, logits_bias=False)
T5: Final = Pair(relative="first", logits_bias=False, both=True, own_head=True)

_GROUPS: Final[tuple[tuple[str, Pair], ...]] = (
    ("bart mvp plbart", BART),
    ("whisper", replace(_M2M, positions=0, stem="whisper", own_head=True, no_key_bias=True)),
    ("speech_to", replace(_M2M, stem="convs", own_head=True)),
    ("moonshine", replace(_M2M, stem="moonshine", own_head=True, sided=True)),
    ("marian", replace(_PEGASUS, final_norm=False)),
    ("m2m_100", _M2M),
    ("pop2piano", replace(T5, never_tied=True, rows=("composer_vocab_size",))),
    ("fsmt", replace(BART, embedding_norm=False, logits_bias=False, own_tables=True)),
    ("t5 longt5", replace(T5, silent=False)),
    ("mbart", replace(BART, final_norm=True)),
    ("blenderbot pegasus", _PEGASUS),
    ("blenderbot-small", replace(BART, positions=0)),
    ("bigbird_pegasus", replace(BART, positions=0, biased=False)),
    ("pegasus_x", replace(_M2M, biased=False, global_norm=True)),
    ("led", replace(BART, positions=0, global_attention=True)),
    ("nllb-moe", replace(_M2M, sparse=True)),
    ("prophetnet", replace(BART, positions=0, ahead=True, logits_bias=False)),
    ("trocr", replace(BART, both=False)),
    ("pp_formulanet", replace(BART, final_norm=True, both=False)),
    ("mt5", replace(T5, silent=True)),
    ("umt5", replace(T5, relative="all", silent=True)),
    ("switch_transformers", replace(T5, gated=False, sparse=True, own_head=False)),
    ("pix2struct_text_model", replace(T5, both=False, gated=True, square=True)),
)
PAIRS: Final[Mapping[str, Pair]] = {name: pair for names, pair in _GROUPS for name in names.split()}


# No other kin names the width of a head's keys `d_kv` and counts distances in buckets.
LIKE_T5: Final = ("d_kv", "d_ff", "num_decoder_layers", "relative_attention_num_buckets")


def pair_of(keys: Keys) -> Pair | None:
    """Return what a config's type is as an encoder with a decoder; None where it is neither."""
    if (known := PAIRS.get(keys.family)) is not None:
        return known
    if all(name in keys.raw for name in LIKE_T5) and keys.flag("is_encoder_decoder"):
        return replace(T5, known=False)
    return None


def has_encoder(keys: Keys, pair: Pair) -> bool:
    """Whether the encoder is part of what a config describes.

    Raises `UnknownLayerError` for a model that is an encoder alone, whatever else its type has.
    """
    classes = [name for name in keys.listed("architectures") or [] if isinstance(name, str)]
    for name in classes:
        if name.endswith(("EncoderModel", "AudioClassification")):
            raise UnknownLayerError(f"architectures: {name}")
    if any(name.endswith("ForCausalLM") for name in classes):
        return False
    return keys.flag("is_encoder_decoder", default=True) if pair.both is None else pair.both
