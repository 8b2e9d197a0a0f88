"""Further lines of the table of tensor names: layouts other than transformers' usual one.

They are read after the lines of `roles`. Marks behind a kind say how its rows lie:

``^T``
    rows are inputs (unless the shapes say otherwise: Qwen-1 and GPTBigCode share GPT-2's names);
``~``
    heads are in Meta's rotary order, pairs side by side (`formats.row_order`);
``#``
    query, key and value of one group of heads lie together, group by group;
``^2``
    up comes before gate.

Sources: the reference implementations of Meta (llama), Mistral (mistral-inference), DeepSeek
(inference/model.py), and the modeling files of the families named beside the lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pytest_scratchverify.core.component import Component

_TEXT, _EXPERTS = Component.TEXT_DECODER, Component.ROUTER_EXPERTS

# Segments that trainers put into names and that say nothing: DDP, torch.compile, FSDP, activation
# checkpointing, DeepSpeed, Lightning, PEFT, LoRA's wrapped layers.
WRAPPERS = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module",
     "_forward_module", "base_model", "base_layer", "original_module", "_model", "student",
     "policy", "actor", "pretrained_model", "hf_model", "params"}
)  # fmt: skip

_ATT = r"(?:self_attn|attn|attention|self_attention)\."
_NATIVE = r"attention\."  # Meta's and Mistral's own
_MOE = r"(?:(?:mlp|feed_forward|ffn|block_sparse_moe|moe|mixer)\.)?"
_EXPERT = _MOE + r"(?:experts|local_experts)\.(?:expert_)?(?P<expert>\d{1,6})\."
_STACK = r"(?:mlp|feed_forward|ffn|block_sparse_moe|moe|mixer)\.(?P<stack>experts)\.(?:mlp\.)?"
_SHARED = (
    r"(?:(?:mlp|feed_forward|ffn|block_sparse_moe|moe|mixer)\.)?"
    r"(?P<shared>shared?_experts?|shared_mlp)\.(?:mlp\.)?"
)
# A feed-forward block, by the word that it is called everywhere, perhaps in a module of its own.
_FF = (
    r"(?:(?!shared?_(?:experts?|mlp)\.)[a-z_]+\.)?"
    r"(?:mlp|ffn|ff|feed_forward|mlp_block|DenseReluDense|layer\.[12]\.mlp)\."
)

# Either of two blocks of a layer.
_FF2 = (
    r"(?:(?:feed_forward|ffn?|mlp)_?(?:1|in|macaron)"
    r"|(?P<second>(?:feed_forward|ffn?|mlp)_?(?:2|out)))\."
)

# Before the lines of `roles`: names that there would mean something else.
FIRST: tuple[tuple[str, str], ...] = (
    ("q~", _NATIVE + r"wq"),
    ("k~", _NATIVE + r"wk"),
    ("qkv#", _ATT + r"query_key_value"),
)
IN_LAYER: tuple[tuple[str, str], ...] = (
    # fused: InternLM2, Megatron core, litGPT (groups of heads); Baichuan, MPT, OLMo, Phi
    ("qkv#", _ATT + r"(?:wqkv|linear_qkv|attn)"),
    ("qkv", r"(?:norm_attn_norm\.)?" + _ATT + r"(?:W_pack|Wqkv|qkv)"),
    ("qkv", r"(?:mixer\.Wqkv|att_proj)"),
    ("o", r"(?:norm_attn_norm\.)?" + _ATT + r"(?:out_proj|linear_proj|proj|dense|output)"),
    ("o", r"attn_out"),
    # EXAONE 3, and names of one letter
    ("q", r"attn\.(?:attention\.q_proj|q)"),
    ("k", r"attn\.(?:attention\.k_proj|k)"),
    ("v", r"attn\.(?:attention\.v_proj|v)"),
    ("o", r"attn\.attention\.out_proj"),
    # hybrids that call every block a mixer: Nemotron-H
    ("q", r"mixer\.q_proj"),
    ("k", r"mixer\.k_proj"),
    ("v", r"mixer\.v_proj"),
    ("o", r"mixer\.o_proj"),
    # latent attention in DeepSeek's own names; before them two of Mistral's
    ("q_a", _ATT + r"wq_a"),
    ("q_b", _ATT + r"wq_b"),
    ("kv_a", _ATT + r"(?:wkv_a|wkv_a_with_mqa)"),
    ("kv_b", _ATT + r"wkv_b"),
    ("norm_kv_a", _ATT + r"(?:kv_norm|kv_a_norm)"),
    ("norm_q_a", _ATT + r"q_a_norm"),
    # feed-forward blocks of one matrix or two before the last, in the words that there are
    ("gate", _FF + r"(?:gate_proj|wi_0|w_gate|linear_gate|proj_up_gate)"),
    ("up", _FF + r"(?:up_proj|wi_1|w_up|linear_up|proj_up|linear_fc)"),
    ("down", _FF + r"(?:down_proj|wo|w_down|linear_down|proj_down)"),
    ("gate_up", _FF + r"(?:gate_up_proj|Wi|gate_and_up\w*)"),
    ("down", _FF + r"Wo"),
    ("gate_up^2", _FF + r"ff_proj"),
    ("down", _FF + r"ff_out"),
    ("fc1", _FF + r"(?:fc[01]|wi|lin(?:ear_?)?1|layer_1|dense_?1|0|net\.0|intermediate\w*)"),
    ("fc2", _FF + r"(?:fc2|linear_?2|lin2|layer_2|dense_?2|2|net\.[23]|output(?:_dense)?)"),
    ("gate", _SHARED + r"linear_gate"),
    ("up", _SHARED + r"linear_up"),
    ("down", _SHARED + r"linear_down"),
    ("fc1", r"(?:layer\.[12]\.)?" + _EXPERT + r"(?:fc1|wi)"),
    ("fc2", r"(?:layer\.[12]\.)?" + _EXPERT + r"(?:fc2|wo)"),
    ("router", r"(?:layer\.[12]\.)?(?:mlp|ffn)\.(?P<routes>router\.classifier)"),
    ("reads:pre_expert_proj", r"mlp\.pre_expert_proj"),
    ("writes:post_expert_proj", r"mlp\.post_expert_proj"),
    ("fc1", _STACK + r"fc1"),
    ("fc2", _STACK + r"fc2"),
    ("gate_up", r"mlp\.(?P<stack>input_linear)"),
    ("down", r"mlp\.(?P<stack>output_linear)"),
    ("router", r"mlp\.(?P<routes>router\.layer)"),
    ("qkv", r"wqkv"),
    ("o", r"wo"),
    # attention in a list of its own: XLM, the layers that read a picture or bytes
    ("q", r"(?:q_proj|q_lin)"),
    ("k", r"(?:k_proj|k_lin)"),
    ("v", r"(?:v_proj|v_lin)"),
    ("o", r"(?:o_proj|out_lin)"),
    # two feed-forward blocks in a layer: Conformers, Q-Formers
    ("fc1", _FF2 + r"(?:linear1|intermediate_dense|up_proj|fc1|w_1)"),
    ("fc2", _FF2 + r"(?:linear2|output_dense|down_proj|fc2|w_2)"),
    ("gate_up", _FF2 + r"gate_up_proj"),
    ("fc1", r"(?P<second>intermediate_query)\.dense"),
    ("fc2", r"(?P<second>output_query)\.dense"),
    ("norm_second", r"output_query\.LayerNorm"),
    # NeMo's decoder
    ("q", r"first_sub_layer\.query_net"),
    ("k", r"first_sub_layer\.key_net"),
    ("v", r"first_sub_layer\.value_net"),
    ("o", r"first_sub_layer\.out_projection"),
    ("cross_q", r"second_sub_layer\.query_net"),
    ("cross_k", r"second_sub_layer\.key_net"),
    ("cross_v", r"second_sub_layer\.value_net"),
    ("cross_o", r"second_sub_layer\.out_projection"),
    ("fc1", r"third_sub_layer\.dense_in"),
    ("fc2", r"third_sub_layer\.dense_out"),
    ("gate", r"(?:ffn\.)+w_in\.w_0"),
    ("up", r"(?:ffn\.)+w_in\.w_1"),
    ("down", r"(?:ffn\.)+w_out"),
    # RWKV: its channel mixing is a block without a gate, times what `receptance` lets through
    ("fc1", r"(?:feed_forward|ffn|cmix|channel_mix\w*)\.key"),
    ("fc2", r"(?:feed_forward|ffn|cmix|channel_mix\w*)\.value"),
    ("reads:ffn.receptance", r"(?:feed_forward|ffn|cmix|channel_mix\w*)\.receptance"),
    ("shift_k", r"(?:feed_forward|ffn|cmix|channel_mix\w*)\.(?:time_mix_key|time_mix_k|x_k)"),
    ("shift_r", r"(?:feed_forward|ffn|cmix|channel_mix\w*)\.(?:time_mix_r(?:eceptance)?|x_r)"),
    ("norm_in", r"ln1"),
    ("norm_post", r"ln2"),
    ("norm_embed", r"(?:pre_ln|ln0)"),
    # T5, and the attention to an encoder
    ("q", r"layer\.0\.\w*SelfAttention\.q"),
    ("k", r"layer\.0\.\w*SelfAttention\.k"),
    ("v", r"layer\.0\.\w*SelfAttention\.v"),
    ("o", r"layer\.0\.\w*SelfAttention\.o"),
    ("rel_bias", r"layer\.0\.\w*SelfAttention\.(?:global_)?relative_attention_bias"),
    ("cross_q", r"layer\.1\.EncDecAttention\.q"),
    ("cross_k", r"layer\.1\.EncDecAttention\.k"),
    ("cross_v", r"layer\.1\.EncDecAttention\.v"),
    ("cross_o", r"layer\.1\.EncDecAttention\.o"),
    ("cross_q", r"(?:encoder_attn|crossattention\.self|cross_attn)\.(?:q_proj|query)"),
    ("cross_k", r"(?:encoder_attn|crossattention\.self|cross_attn)\.(?:k_proj|key)"),
    ("cross_v", r"(?:encoder_attn|crossattention\.self|cross_attn)\.(?:v_proj|value)"),
    ("cross_o", r"(?:encoder_attn|cross_attn)\.(?:out_proj|o_proj)"),
    ("cross_o", r"crossattention\.output\.dense"),
    ("norm_cross", r"(?:encoder_attn_layer_norm|crossattention\.output\.LayerNorm)"),
    ("norm_in", r"layer\.0\.layer_norm"),
    ("norm_mid", r"layer\.1\.layer_norm"),
    ("norm_post", r"layer\.2\.layer_norm"),
    ("gate", r"layer\.[12]\.DenseReluDense\.wi_0"),
    ("up", r"layer\.[12]\.DenseReluDense\.wi_1"),
    ("fc1", r"layer\.[12]\.DenseReluDense\.wi"),
    ("down", r"layer\.[12]\.DenseReluDense\.wo"),
    # experts: DeepSeek's and Mistral's own names, Nemotron-H, Granite, DBRX, JetMoe
    ("gate", _EXPERT + r"(?:gate_proj|w1)"),
    ("up", _EXPERT + r"(?:up_proj|w3)"),
    ("down", _EXPERT + r"(?:down_proj|w2)"),
    ("gate", _SHARED + r"(?:gate_proj|w1)"),
    ("up", _SHARED + r"(?:up_proj|w3)"),
    ("down", _SHARED + r"(?:down_proj|w2|output_linear)"),
    ("gate_up", _SHARED + r"(?:gate_up_proj|input_linear)"),
    ("gate_up", r"(?:block_sparse_moe|moe)\.(?P<stack>input_linear)"),
    ("down", r"(?:block_sparse_moe|moe)\.(?P<stack>output_linear)"),
    ("inner:shared.w13", r"mlp\.(?P<shared>shared_experts)\.shared_w13_weight"),
    ("inner:shared.w2", r"mlp\.(?P<shared>shared_experts)\.shared_w2_weight"),
    ("gate_up", _STACK + r"w13(?:_weight)?"),
    ("down", _STACK + r"w2_weight"),
    ("gate", _STACK + r"(?:w1|w_gate)"),
    ("up", _STACK + r"(?:w3|v1|w_up)"),
    ("down", _STACK + r"(?:w2|w_down)"),
    ("router", r"(?:ffn\.router\.layer|block_sparse_moe\.router\.layer|moe\.router\.layer)(?P<routes>)"),  # noqa: E501
    ("router", r"(?:mixer\.|ffn\.|moe\.)?(?P<routes>gate)"),
    ("router_bias", r"(?:mixer|mlp|ffn|block_sparse_moe|moe)\.(?:gate\.|router\.|moe_statics\.|experts\.)?(?P<routes>e_score_correction_bias|expert_bias)"),  # noqa: E501
    # dense blocks: Qwen-1 (w2 is the gate), EXAONE 3, GPT-J, MPT, litGPT, Megatron core, OLMo
    ("gate", r"mlp\.(?:c_fc_0|fc_1)"),
    ("up", r"mlp\.(?:c_fc_1|fc_2)"),
    ("fc1", r"mlp\.(?:fc_in|linear_fc1|fc|w_in)"),
    ("fc2", r"mlp\.(?:fc_out|linear_fc2|proj|w_out)"),
    ("gate_up^2", r"ff_proj"),
    ("down", r"ff_out"),
    ("up", r"(?:ffn|mixer)\.up_proj"),
    ("down", r"(?:ffn|mixer)\.down_proj"),
    ("norm_in", r"(?:attn_norm|attention_layernorm|norm_1|ln_attn|norm_attn_norm\.norm_1|operator_norm|pre_ln|norm)"),  # noqa: E501
    ("norm_post", r"(?:mlp_norm|feedforward_layernorm|norm_2|ln_mlp|ff_norm|pre_mlp_layernorm|norm_attn_norm\.norm_2|ffn_layernorm)"),  # noqa: E501
    ("norm_post_attn", r"(?:post_attn_norm|post_self_attn_layernorm|post_attention_norm)"),
    ("norm_post_ffn", r"(?:post_ffn_norm|post_ffw_norm)"),
    ("fc1", r"linear_fc1"),
    ("fc2", r"linear_fc2"),
    # the diffusion transformer of a talker
    ("q", r"attn\.to_q"),
    ("k", r"attn\.to_k"),
    ("v", r"attn\.to_v"),
    ("o", r"attn\.to_out\.0"),
    ("fc1", r"ff\.ff\.0"),
    ("fc2", r"ff\.ff\.3"),
    # embeddings of every layer: Gemma-3n and 4
    ("reads:per_layer_input_gate", r"(?:ple\w*\.)?per_layer_input_gate"),
    ("writes:per_layer_projection", r"(?:ple\w*\.)?per_layer_projection"),
    ("norm_per_layer", r"(?:ple\w*\.)?post_per_layer_input_norm"),
    # scalars and vectors of residual width: scales of layers, learnt activations, last norms
    ("layer_scale", r"(?:layer_scalar|layer_scale(?:_parameter)?|gamma)"),
    ("layer_scale_1", r"(?:layer_scale1\.lambda1|ls1\.gamma|gamma_1|lambda_1)"),
    ("layer_scale_2", r"(?:layer_scale2\.lambda1|ls2\.gamma|gamma_2|lambda_2)"),
    ("activation_alpha_p", r"mlp\.act_fn\.alpha_p"),
    ("activation_alpha_n", r"mlp\.act_fn\.alpha_n"),
    ("activation_beta", r"mlp\.act_fn\.beta"),
    ("activation_eps", r"mlp\.act_fn\.eps"),
    ("norm_post_attn", r"post_norm1"),
    ("norm_post_mlp", r"post_norm2"),
    # routers of other layouts
    ("router", r"(?:mlp|moe|ffn)\.(?P<routes>router\.(?:classifier|gate)|gate\.gate)"),
    ("router_bias", r"(?:mlp|moe|ffn)\.router\.(?P<routes>e_score_correction_bias)"),
    ("router_scale", r"(?:mlp|moe|ffn)\.gate\.(?P<routes>global_scale)"),
    ("router_table", r"(?:mlp|moe|ffn)\.gate\.(?P<routes>tid2eid)"),
    ("norm_in", r"(?:input_layernorm\.norm|layernorm_before)"),
    ("norm_post", r"(?:post_attention_layernorm\.norm|layernorm_after)"),
)  # fmt: skip
# Qwen-1 has c_attn and c_proj of GPT-2, and w1, w2 without w3: what is gate there is up elsewhere.
QWEN1: Mapping[str, str] = {".mlp.w1.": "up", ".mlp.w2.": "gate"}
# Where a block counts from nought, its second matrix is called what the first is elsewhere.
FROM_NOUGHT: Mapping[str, str] = {".mlp.fc0.": "fc1", ".mlp.fc1.": "fc2"}

# Outside of the layers: component, kind, and what follows the outer modules' names.
OUTSIDE: tuple[tuple[Component, str, str], ...] = (
    (
        Component.EMBEDDINGS,
        "embed",
        r"(?:(?:embeddings\.)?tok_embeddings|tokens_embed|shared|emb|embed|embeddings|embedding\.(?:word|tok)_embeddings|tok_emb)",
    ),
    (
        Component.EMBEDDINGS,
        "embed",
        (
            r"(?:wte\.embedding|embed_tokens\.embed_tokens|input_embedding|word_embedding"
            r"|(?:embeddings\.)?token_embedding"
            r"|(?<=transformer\.)w)"
        ),
    ),
    (Component.EMBEDDINGS, "embed", r"(?:\w*decoder\.)?_embedding\.token_embedding"),
    (Component.EMBEDDINGS, "position", r"(?:\w*decoder\.)?_embedding\.position_embedding\.pos_enc"),
    (Component.LM_HEAD, "head", r"log_softmax\.mlp\.layer0"),
    (Component.EMBEDDINGS, "embed_codes", r"embeddings\.embed"),
    (Component.EMBEDDINGS, "embed_new", r"wte\.new_embedding"),
    (Component.EMBEDDINGS, "embed_hash", r"\w*hash_tok_embedding"),
    (Component.EMBEDDINGS, "position", r"(?:position_embeddings|embeddings\.position_embedding)"),
    (_TEXT, "inner:bytes_of_patch.in", r"local_encoder\.patch_embedding_projection"),
    (_TEXT, "inner:bytes_of_patch.out", r"local_decoder\.patch_embedding_projection"),
    # between two widths: a head that predicts further tokens, OPT-350m, two stacks
    *((_TEXT, f"mixer:{n}", n) for n in ("pre_projection", "post_projection", "project_in",
                                         "project_out", "encoder_decoder_proj")),
    (Component.EMBEDDINGS, "norm_embed", r"(?:word_embeddings_layernorm|layernorm_embedding)"),
    (Component.EMBEDDINGS, "norm_embed", r"(?:embed_norm|embedding_norm)"),
    (Component.EMBEDDINGS, "embed_per_layer", r"(?:ple\w*\.)?embed_tokens_per_layer"),
    (
        Component.LM_HEAD,
        "head",
        (
            r"(?:head|output_layer|unembed|ff_out|output\.lm_head|lm_head\.(?:decoder|out_proj)"
            r"|cls\.predictions\.decoder|proj_out|output_projection|generator_lm_head"
            r"|pred_layer\.proj|lm_loss|logits_dense)"
        ),
    ),
    (_TEXT, "reads:head_transform", r"(?:lm_head\.dense|cls\.predictions\.transform\.dense)"),
    (_TEXT, "norm_head", r"(?:lm_head\.layer_norm|cls\.predictions\.transform\.LayerNorm)"),
    (_TEXT, "reads:per_layer_model_projection", r"(?:ple\w*\.)?per_layer_model_projection"),
    (_TEXT, "norm_of_per_layer", r"(?:ple\w*\.)?per_layer_projection_norm"),
    *((_TEXT, f"reads:altup.{n}", rf"altup_projections\.{n}") for n in range(4)),
    *((_TEXT, f"reads:altup_back.{n}", rf"altup_unembed_projections\.{n}") for n in range(4)),
    (_TEXT, "inner:hc_head", r"hc_head(?:\.hc)?_fn"),
    (_TEXT, "hc_head_base", r"hc_head(?:\.hc)?_base"),
    (_TEXT, "hc_head_scale", r"hc_head(?:\.hc)?_scale"),
    (_TEXT, "norm_final", r"(?:norm_f|ln_out|final_norm|encoder\.final_layernorm|layer_norm)"),
)  # fmt: skip

# Beside a weight: what the last word of a name makes of the tensor.
PARTS: Mapping[str, str] = {
    "weight": "weight",
    "kernel": "weight",
    "bias": "bias",
    "weight_scale_inv": "scale_inv",
    "weight_scale": "scale",
    "scales": "scale",
    "weight_v": "weight",  # directions, where lengths are stored apart
    "original1": "weight",
    "weight_packed": "packed",
    "qweight": "packed",
    "blocks": "packed",
}
# Constants that a formula fills: the same in every model of the kind, hence never evidence.
COMPUTED = re.compile(
    r".*(?:rotary_emb\.(?:inv_freq|.*cached)|position_ids|masked_bias|attn\.bias"
    r"|attention\.(?:bias|masked_bias|rotary_emb\.inv_freq)|logit_scale|inv_freq"
    r"|num_batches_tracked)$"
)
