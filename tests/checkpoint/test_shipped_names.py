"""Over the shipped list of tensor names no model type loses a clearance by what it calls things."""

from __future__ import annotations

import gzip
import json
from functools import cache

import pytest

from pytest_scratchverify.checkpoint.mixer_lines import mixer_kind, sided
from pytest_scratchverify.checkpoint.roles import read_roles, role_of
from pytest_scratchverify.core.component import Component
from pytest_scratchverify.tensors.inventory import is_unnamed
from tools.facts.newest_names import MISSING, WITHHELD, grouped
from tools.facts.newest_names import main as newest
from tools.facts.unmapped import SHIPPED, inventory_of, read_patterns, table, unmapped_of

T, E, V, A, P = (
    Component.TEXT_DECODER,
    Component.ROUTER_EXPERTS,
    Component.VISION_ENCODER,
    Component.AUDIO_ENCODER,
    Component.PROJECTOR,
)
NAMES = read_patterns()


@cache
def measured(model_type):
    return unmapped_of(model_type, NAMES[model_type]["tensors"])


# Drawn by lot before a line was written (`random.Random("held out 2026-11")`, 15 of 85): their
# names were first looked at when the figures stood. 93.4 % of their parameters were placed, and
# 97.1 % with the rule for experts of unknown names in one tensor.
FIRST_HELD = (
    "axk1", "cohere2_moe", "deepseek_v32", "ernie4_5", "gemma3n_text", "gemma4", "granite_swa",
    "hunyuan_v1_dense", "inkling_mm_model", "internvl", "minimax_m2", "mistral3", "mistral_large4",
    "olmo3", "starcoder2",
)  # fmt: skip
# A second draw of 40 among the types that the first list has not ("held out again 2026-11"): no
# name of theirs was looked at before 95.7 % were placed; rules for what was left came later.
HELD = (
    "aria", "bamba", "blenderbot-small", "blip", "bloom", "canary", "cohere", "cohere_asr",
    "cpmant", "dots3_note", "fuyu", "gemma3_text", "gemma4_text", "git", "glm4v_moe",
    "granite_docling", "granitemoeshared", "idefics", "idefics3", "inkling2_loop", "iquestcoder",
    "llava_next", "m2m_100", "moss_transcribe_diarize", "omniasr", "persimmon", "pp_formulanet",
    "qianfan_ocr", "qwen2_5_omni_thinker", "qwen2_audio", "qwen3_omni_moe_thinker", "roc_bert",
    "speech-encoder-decoder", "umt5", "unlimited_ocr", "vibevoice", "video_llama_3",
    "video_llava", "vipllava", "xglm",
)  # fmt: skip


# Types of which a component is still withheld: two stacks or tables that no word tells apart, tables
# of positions that may be a formula's, a head of another kind. None may be added.
WITHHELD_STILL = {
    "cosmos3_omni", "florence2", "pi0", "pop2piano", "roc_bert", "udop", "vibevoice",
}  # fmt: skip


def test_the_list_is_small_and_says_where_it_is_from():
    assert SHIPPED.stat().st_size < 300_000
    assert len(NAMES) > 280
    assert {*FIRST_HELD, *HELD} <= NAMES.keys()


def test_no_model_type_of_the_first_list_loses_a_clearance_by_names():
    first = json.loads(gzip.decompress(SHIPPED.read_bytes()))["_first"]
    assert len(first) == 85
    for model_type in first:
        found = measured(model_type)
        lost = {key: share for key, share in found.withheld.items() if share > WITHHELD}
        assert not lost, (model_type, lost, found.names[:10])
        assert found.placed > 0.99, model_type


def test_no_other_model_type_loses_one_that_had_it():
    found = [measured(name) for name in NAMES]
    lost = {item.model_type for item in found if max(item.withheld.values()) > WITHHELD}
    assert lost <= WITHHELD_STILL
    assert sum(item.placed for item in found) / len(found) > 0.98


@pytest.mark.parametrize("held", [FIRST_HELD, HELD], ids=["first", "second"])
def test_types_that_nobody_looked_at_are_placed_by_rules(held):
    shares = [measured(name).placed for name in held]
    assert sum(shares) / len(shares) >= 0.95


def test_what_a_tower_calls_its_own_is_never_the_texts():
    foreign = ("visual", "vision", "audio", "talker", "token2wav", "merger", "projector")
    for name, entry in NAMES.items():
        inventory = inventory_of((n, s) for n, s, _ in entry["tensors"])
        for slot, matrix in inventory.matrices.items():
            first = matrix.info.name.removeprefix("model.").partition(".")[0]
            if first in foreign:
                assert slot.component not in (T, E), (name, matrix.info.name)


RULES = [
    (
        "qwen3-next",
        "model.layers.3.linear_attn.in_proj_qkvz.weight",
        T,
        "mixer:linear_attn.in_proj_qkvz",
    ),
    ("mamba", "backbone.layers.3.mixer.in_proj.weight", T, "mixer:mixer.in_proj"),
    ("kda", "model.layers.3.self_attn.f_b_proj.weight", T, "mixer:self_attn.f_b_proj"),
    ("indexer", "model.layers.3.self_attn.indexer.wq_b.weight", T, "mixer:self_attn.indexer.wq_b"),
    (
        "gated norm",
        "model.layers.3.input_layernorm.W_down.weight",
        T,
        "mixer:input_layernorm.W_down",
    ),
    ("rwkv", "rwkv.blocks.3.feed_forward.key.weight", T, "fc1"),
    ("talker", "talker.model.layers.3.mlp.up_proj.weight", A, "up"),
    ("radio", "vision_model.radio_model.model.blocks.3.attn.qkv.weight", V, "qkv"),
    ("deepstack", "model.visual.deepstack_merger_list.1.linear_fc1.weight", P, "fc1"),
    ("per layer", "model.layers.3.per_layer_input_gate.weight", T, "reads:per_layer_input_gate"),
    ("any prefix", "core.net.layers.3.self_attn.q_proj.weight", T, "q"),
    ("shared", "model.layers.3.share_expert.up_proj.weight", E, "up"),
    ("second block", "audio_tower.layers.3.feed_forward2.linear1.weight", A, "fc1"),
    ("q-former", "qformer.encoder.layer.3.output_query.dense.weight", P, "fc2"),
    ("attention alone", "transformer.attentions.3.q_lin.weight", T, "q"),
    ("router", "model.layers.3.mlp.gate.router_mlp.fc1.weight", E, "mixer:mlp.gate.router_mlp.fc1"),
    ("gated block", "model.layers.3.mlp.gate.linear.weight", None, None),
    ("adapters", "model.layers.3.ff.up_adapter_list.0.1.weight", T, "mixer:ff.up_adapter_list.0.1"),
    ("hidden list", "projector.readout.2.weight", P, "mixer:projector.readout.2"),
    ("positions", "projector.row_embeddings.weight", None, None),  # may be a formula's
    ("convolution", "audio_tower.conv2d2.weight", A, "mixer:audio_tower.conv2d2"),
    ("window", "audio_tower.mel_filter.weight", None, None),
    ("layers in layers", "vision_tower.blocks.2.7.ffn.fc1.weight", V, "inner:7.ffn.fc1"),
    ("codes", "codec_model.quantizer.layers.3.codebook.embed", A, "mixer:codebook.embed"),
    ("directions", "speech_model.conv.parametrizations.weight.original1", A,
     "mixer:speech_model.conv.parametrizations.weight"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "component", "kind"), [r[1:] for r in RULES],
                         ids=[r[0] for r in RULES])  # fmt: skip
def test_rules_say_what_a_name_is(name, component, kind):
    role = role_of(name)
    assert (role and role.component, role and role.kind) == (component, kind)


@pytest.mark.parametrize(
    ("name", "shape", "kind"),
    [
        ("linear_attn.in_proj_z", (64, 64), "reads"),  # square: its name decides
        ("linear_attn.out_proj", (64, 64), "writes"),
        ("linear_attn.in_proj_b", (8, 64), "reads"),  # beta, and no second half
        ("mamba.out_proj", (64, 128), "writes"),
        ("self_attn.indexer.wq_b", (64, 24), "inner"),  # 64 rows by chance
        ("attn.wo_a", (128, 64), "inner"),
        ("attn_pool.wk", (64, 128), "inner"),  # heads, and 64 rows of them by chance
        ("multi_head_attention.dense", (64, 64), "writes"),
        ("self_attn.linear_pos", (64, 64), "inner"),  # reads positions
        ("conv.stem", (64, 3, 14, 14), "kernel"),  # of colours: alike in everybody's model
        ("attn.wo_b", (64, 128), "writes"),
        ("mamba.conv1d", (96, 1, 4), "kernel"),
        ("mamba.A_log", (96, 16), "state"),
        ("conv_module.pointwise_conv1", (128, 64, 1), "reads"),
        ("hc_attn_fn", (24, 256), "inner"),
    ],
)
def test_the_residual_stream_is_on_the_side_that_has_its_width(name, shape, kind):
    assert sided(mixer_kind(name), shape, 64) == f"{kind}:{name}"


def slots(*tensors):
    return {str(s): m for s, m in inventory_of(tensors).matrices.items()}


BASE = [
    ("model.embed_tokens.weight", (100, 64)),
    *((f"model.layers.{n}.input_layernorm.weight", (64,)) for n in range(2)),
    *((f"model.layers.{n}.self_attn.q_proj.weight", (48, 64)) for n in range(2)),
]


def test_experts_of_a_dense_blocks_name_are_experts_and_lie_as_the_width_says():
    """Step-3.5's ``moe``; and narrow experts, stored outputs first, are not turned."""
    stack = [("model.layers.1.moe.gate_proj.weight", (4, 8, 64)),
             ("model.layers.1.moe.up_proj.weight", (4, 8, 64)),
             ("model.layers.1.moe.down_proj.weight", (4, 64, 8))]  # fmt: skip
    found = slots(*BASE, *stack)
    for expert in range(4):
        for kind, shape in (("gate", (8, 64)), ("up", (8, 64)), ("down", (64, 8))):
            one = found[f"router_experts/{kind}/1/{expert}"]
            assert (one.rows, one.cols, one.codec) == (*shape, None)
    native = [("model.layers.1.mlp.experts.gate_up_proj", (4, 16, 64)),
              ("model.layers.1.mlp.experts.down_proj", (4, 64, 8))]  # fmt: skip
    assert slots(*BASE, *native)["router_experts/up/1/2"].rows == 8


def test_experts_of_unknown_names_in_one_tensor_are_experts():
    found = slots(*BASE, ("model.layers.1.crowd.first", (4, 32, 64)))
    assert found["router_experts/in:layers.crowd.first/1/3"].rows == 32


def test_stacks_of_one_component_are_numbered_one_after_the_other():
    again = [(n.replace("model.layers", "mtp.layers"), s) for n, s in BASE[3:]]
    sound = [("audio_tower.layers.0.fc1.weight", (32, 16)),
             ("talker.model.layers.0.mlp.up_proj.weight", (32, 16))]  # fmt: skip
    found = slots(*BASE, *again, *sound)
    assert {f"text_decoder/q/{n}/" for n in range(4)} <= found.keys()
    assert "audio_encoder/fc1/0/" in found
    assert "audio_encoder/up/1/" in found


def test_two_feed_forward_blocks_of_a_layer_are_both_neurons():
    names = [f"audio_tower.layers.0.{block}.{part}.weight"
             for block in ("ffn1", "ffn2") for part in ("intermediate_dense", "output_dense")]  # fmt: skip
    found = slots(*((n, (32, 16) if "inter" in n else (16, 32)) for n in names))
    assert found.keys() == {f"audio_encoder/{k}/0/{e}" for k in ("fc1", "fc2")
                            for e in ("", "second")}  # fmt: skip


TWO_TOWERS = ["model.vision_model.encoder.layers.0.mlp.fc1.weight",
              "model.high_res_vision_model.encoder.layers.0.mlp.fc1.weight",
              "model.vision_model.embeddings.patch_embedding.weight",
              "model.high_res_vision_model.embeddings.patch_embedding.weight"]  # fmt: skip


def test_towers_beside_one_another_have_places_of_their_own():
    roles = read_roles(TWO_TOWERS).roles
    assert [roles[n].layer for n in TWO_TOWERS[:2]] == [0, 1]
    assert roles[TWO_TOWERS[2]].kind == "patch_embed" != roles[TWO_TOWERS[3]].kind


def test_a_tower_that_is_stored_under_two_prefixes_keeps_one_place():
    """What a loader takes one of is named as two for one place, and withholds where it differs."""
    twice = [(f"{prefix}vision_tower.layers.0.mlp.fc1.weight", (32, 16))
             for prefix in ("", "model.")]  # fmt: skip
    assert len(inventory_of(twice).twice) == 1


def test_a_tower_alone_owns_what_no_word_names_and_never_a_renamed_decoder():
    alone = ["audio_tower.layers.0.fc1.weight", "upsampler.conv.weight"]
    assert read_roles(alone).roles[alone[1]].component is A
    renamed = [*alone, "trunk.0.proj.weight", "trunk.1.proj.weight"]
    assert {*renamed[1:]} <= {*read_roles(renamed).unmapped}


def test_an_encoder_that_hears_owns_its_subsampling():
    names = ["model.encoder.subsampling.linear.weight", "model.encoder.layers.0.fc1.weight",
             "model.decoder.layers.0.fc1.weight", "model.decoder.embed_tokens.weight"]  # fmt: skip
    roles = read_roles(names).roles
    assert [roles[n].component for n in names] == [A, A, T, Component.EMBEDDINGS]


def test_two_tables_of_tokens_are_two_unless_one_is_shared():
    sides = ["encoder", "decoder"]
    stacks = [f"{s}.layers.0.fc1.weight" for s in sides]
    tables = [f"{s}.embed_tokens.weight" for s in sides]
    assert read_roles([*stacks, *tables]).roles[tables[0]].kind == "embed_encoder"
    assert read_roles([*stacks, *tables, "shared.weight"]).roles[tables[0]].kind == "embed"


def test_a_convolution_of_many_channels_is_known_by_its_shape_and_a_table_is_not():
    found = slots(("visual.blocks.0.norm1.weight", (16,)), ("visual.deep.a.weight", (32, 32, 3, 3)),
                  ("visual.deep.b.weight", (1, 32, 32, 16)))  # fmt: skip
    kinds = {key.split("/")[1] for key in found}
    assert {"inner:visual.deep.a", "at:visual.deep.b"} <= kinds


def test_two_blocks_to_a_layer_are_two_layers():
    """LongCat-Flash."""
    root = "model.layers.1."
    names = [f"{root}self_attn.{b}.q_a_proj.weight" for b in (0, 1)]
    names += [f"{root}mlps.{b}.up_proj.weight" for b in (0, 1)]
    roles = read_roles([*names, f"{root}mlp.experts.5.up_proj.weight"]).roles
    assert [(roles[n].kind, roles[n].layer) for n in names] == [
        ("q_a", 2), ("q_a", 3), ("up", 2), ("up", 3)]  # fmt: skip
    assert roles[f"{root}mlp.experts.5.up_proj.weight"].layer == 2


def test_what_begins_with_a_convolution_hears_and_what_begins_with_patches_sees():
    whisper = ["model.encoder.conv1.weight", "model.encoder.layers.0.fc1.weight",
               "model.decoder.layers.0.fc1.weight"]  # fmt: skip
    roles = read_roles(whisper).roles
    assert [roles[n].component for n in whisper[1:]] == [A, T]
    pixtral = ["patch_conv.weight", "transformer.layers.0.attention.q_proj.weight"]
    assert read_roles(pixtral).roles[pixtral[1]].component is V


def test_unknown_names_in_a_layer_have_a_side_and_pairs_a_latent():
    found = slots(*BASE, ("model.layers.1.odd.down.weight", (16, 64)),
                  ("model.layers.1.odd.up.weight", (48, 16)),
                  ("model.layers.1.odd.table", (48, 17)))  # fmt: skip
    kinds = {key.split("/")[1] for key in found}
    assert {"in:layers.odd.down", "via:layers.odd.up", "at:layers.odd.table"} <= kinds
    assert all(is_unnamed(kind) for kind in kinds if "odd" in kind)


def test_the_command_that_reads_the_newest_names_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(SystemExit, match="pip install -r requirements/names"):
        newest([str(tmp_path / "names.json")])
    assert "requirements/names.txt" in MISSING


def test_names_are_grouped_by_the_numbers_between_their_dots():
    found = grouped([("layers.0.w1", [2]), ("layers.1.w1", [2]), ("layers.0.w3", [2])])
    assert [*found] == [("layers.0.w1", [2], 2), ("layers.0.w3", [2], 1)]


def test_the_table_shows_the_worst_first():
    lines = table([unmapped_of("odd", [["x.gain", [8], 1], ["lm_head.weight", [9, 9], 1]]),
                   unmapped_of("whole", [["lm_head.weight", [9, 9], 1]])]).splitlines()  # fmt: skip
    assert lines[2].startswith("odd")
    assert lines[-1] == "known whole: 1 of 2"
