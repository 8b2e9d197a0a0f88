"""Older types in the form of their hub files, held against published numbers of parameters.

The numbers are those that the hub's pages show for these repositories, and no rule was fitted to
them: the rules come from the modelling code. The configs are the files' keys that say a size.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_scratchverify.checkpoint.design import Tower, read_designs
from pytest_scratchverify.checkpoint.parameter_count import (
    UncountableDesignError,
    count_parameters,
)
from tools.facts.counted import read_rows

BERT = {"model_type": "bert", "hidden_act": "gelu", "hidden_size": 768, "intermediate_size": 3072,
        "layer_norm_eps": 1e-12, "max_position_embeddings": 512, "num_attention_heads": 12,
        "num_hidden_layers": 12, "type_vocab_size": 2, "vocab_size": 30522,
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}  # fmt: skip
T5 = {"model_type": "t5", "d_ff": 2048, "d_kv": 64, "d_model": 512, "is_encoder_decoder": True,
      "layer_norm_epsilon": 1e-6, "num_heads": 8, "num_layers": 6, "vocab_size": 32128,
      "relative_attention_num_buckets": 32}  # fmt: skip
WHISPER = {"model_type": "whisper", "d_model": 384, "decoder_ffn_dim": 1536, "decoder_layers": 4,
           "encoder_ffn_dim": 1536, "encoder_layers": 4, "is_encoder_decoder": True,
           "max_source_positions": 1500, "max_target_positions": 448, "num_mel_bins": 80,
           "vocab_size": 51865}  # fmt: skip
BART = {"model_type": "bart", "d_model": 1024, "decoder_ffn_dim": 4096, "decoder_layers": 12,
        "encoder_ffn_dim": 4096, "encoder_layers": 12, "is_encoder_decoder": True,
        "max_position_embeddings": 1024, "vocab_size": 50265}  # fmt: skip
PUBLISHED = {
    "bert-base-uncased": (109_514_298, BERT),
    "xlm-roberta-base": (278_295_186, {
        **BERT, "model_type": "xlm-roberta", "max_position_embeddings": 514, "type_vocab_size": 1,
        "vocab_size": 250002, "layer_norm_eps": 1e-5}),
    "t5-small": (60_506_624, T5),
    "flan-t5-base": (247_577_856, {
        **T5, "d_model": 768, "feed_forward_proj": "gated-gelu", "num_decoder_layers": 12,
        "num_heads": 12, "num_layers": 12, "tie_word_embeddings": False}),
    "mt5-small": (300_176_768, {
        **T5, "model_type": "mt5", "d_ff": 1024, "feed_forward_proj": "gated-gelu",
        "num_decoder_layers": 8, "num_heads": 6, "num_layers": 8, "tie_word_embeddings": False,
        "vocab_size": 250112}),
    "bart-large": (406_291_456, BART),
    "whisper-tiny": (37_760_640, WHISPER),
    "bloom-560m": (559_214_592, {
        "model_type": "bloom", "hidden_size": 1024, "n_layer": 24, "n_head": 16,
        "layer_norm_epsilon": 1e-5, "vocab_size": 250880}),
    "opt-350m": (331_196_416, {
        "model_type": "opt", "do_layer_norm_before": False, "ffn_dim": 4096, "hidden_size": 1024,
        "max_position_embeddings": 2048, "num_attention_heads": 16, "num_hidden_layers": 24,
        "vocab_size": 50272, "word_embed_proj_dim": 512}),
    "mpt-7b": (6_649_286_656, {
        "model_type": "mpt", "d_model": 4096, "expansion_ratio": 4, "max_seq_len": 2048,
        "n_heads": 32, "n_layers": 32, "vocab_size": 50432, "attn_config": {"alibi": True},
        "no_bias": True}),
    "falcon-7b": (6_921_720_704, {
        "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "bias": False,
        "num_attention_heads": 71, "layer_norm_epsilon": 1e-5, "multi_query": True,
        "new_decoder_architecture": False, "parallel_attn": True, "vocab_size": 65024}),
    "gpt-neo-125m": (125_198_592, {
        "model_type": "gpt_neo", "hidden_size": 768, "num_layers": 12, "num_heads": 12,
        "intermediate_size": None, "max_position_embeddings": 2048, "vocab_size": 50257,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}),
    "gpt-j-6b": (6_050_882_784, {
        "model_type": "gptj", "n_embd": 4096, "n_head": 16, "n_layer": 28, "n_positions": 2048,
        "rotary_dim": 64, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
        "vocab_size": 50400, "tie_word_embeddings": False}),
    "recurrentgemma-2b": (2_682_862_080, {
        "model_type": "recurrent_gemma", "hidden_size": 2560, "intermediate_size": 15360,
        "num_attention_heads": 10, "num_hidden_layers": 26, "num_key_value_heads": 1,
        "lru_width": 2560, "conv1d_width": 4, "vocab_size": 256000, "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh", "attention_bias": False,
        "block_types": ["recurrent", "recurrent", "attention"]}),
}  # fmt: skip


def count_of(config):
    return count_parameters(read_designs(config)[Tower.TEXT])


@pytest.mark.parametrize("name", PUBLISHED)
def test_older_types_have_the_published_number_to_the_unit(name):
    published, config = PUBLISHED[name]
    found = count_of(config)
    assert found.total == published
    assert found.certain


def test_a_decoder_alone_is_counted_without_its_encoder():
    alone = count_of({**BART, "is_encoder_decoder": False})
    both = count_of(BART)
    layer = 4 * (1024 * 1024 + 1024) + 2 * 4096 * 1024 + 4096 + 1024 + 4 * 1024
    assert both.total - alone.total == 12 * layer + 1026 * 1024 + 2 * 1024
    assert count_of({**BART, "architectures": ["BartForCausalLM"]}).total == alone.total


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({**T5, "architectures": ["T5EncoderModel"]}, "T5EncoderModel"),
        ({**WHISPER, "architectures": ["WhisperForAudioClassification"]}, "AudioClassification"),
        ({**BART, "tie_word_embeddings": False}, "tie_word_embeddings"),  # two tables, or four
        ({**BART, "model_type": "mvp", "use_prompt": True}, "use_prompt"),
        ({**BART, "model_type": "new"}, "is_encoder_decoder"),
        ({**T5, "model_type": "new"}, "feed_forward_proj"),
        ({**T5, "model_type": "new", "is_gated_act": False, "num_patches": 14}, "num_patches"),
    ],
)
def test_what_is_not_both_is_refused_by_name(config, named):
    with pytest.raises(UncountableDesignError, match=named):
        count_of({"num_decoder_layers": config.get("num_layers"), **config})


def test_kin_of_bert_and_t5_are_counted_by_their_keys_and_never_certain():
    kin = {**T5, "num_decoder_layers": 6, "is_gated_act": False, "model_type": "new"}
    assert count_of(kin).total == count_of(T5).total
    assert count_of({**BERT, "model_type": "new"}).total == count_of(BERT).total
    for config in (kin, {**BERT, "model_type": "new"}):
        assert not count_of(config).certain


@pytest.mark.parametrize("key", ["rotary_value", "embedding_size", "number_of_adapters"])
def test_bert_with_a_key_that_bert_has_not_is_refused(key):
    with pytest.raises(UncountableDesignError):
        count_of({**BERT, "model_type": "new", key: 128})


def counted(name):
    """The default configuration of a type of transformers 5.24."""
    rows = read_rows(Path(__file__).parent / "counted" / "drawn.jsonl.gz")
    return next(row.config for row in rows if row.model_type == name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("deepseek_v4", {"n_shared_experts": 2}),  # the code has one, whatever is stated
        ("xlstm", {"embedding_dim": 8192}),  # one width under two names
        ("zamba2", {"mamba_headdim": 1280}),  # heads that do not fill the inner width
        ("mpt", {"expansion_ratio": 2}),  # the code does not read it
        ("zamba", {"tie_word_embeddings": False}),  # then it shares no block
        ("t5gemma", {"encoder": {"model_type": "vit", "hidden_size": 2304}}),
    ],
)
def test_a_config_at_odds_with_its_code_is_refused(name, change):
    assert count_of(counted(name)).certain
    with pytest.raises(UncountableDesignError):
        count_of({**counted(name), **change})


def test_dbrx_has_the_groups_of_its_own_table():
    config = counted("dbrx")
    table = {**config["attn_config"], "kv_n_heads": 2}
    fewer = count_of({**config, "attn_config": table})
    width = config["d_model"] // config["n_heads"]
    difference = config["n_layers"] * 2 * 2 * width * config["d_model"]
    assert count_of(config).total - fewer.total == difference
    assert count_of({**config, "num_key_value_heads": 8}).total == count_of(config).total
