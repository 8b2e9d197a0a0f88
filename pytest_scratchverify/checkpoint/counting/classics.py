"""Traits of the kin of GPT and of BERT, whose code fixes more than their configs say.

Positions learned or computed, biases, norms after the embeddings and before the head: none of it
has a key. Source: the modelling code of `transformers` 5.24, held against instantiated models
(`tools/facts/counted.py`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pytest_scratchverify.checkpoint.counting.keys import Keys
from pytest_scratchverify.checkpoint.counting.traits import Traits

_GPT = Traits(
    gated=False, norm_bias=True, always_biased="qkvo", mlp_biased=True, tied=True, wide=True
)
_ROTARY = replace(_GPT, always_biased="", norms=1, head_bias=True, tied=None)
# A norm of the embeddings, and a square layer with a norm before the head, which has a bias.
_BERT = replace(
    _GPT, final_norm=False, more_norms=2, positions=0, dense=1, rows=("type_vocab_size",),
    head_bias=True, wide=False,
)  # fmt: skip
_KOSMOS = replace(_GPT, inner_norms="am")

GROUPS: Final[tuple[tuple[str, Traits], ...]] = (
    ("gpt2 gpt_bigcode", replace(_GPT, positions=0)),
    ("opt", replace(_GPT, positions=2)),
    ("xglm", _GPT),
    ("gpt_neox", replace(_GPT, tied=None)),
    ("gpt_neox_japanese", replace(_GPT, always_biased="", mlp_biased=False, segments=1)),
    ("phi", replace(_GPT, norms=1, head_bias=True, tied=None)),
    ("codegen", _ROTARY),
    ("falcon", replace(_GPT, always_biased="", mlp_biased=None, norms=2, by_parallel=True)),
    ("gpt_neo", replace(_GPT, always_biased="o", positions=0)),
    ("persimmon", replace(_GPT, qk_norm="head", wide=False, tied=None)),
    ("biogpt", replace(_GPT, positions=2, wide=False)),
    ("ctrl", replace(_GPT, head_bias=True, wide=False)),
    ("openai-gpt", replace(_GPT, positions=0, final_norm=False)),
    ("gptj", _ROTARY),
    ("xlnet", replace(_GPT, final_norm=False, segments=1, head_bias=True, wide=False,
                      kind="recurrent_xl", mixers={"recurrent_xl": "recurrent_xl"})),
    ("bloom", replace(_GPT, more_norms=1)),
    ("mpt", Traits(gated=False, mlp_biased=False, tied=True, wide=True)),
    ("cpmant", Traits(prompts=True, mlp_biased=False, never_tied=True)),
    ("xlm", replace(_BERT, more_norms=1, dense=0, rows=(), wide=True)),
    ("kosmos_2_text_model", _KOSMOS),
    ("kosmos_2_5_text_model", replace(_KOSMOS, inner_norms="m", segments=2)),
    ("bert roberta xlm-roberta data2vec-text ernie", _BERT),
    ("camembert roberta-prelayernorm", _BERT),
    ("electra", replace(_BERT, narrow=True)),
    ("rembert", replace(_BERT, narrow=True, never_tied=True)),
    ("roformer", replace(_BERT, narrow=True, positions=None, head_positions=True)),
    ("roc_bert", replace(_BERT, pictures=True)),
    ("xmod", replace(_BERT, adapters=True)),
    ("bert-generation", replace(_BERT, more_norms=1, dense=0, rows=())),
    ("big_bird", replace(_BERT, dense=2, biased="qkv", always_biased="o")),
    ("megatron-bert", replace(_BERT, more_norms=1, final_norm=True)),
    ("blip_text_model", replace(_BERT, rows=(), cross=True)),
)  # fmt: skip
# Keys that BERT's kin alone state together, and words of keys of those that are made otherwise.
_LIKE_BERT: Final = ("type_vocab_size", "hidden_dropout_prob", "attention_probs_dropout_prob")
_OTHERWISE: Final = ("rotary", "rope", "relative")


def like_bert(keys: Keys) -> Traits | None:
    """Return BERT's traits for a type that nobody here knows and whose keys are BERT's."""
    positions = keys.text("position_embedding_type")
    if positions not in (None, "absolute") or any(name not in keys.raw for name in _LIKE_BERT):
        return None
    if any(word in key for key in keys.raw for word in _OTHERWISE):
        return None
    return replace(_BERT, known=False)
