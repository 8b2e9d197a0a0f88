"""Writes a Llama-like model in the layouts of other families: the same numbers, other names.

Each layout takes a model of the zoo and returns it as its family's reference implementation would
have saved it, written from these implementations and sharing no code with the package that reads
them. Where a family knows no gate or no grouped heads, the numbers are the model's all the same:
what is tested is that a reader finds them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import numpy as np

from tools.zoo.disguises import Array, Model, Tensors

Layout = Callable[[Model], Model]


def _renamed(model: Model, *pairs: tuple[str, str], **config: object) -> Model:
    def name(key: str) -> str:
        for old, new in pairs:
            key = re.sub(old, new, key)
        return key

    return Model({name(k): v for k, v in model.tensors.items()}, {**model.config, **config})


def prefixed(prefix: str) -> Layout:
    """Put a prefix before every name."""
    return lambda model: Model({prefix + k: v for k, v in model.tensors.items()}, model.config)


def nested(model: Model) -> Model:
    """Compile the layers of a wrapped model one by one: segments within names, and in front."""
    return _renamed(
        model,
        (r"^", "module.base_model."),
        (r"layers\.(\d+)\.", r"layers.\1._orig_mod._fsdp_wrapped_module."),
        (r"(q_proj|v_proj)\.", r"\1.base_layer."),
    )


def _pairs(rows: Array, heads: int) -> Array:
    """Lay the two halves of every head side by side, row by row."""
    size = len(rows) // heads
    return rows.reshape(heads, 2, size // 2, -1).swapaxes(1, 2).reshape(rows.shape)


NATIVE = (
    (r"^model\.", ""),
    (r"self_attn\.(\w)_proj", r"attention.w\1"),
    (r"mlp\.gate_proj", "feed_forward.w1"),
    (r"mlp\.down_proj", "feed_forward.w2"),
    (r"mlp\.up_proj", "feed_forward.w3"),
    ("input_layernorm", "attention_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("embed_tokens", "tok_embeddings"),
    ("lm_head", "output"),
)


def native(model: Model) -> Model:
    """Write Meta's and Mistral's own layout."""
    queries, keys, _ = model.heads
    tensors = {
        k: _pairs(v, queries) if "q_proj" in k else _pairs(v, keys) if "k_proj" in k else v
        for k, v in model.tensors.items()
    }
    return _renamed(Model(tensors, model.config), *NATIVE)


def native_in_name(model: Model) -> Model:
    """Give native names and leave the rows of queries and keys as transformers has them."""
    return _renamed(model, *NATIVE)


def _layer(model: Model, layer: int) -> dict[str, Array]:
    root = f"model.layers.{layer}."
    found = {k.removeprefix(root): v for k, v in model.tensors.items() if k.startswith(root)}
    return {k.removesuffix(".weight"): v for k, v in found.items()}


def _grouped(model: Model, layer: dict[str, Array]) -> Array:
    queries, keys, size = model.heads
    q, k, v = (layer[f"self_attn.{kind}_proj"] for kind in "qkv")
    parts = [x.reshape(keys, -1, size, q.shape[1]) for x in (q, k, v)]
    return np.concatenate(parts, axis=1).reshape((queries + 2 * keys) * size, -1)


def _fused(layer: dict[str, Array]) -> Array:
    return np.concatenate([layer[f"self_attn.{kind}_proj"] for kind in "qkv"])


def _outside(model: Model, embed: str, norm: str, head: str) -> Tensors:
    return {
        f"{embed}.weight": model.tensors["model.embed_tokens.weight"],
        f"{norm}.weight": model.tensors["model.norm.weight"],
        f"{head}.weight": model.tensors["lm_head.weight"],
    }


def _family(
    outside: tuple[str, str, str],
    stack: str,
    norms: tuple[str, str],
    inside: Callable[[Model, dict[str, Array]], Mapping[str, Array]],
    config: Mapping[str, object],
) -> Layout:
    def write(model: Model) -> Model:
        out = _outside(model, *outside)
        for number in model.layers:
            layer = _layer(model, number)
            parts = dict(inside(model, layer))
            parts[norms[0]] = layer["input_layernorm"]
            parts[norms[1]] = layer["post_attention_layernorm"]
            out |= {f"{stack}.{number}.{k}.weight": v for k, v in parts.items()}
        return Model(out, {**model.config, **config})

    return write


def _mlp(layer: dict[str, Array], gate: str, up: str, down: str) -> dict[str, Array]:
    names = zip((gate, up, down), ("gate", "up", "down"), strict=True)
    return {name: layer[f"mlp.{kind}_proj"] for name, kind in names}


internlm2 = _family(
    ("model.tok_embeddings", "model.norm", "output"),
    "model.layers",
    ("attention_norm", "ffn_norm"),
    lambda model, x: {
        "attention.wqkv": _grouped(model, x),
        "attention.wo": x["self_attn.o_proj"],
        **_mlp(x, "feed_forward.w1", "feed_forward.w3", "feed_forward.w2"),
    },
    {"model_type": "internlm2"},
)
exaone = _family(
    ("transformer.wte", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("ln_1", "ln_2"),
    lambda _, x: {
        **{f"attn.attention.{k}_proj": x[f"self_attn.{k}_proj"] for k in "qkv"},
        "attn.attention.out_proj": x["self_attn.o_proj"],
        **_mlp(x, "mlp.c_fc_0", "mlp.c_fc_1", "mlp.c_proj"),
    },
    {"model_type": "exaone"},
)
qwen1 = _family(
    ("transformer.wte", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("ln_1", "ln_2"),
    lambda _, x: {
        "attn.c_attn": _fused(x),
        "attn.c_proj": x["self_attn.o_proj"],
        **_mlp(x, "mlp.w2", "mlp.w1", "mlp.c_proj"),
    },
    {"model_type": "qwen"},
)
bigcode = _family(  # as GPTBigCode stores its matrices: GPT-2's names, outputs first
    ("transformer.wte", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("ln_1", "ln_2"),
    lambda _, x: {
        "attn.c_attn": _fused(x),
        "attn.c_proj": x["self_attn.o_proj"],
        "mlp.c_fc": x["mlp.up_proj"],
        "mlp.c_proj": x["mlp.down_proj"],
    },
    {"model_type": "gpt2"},
)
gpt2 = _family(
    ("transformer.wte", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("ln_1", "ln_2"),
    lambda _, x: {
        "attn.c_attn": _fused(x).T,
        "attn.c_proj": x["self_attn.o_proj"].T,
        "mlp.c_fc": x["mlp.up_proj"].T,
        "mlp.c_proj": x["mlp.down_proj"].T,
    },
    {"model_type": "gpt2"},
)
chatglm = _family(
    ("transformer.embedding.word_embeddings", "transformer.encoder.final_layernorm",
     "transformer.output_layer"),
    "transformer.encoder.layers",
    ("input_layernorm", "post_attention_layernorm"),
    lambda _, x: {
        "self_attention.query_key_value": _fused(x),
        "self_attention.dense": x["self_attn.o_proj"],
        "mlp.dense_h_to_4h": np.concatenate([x["mlp.gate_proj"], x["mlp.up_proj"]]),
        "mlp.dense_4h_to_h": x["mlp.down_proj"],
    },
    {"model_type": "chatglm", "multi_query_attention": True, "multi_query_group_num": 2},
)  # fmt: skip
falcon = _family(
    ("transformer.word_embeddings", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("ln_attn", "ln_mlp"),
    lambda model, x: {
        "self_attention.query_key_value": _grouped(model, x),
        "self_attention.dense": x["self_attn.o_proj"],
        "mlp.dense_h_to_4h": x["mlp.up_proj"],
        "mlp.dense_4h_to_h": x["mlp.down_proj"],
    },
    {"model_type": "falcon", "new_decoder_architecture": True, "num_kv_heads": 2},
)
baichuan = _family(
    ("model.embed_tokens", "model.norm", "lm_head"),
    "model.layers",
    ("input_layernorm", "post_attention_layernorm"),
    lambda _, x: {
        "self_attn.W_pack": _fused(x),
        "self_attn.o_proj": x["self_attn.o_proj"],
        **_mlp(x, "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    },
    {"model_type": "baichuan"},
)
phi3 = _family(
    ("model.embed_tokens", "model.norm", "lm_head"),
    "model.layers",
    ("input_layernorm", "post_attention_layernorm"),
    lambda _, x: {
        "self_attn.qkv_proj": _fused(x),
        "self_attn.o_proj": x["self_attn.o_proj"],
        "mlp.gate_up_proj": np.concatenate([x["mlp.gate_proj"], x["mlp.up_proj"]]),
        "mlp.down_proj": x["mlp.down_proj"],
    },
    {"model_type": "phi3"},
)
olmo = _family(  # allenai/OLMo's own: gate behind up
    ("model.transformer.wte", "model.transformer.ln_f", "model.transformer.ff_out"),
    "model.transformer.blocks",
    ("attn_norm", "ff_norm"),
    lambda _, x: {
        "att_proj": _fused(x),
        "attn_out": x["self_attn.o_proj"],
        "ff_proj": np.concatenate([x["mlp.up_proj"], x["mlp.gate_proj"]]),
        "ff_out": x["mlp.down_proj"],
    },
    {},
)
litgpt = _family(
    ("transformer.wte", "transformer.ln_f", "lm_head"),
    "transformer.h",
    ("norm_1", "norm_2"),
    lambda model, x: {
        "attn.attn": _grouped(model, x),
        "attn.proj": x["self_attn.o_proj"],
        **_mlp(x, "mlp.fc_1", "mlp.fc_2", "mlp.proj"),
    },
    {},
)
megatron = _family(
    ("embedding.word_embeddings", "decoder.final_layernorm", "output_layer"),
    "decoder.layers",
    ("input_layernorm", "pre_mlp_layernorm"),
    lambda model, x: {
        "self_attention.linear_qkv": _grouped(model, x),
        "self_attention.linear_proj": x["self_attn.o_proj"],
        "mlp.linear_fc1": np.concatenate([x["mlp.gate_proj"], x["mlp.up_proj"]]),
        "mlp.linear_fc2": x["mlp.down_proj"],
    },
    {},
)


def turned(model: Model) -> Model:
    """Store every matrix inputs first under its usual name, as exports from JAX do."""
    tables = ("embed_tokens", "norm")
    tensors = {
        k: v.T if v.ndim == 2 and not any(t in k for t in tables) else v
        for k, v in model.tensors.items()
    }
    return Model(tensors, model.config)


def two_names(model: Model) -> Model:
    """Store every tensor of the decoder twice."""
    again = {f"language_model.{k}": v for k, v in model.tensors.items() if k.startswith("model.")}
    return Model({**model.tensors, **again}, model.config)


def strange(model: Model) -> Model:
    """Give names that no table knows, in a stack of their own, in another order of the alphabet."""
    words = {"self_attn.q_proj": "alpha.zeta", "self_attn.k_proj": "alpha.omega",
             "self_attn.v_proj": "alpha.kappa", "self_attn.o_proj": "alpha.beta",
             "mlp.gate_proj": "nu.two", "mlp.up_proj": "nu.one", "mlp.down_proj": "nu.three",
             "input_layernorm": "xi", "post_attention_layernorm": "chi",
             "model.embed_tokens": "core.tokens", "model.norm": "core.last", "lm_head": "core.way",
             "model.layers": "core.floors"}  # fmt: skip
    pairs = [(re.escape(old), new) for old, new in words.items()]
    return _renamed(model, *pairs)


def numbered(model: Model) -> Model:
    """Call the tensors t0000, t0001, ...: nothing is left of their names."""
    return Model({f"t{n:04}": v for n, v in enumerate(model.tensors.values())}, model.config)


def numbered_backwards(model: Model) -> Model:
    """Call them so in the opposite order, and turn them round."""
    last = reversed([*model.tensors.values()])
    return Model({f"t{n:04}": v.T for n, v in enumerate(last)}, model.config)


# Every layout that holds the whole of a gated model.
WHOLE: Mapping[str, Layout] = {
    "ddp": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "mixed prefixes": prefixed("module._orig_mod.model."),
    "unknown prefix": prefixed("quux.net."),
    "nested": nested,
    "native": native,
    "native in name": native_in_name,
    "internlm2": internlm2,
    "exaone": exaone,
    "qwen1": qwen1,
    "chatglm": chatglm,
    "baichuan": baichuan,
    "phi3": phi3,
    "olmo": olmo,
    "litgpt": litgpt,
    "megatron": megatron,
    "turned": turned,
    "two names": two_names,
    "strange": strange,
    "numbered": numbered,
    "numbered backwards": numbered_backwards,
}
# Layouts of families without a gate: the gate is left out, so both sides need them.
UNGATED: Mapping[str, Layout] = {"gpt2": gpt2, "bigcode": bigcode, "falcon": falcon}


def _experts(model: Model, layer: int, kind: str) -> Array:
    root = f"model.layers.{layer}.mlp.experts."
    count = model.number("num_experts")
    return np.stack([model.tensors[f"{root}{e}.{kind}_proj.weight"] for e in range(count)])


def _stacked(name: Callable[[Model, int], Tensors]) -> Layout:
    def write(model: Model) -> Model:
        out = {k: v for k, v in model.tensors.items() if ".experts." not in k}
        for layer in model.layers:
            out |= name(model, layer)
        return Model(out, model.config)

    return write


def _outputs_first(model: Model, layer: int) -> Tensors:
    gate, up, down = (_experts(model, layer, k) for k in ("gate", "up", "down"))
    root = f"model.layers.{layer}.mlp.experts."
    return {
        f"{root}gate_up_proj": np.concatenate([gate, up], axis=1),
        f"{root}down_proj": down,
    }


def _inputs_first(model: Model, layer: int) -> Tensors:
    return {k: v.swapaxes(1, 2) for k, v in _outputs_first(model, layer).items()}


def _alternating(model: Model, layer: int) -> Tensors:
    gate, up, down = (_experts(model, layer, k) for k in ("gate", "up", "down"))
    root = f"model.layers.{layer}.mlp.experts."
    both = np.stack([gate, up], axis=2).reshape(len(gate), -1, gate.shape[2])
    return {
        f"{root}gate_up_proj": both.swapaxes(1, 2),
        f"{root}down_proj": down.swapaxes(1, 2),
        f"{root}gate_up_proj_bias": np.zeros(both.shape[:2], np.float32),
        f"{root}down_proj_bias": np.zeros(down.shape[:2], np.float32),
    }


def _granite(model: Model, layer: int) -> Tensors:
    parts, root = _outputs_first(model, layer), f"model.layers.{layer}."
    return {
        f"{root}block_sparse_moe.input_linear.weight": parts[f"{root}mlp.experts.gate_up_proj"],
        f"{root}block_sparse_moe.output_linear.weight": parts[f"{root}mlp.experts.down_proj"],
    }


def _dbrx(model: Model, layer: int) -> Tensors:
    gate, up, down = (_experts(model, layer, k) for k in ("gate", "up", "down"))
    root, width = f"model.layers.{layer}.ffn.experts.mlp.", gate.shape[2]
    return {
        f"{root}w1": gate.reshape(-1, width),
        f"{root}v1": up.reshape(-1, width),
        f"{root}w2": down.swapaxes(1, 2).reshape(-1, width),
    }


def _deepseek(model: Model) -> Model:
    return _renamed(
        model,
        (r"^model\.", ""),
        (r"mlp\.experts\.(\d+)\.gate_proj", r"ffn.experts.\1.w1"),
        (r"mlp\.experts\.(\d+)\.down_proj", r"ffn.experts.\1.w2"),
        (r"mlp\.experts\.(\d+)\.up_proj", r"ffn.experts.\1.w3"),
        (r"mlp\.gate", "ffn.gate"),
        (r"self_attn\.(\w)_proj", r"attn.w\1"),
        (r"self_attn\.", "attn."),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("embed_tokens", "embed"),
        ("lm_head", "head"),
    )


EXPERTS: Mapping[str, Layout] = {
    "outputs first": _stacked(_outputs_first),
    "inputs first": _stacked(_inputs_first),
    "alternating": _stacked(_alternating),
    "granite": _stacked(_granite),
    "dbrx": _stacked(_dbrx),
    "deepseek": _deepseek,
    "strange": lambda model: _renamed(
        model,
        (r"model\.layers\.(\d+)\.mlp\.experts", r"core.floors.\1.crowd"),
        (r"(gate|up|down)_proj", r"\1er"),
        (r"model\.layers", "core.floors"),
        (r"self_attn\.(\w)_proj", r"look.\1er"),
    ),
}


def _t5(model: Model) -> Model:
    out = {
        "shared.weight": model.tensors["model.embed_tokens.weight"],
        "encoder.embed_tokens.weight": model.tensors["model.embed_tokens.weight"],
        "lm_head.weight": model.tensors["lm_head.weight"],
    }
    for number in model.layers:
        side = ("encoder", "decoder")[number % 2]
        x, root, last = _layer(model, number), f"{side}.block.{number // 2}.layer.", 1 + number % 2
        for kind in "qkvo":
            out[f"{root}0.SelfAttention.{kind}.weight"] = x[f"self_attn.{kind}_proj"]
            if last == 2:
                out[f"{root}1.EncDecAttention.{kind}.weight"] = x[f"self_attn.{kind}_proj"][::-1]
        block = {"wi_0": "gate_proj", "wi_1": "up_proj", "wo": "down_proj"}
        for name, kind in block.items():
            out[f"{root}{last}.DenseReluDense.{name}.weight"] = x[f"mlp.{kind}"]
    return Model(out, {**model.config, "model_type": "t5", "is_encoder_decoder": True})


def _bart(model: Model) -> Model:
    out = {
        "model.shared.weight": model.tensors["model.embed_tokens.weight"],
        "lm_head.weight": model.tensors["lm_head.weight"],
    }
    for number in model.layers:
        side = ("encoder", "decoder")[number % 2]
        x, root = _layer(model, number), f"model.{side}.layers.{number // 2}."
        for kind, name in zip("qkvo", ("q_proj", "k_proj", "v_proj", "out_proj"), strict=True):
            out[f"{root}self_attn.{name}.weight"] = x[f"self_attn.{kind}_proj"]
            if side == "decoder":
                out[f"{root}encoder_attn.{name}.weight"] = x[f"self_attn.{kind}_proj"][::-1]
        out[f"{root}fc1.weight"], out[f"{root}fc2.weight"] = x["mlp.up_proj"], x["mlp.down_proj"]
        out[f"{root}self_attn_layer_norm.weight"] = x["input_layernorm"]
        out[f"{root}final_layer_norm.weight"] = x["post_attention_layernorm"]
    return Model(out, {**model.config, "model_type": "bart", "is_encoder_decoder": True})


TWO_SIDED: Mapping[str, Layout] = {"t5": _t5, "bart": _bart}
