"""Packs a checkpoint as the quantisers of the field do: by rounding to nearest, no calibration.

Written from the formats' descriptions, element by element where that is short, and sharing no
code with the package, which unpacks. Weights are {name: float32}; what comes back is a state dict
for safetensors, or a file. Rounding to nearest is coarser than what GPTQ and AWQ do; the layout,
which is what these copies test, is theirs.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Array = NDArray[Any]
State = dict[str, Array]  # tensors as they are stored, by name
Pack = Callable[[str, Array], State]  # from a matrix [outputs, inputs] and its name

LINEAR = re.compile(r"model\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj\.weight")
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
# Quantiles of the normal distribution: Dettmers et al. 2023, appendix E.
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
                -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
                0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
                0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1.0], np.float32)  # fmt: skip


def bfloat16() -> Any:
    """Return the dtype, imported late: the zoo's builder packs without it."""
    import ml_dtypes  # noqa: PLC0415

    return ml_dtypes.bfloat16


def read(folder: Path) -> dict[str, NDArray[np.float32]]:
    """Read all weights of a folder as float32."""
    bfloat16()  # safetensors asks numpy for it by name
    raw: State = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw |= load_file(path)
    return {name: value.astype(np.float32) for name, value in raw.items()}


def folder_of(source: Path, target: Path, config: Mapping[str, object] | None = None) -> Path:
    """Copy everything but the weights; the card says nothing, the config what is needed."""
    target.mkdir(parents=True)
    known = json.loads((source / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(known | (config or {})))
    for name in ("tokenizer.json", "README.md"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    return target


def packed_folder(
    source: Path, target: Path, pack: Pack, config: Mapping[str, object] | None = None
) -> Path:
    """Write a folder in which `pack` has replaced every linear matrix of the layers."""
    folder_of(source, target, config)
    state: State = {}
    for name, value in read(source).items():
        if LINEAR.fullmatch(name):
            state |= pack(name.removesuffix(".weight"), value)
        else:
            state[name] = value.astype(bfloat16())
    save_file(state, target / "model.safetensors", metadata={"format": "pt"})
    return target


def _affine(value: Array, bits: int, group: int) -> tuple[Array, Array, Array]:
    """Round groups of inputs: scales and zeros [outputs, groups], integers [outputs, inputs]."""
    rows = value.reshape(len(value), -1, group)
    low, high = np.minimum(rows.min(-1), 0), np.maximum(rows.max(-1), 0)
    scale = (np.maximum(high - low, 1e-9) / (2**bits - 1)).astype(np.float16)
    wide = scale.astype(np.float32)
    zero = np.clip(np.rint(-low / wide), 1, 2**bits - 1).astype(np.int64)
    q = np.clip(np.rint(rows / wide[..., None]) + zero[..., None], 0, 2**bits - 1)
    return scale, zero, q.reshape(value.shape).astype(np.int64)


def _words(stream: Array, bits: int) -> Array:
    """Pack the last axis into 32-bit words, first number in the lowest bits."""
    out = []
    for row in stream.reshape(-1, stream.shape[-1]):
        number = 0
        for position, value in enumerate(row):
            number |= int(value) << (bits * position)
        size = -(-len(row) * bits // 32)
        out.append([(number >> (32 * i)) & 0xFFFFFFFF for i in range(size)])
    words = np.array(out, np.uint32).view(np.int32)
    return words.reshape(*stream.shape[:-1], -1)


def gptq(  # noqa: PLR0913 - the format's own
    name: str,
    value: Array,
    bits: int = 4,
    group: int = 16,
    *,
    order: Array | None = None,
    offset: int = 1,
) -> State:
    """Pack as AutoGPTQ does, along the inputs.

    Parameters
    ----------
    order
        To which group each input belongs, as after ``desc_act``; without it, in their order.
    offset
        What is subtracted from zero points before they are stored: 1, or 0 in GPTQ's second version.
    """
    inputs = np.arange(value.shape[1]) if order is None else np.argsort(order, kind="stable")
    scale, zero, q = _affine(value[:, inputs], bits, group)
    back = np.argsort(inputs)
    groups = np.arange(value.shape[1])[back] // group
    return {
        f"{name}.qweight": np.ascontiguousarray(_words(q[:, back], bits).T),
        f"{name}.qzeros": _words(np.ascontiguousarray(zero.T) - offset, bits),
        f"{name}.scales": np.ascontiguousarray(scale.T),
        f"{name}.g_idx": groups.astype(np.int32),
    }


def awq(name: str, value: Array, group: int = 16) -> State:
    """Pack as AutoAWQ's "gemm" does: four bits, along the outputs, in its own order."""
    scale, zero, q = _affine(value, 4, group)

    def pack(table: Array) -> Array:
        runs = table.reshape(len(table), -1, 8)[:, :, AWQ_ORDER]
        return _words(runs, 4)[..., 0]

    return {
        f"{name}.qweight": pack(np.ascontiguousarray(q.T)),
        f"{name}.qzeros": pack(np.ascontiguousarray(zero.T)),
        f"{name}.scales": np.ascontiguousarray(scale.T),
    }


def compressed_int(name: str, value: Array, bits: int = 4, group: int = 16) -> State:
    """Pack as compressed-tensors' pack-quantized, symmetric: integers offset by half their range."""
    rows = value.reshape(len(value), -1, group)
    scale = (abs(rows).max(-1) / (2 ** (bits - 1) - 0.5) + 1e-9).astype(bfloat16())
    q = np.rint(rows / scale.astype(np.float32)[..., None])
    q = np.clip(q, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).reshape(value.shape).astype(np.int64)
    return {
        f"{name}.weight_packed": _words(q + 2 ** (bits - 1), bits),
        f"{name}.weight_scale": scale,
        f"{name}.weight_shape": np.array(value.shape, np.int64),
    }


def compressed_int8(name: str, value: Array) -> State:
    """Round as compressed-tensors' int-quantized: int8 [outputs, inputs] and a scale per output."""
    scale = abs(value).max(1, keepdims=True) / 127
    return {
        f"{name}.weight": np.rint(value / scale).astype(np.int8),
        f"{name}.weight_scale": scale,
    }


def mx(value: Array) -> tuple[Array, Array]:
    """Round to OCP MXFP4: blocks of bytes [outputs, groups, 16], exponents [outputs, groups]."""
    rows = value.reshape(*value.shape[:-1], -1, 32)
    most = abs(rows).max(-1, keepdims=True)
    exponent = np.floor(np.log2(np.maximum(most, 1e-30))) - 2
    scaled = rows / 2.0**exponent
    code = abs(abs(scaled)[..., None] - E2M1).argmin(-1) + 8 * (scaled < 0)
    packed = (code[..., ::2] | code[..., 1::2] << 4).astype(np.uint8)
    return packed, (exponent[..., 0] + 127).astype(np.uint8)


def mxfp4(name: str, value: Array) -> State:
    """Pack as compressed-tensors' mxfp4-pack-quantized; what fills no groups of 32 is left alone."""
    if value.shape[-1] % 32:
        return {f"{name}.weight": value.astype(bfloat16())}
    packed, exponent = mx(value)
    return {
        f"{name}.weight_packed": packed.reshape(len(value), -1),
        f"{name}.weight_scale": exponent,
    }


def gpt_oss(source: Path, target: Path) -> Path:
    """Stack the experts of a zoo model as gpt-oss does: gate and up alternate, MXFP4."""
    folder_of(source, target)
    weights = read(source)
    state: State = {}
    experts: dict[str, dict[tuple[int, str], Array]] = {}
    expert = re.compile(r"(model\.layers\.\d+\.mlp)\.experts\.(\d+)\.(\w+)_proj\.weight")
    for name, value in weights.items():
        found = expert.fullmatch(name)
        if found is None:
            state[name] = value.astype(bfloat16())
        else:
            experts.setdefault(found[1], {})[int(found[2]), found[3]] = value
    for prefix, parts in experts.items():
        count = 1 + max(number for number, _ in parts)
        both = np.stack(
            [np.stack([parts[i, "gate"], parts[i, "up"]], axis=1) for i in range(count)]
        )
        gate_up = both.reshape(count, -1, both.shape[-1])
        down = np.stack([parts[i, "down"] for i in range(count)])
        for kind, value in (("gate_up", gate_up), ("down", down)):
            blocks, scales = mx(value)
            state[f"{prefix}.experts.{kind}_proj_blocks"] = blocks
            state[f"{prefix}.experts.{kind}_proj_scales"] = scales
    save_file(state, target / "model.safetensors")
    return target


def bnb_int8(name: str, value: Array) -> State:
    """Round as bitsandbytes' LLM.int8(): the largest absolute value of a row becomes 127."""
    most = abs(value).max(1)
    return {
        f"{name}.weight": np.rint(value / most[:, None] * 127).astype(np.int8),
        f"{name}.SCB": most.astype(np.float32),
        f"{name}.weight_format": np.array(0, np.uint8),
    }


def bnb_nf4(name: str, value: Array, block: int = 64) -> State:
    """Pack as bitsandbytes' nf4: flat blocks, first number in the high half, maxima not nested."""
    flat = np.pad(value.ravel(), (0, -value.size % block)).reshape(-1, block)
    most = abs(flat).max(1)
    code = abs((flat / np.maximum(most, 1e-30)[:, None])[..., None] - NF4).argmin(-1)
    codes = code.ravel()[: value.size]
    codes = np.append(codes, 0) if len(codes) % 2 else codes
    state = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16",
             "shape": list(value.shape)}  # fmt: skip
    return {
        f"{name}.weight": (codes[::2] << 4 | codes[1::2]).astype(np.uint8)[:, None],
        f"{name}.weight.absmax": most.astype(np.float32),
        f"{name}.weight.quant_map": NF4,
        f"{name}.weight.quant_state.bitsandbytes__nf4": np.frombuffer(
            json.dumps(state).encode(), np.uint8
        ),
    }


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def gguf_file(
    source: Path, target: Path, kind: str, *, pad: Callable[[Array, str], Array] | None = None
) -> Path:
    """Write a Llama as llama.cpp's converter does, with the `gguf` package, the reference.

    Queries and keys are permuted as its ``LlamaModel.permute`` does. Matrices whose inputs do
    not fill the blocks of `kind` are kept in F16, as llama.cpp's quantiser falls back.
    """
    folder_of(source, target)
    write_gguf(source, target / f"model-{kind}.gguf", kind, pad=pad)
    return target


def write_gguf(
    source: Path, path: Path, kind: str, *, pad: Callable[[Array, str], Array] | None = None
) -> Path:
    """Write one file that is a whole model: its design, its vocabulary and its weights."""
    import gguf  # noqa: PLC0415

    config = json.loads((source / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // config["num_attention_heads"])
    tokenizer = json.loads((source / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    named = {index: word for word, index in (words | special).items()}
    tokens = [named.get(index, f"[PAD{index}]") for index in range(config["vocab_size"])]
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    unused, control, normal = 5, 3, 1  # gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [
            control if token in special else normal if index in named else unused
            for index, token in enumerate(tokens)
        ]
    )
    writer.add_token_merges(merges)
    quantised = gguf.GGMLQuantizationType[kind]
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    for name, original in read(source).items():
        stored, value = _gguf_name(name), original
        found = re.search(r"self_attn\.([qk])_proj", name)
        if found:
            value = _permuted(original, heads[found[1]])
        block = gguf.GGML_QUANT_SIZES[quantised][0]
        if value.ndim < 2:
            writer.add_tensor(stored, value)
        elif value.shape[1] % block:
            writer.add_tensor(stored, value.astype(np.float16))
        else:
            packed = pad(value, kind) if pad else gguf.quants.quantize(value, quantised)
            writer.add_tensor(stored, packed, raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _permuted(value: Array, heads: int) -> Array:
    """Reorder rows as ``LlamaModel.permute`` of convert_hf_to_gguf.py does."""
    halves = value.reshape(heads, 2, len(value) // heads // 2, value.shape[1])
    return halves.swapaxes(1, 2).reshape(value.shape)


def _gguf_name(name: str) -> str:
    outside = {"model.embed_tokens.weight": "token_embd.weight", "lm_head.weight": "output.weight",
               "model.norm.weight": "output_norm.weight"}  # fmt: skip
    if name in outside:
        return outside[name]
    found = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
    if found is None:
        raise ValueError(f"no tensor of a Llama: {name}")
    return f"blk.{found[1]}.{GGUF_NAMES[found[2]]}.weight"


def q4_k(value: Array, _kind: str = "Q4_K") -> Array:
    """Round to Q4_K (ggml's block_q4_K): eight scales and minima of six bits in each 256."""
    blocks = value.reshape(-1, 8, 32)
    low = np.minimum(blocks.min(-1), 0)
    step = (blocks.max(-1) - low) / 15
    d = (step.max(-1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    dmin = ((-low).max(-1, keepdims=True) / 63).astype(np.float16).astype(np.float32)
    sc = np.rint(np.divide(step, d, out=np.zeros_like(step), where=d > 0)).astype(int).clip(0, 63)
    m = np.rint(np.divide(-low, dmin, out=np.zeros_like(low), where=dmin > 0))
    m = m.astype(int).clip(0, 63)
    wide = np.maximum(d * sc, 1e-30)[..., None]
    q = np.rint((blocks + (dmin * m)[..., None]) / wide).clip(0, 15).astype(np.uint8)
    scales = np.zeros((len(blocks), 12), np.uint8)
    for j in range(4):
        scales[:, j] = sc[:, j] | (sc[:, j + 4] >> 4) << 6
        scales[:, j + 4] = m[:, j] | (m[:, j + 4] >> 4) << 6
        scales[:, j + 8] = (sc[:, j + 4] & 15) | (m[:, j + 4] & 15) << 4
    data = q[:, 0::2] | q[:, 1::2] << 4
    halves = [x.astype(np.float16).view(np.uint8).reshape(-1, 2) for x in (d, dmin)]
    packed = np.concatenate([*halves, scales, data.reshape(len(blocks), -1)], axis=1)
    return packed.reshape(len(value), -1)
