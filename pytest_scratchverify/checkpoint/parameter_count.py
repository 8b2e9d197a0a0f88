"""Count parameters from a design: computed, never copied from a card.

Total and active, per part, for the attention kinds and MLP layouts that `checkpoint.design`
knows. Multi-token-prediction layers and vision towers are left out, as model cards leave them
out. What a config does not state is assumed only where the field's absence has one meaning;
the assumptions are listed with the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.checkpoint.design import Design


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Parameters of a text tower: all of them, and those that one token passes through."""

    total: int
    active: int
    embeddings: int
    lm_head: int
    attention: int
    mlp: int
    norms: int
    assumed: tuple[str, ...] = ()

    @property
    def decoder(self) -> int:
        """Return the parameters without embeddings and output head."""
        return self.total - self.embeddings - self.lm_head

    @property
    def active_as_cards_count(self) -> tuple[int, int, int]:
        """Return the active parameters: all, without the look-up table, without both tables.

        Model cards use each of the three (Solar-Open, K-EXAONE, GLM-4.5) and rarely say which.
        """
        without_table = self.active - self.embeddings
        return self.active, without_table, without_table - self.lm_head


class UncountableDesignError(Exception):
    """The config does not state enough to count parameters; the message names the field."""


def count_parameters(design: Design) -> ParameterCount:
    """Return the parameter count of a text tower.

    Raises `UncountableDesignError` naming the first field that is missing.
    """
    hidden = _need(design, "hidden_size")
    layers = _need(design, "num_hidden_layers")
    vocab = _need(design, "vocab_size")
    assumed: list[str] = []
    norm_width = 2 if design.text("norm") == "LayerNorm" else 1
    attention = _attention(design, hidden)
    dense, moe_total, moe_active = _mlp(design, hidden, assumed)
    dense_layers = _dense_layers(design, layers)
    per_layer_norms = design.size("norms_per_layer") or 2
    norms = norm_width * hidden * (layers * per_layer_norms + 1)
    embeddings = vocab * hidden + _positions(design, hidden)
    lm_head = 0 if _is_tied(design, assumed) else vocab * hidden
    mlp_total = dense_layers * dense + (layers - dense_layers) * moe_total
    mlp_active = dense_layers * dense + (layers - dense_layers) * moe_active
    shared = embeddings + lm_head + layers * attention + norms
    return ParameterCount(
        total=shared + mlp_total,
        active=shared + mlp_active,
        embeddings=embeddings,
        lm_head=lm_head,
        attention=layers * attention,
        mlp=mlp_total,
        norms=norms,
        assumed=tuple(assumed),
    )


def amount(parameters: float) -> str:
    """Return a parameter count as model cards write it: 518.98B, 6.7M, 270k."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.2f}".rstrip("0").rstrip(".") + unit
    return f"{parameters:.0f}"


def _need(design: Design, name: str) -> int:
    value = design.size(name)
    if value is None:
        raise UncountableDesignError(name)
    return value


def _attention(design: Design, hidden: int) -> int:
    heads = _need(design, "num_attention_heads")
    if design.size("kv_lora_rank"):
        return _latent_attention(design, hidden, heads)
    head_dim = _need(design, "head_dim")
    kv_heads = _need(design, "num_key_value_heads")
    bias = design.fields.get("attention_bias") is True
    q, kv = heads * head_dim, kv_heads * head_dim
    weights = hidden * (q + 2 * kv) + q * hidden
    biases = (q + 2 * kv if bias else 0) + (hidden if bias and _output_bias(design) else 0)
    return weights + biases + (2 * head_dim if design.fields.get("use_qk_norm") is True else 0)


def _output_bias(design: Design) -> bool:
    """Whether o_proj has a bias too: GPT-like models yes, Qwen2- and GLM-like ones no."""
    return design.text("norm") == "LayerNorm"


def _latent_attention(design: Design, hidden: int, heads: int) -> int:
    """MLA: queries, keys and values through low ranks (DeepSeek-V2, arXiv 2405.04434)."""
    rank = _need(design, "kv_lora_rank")
    nope, rope = _need(design, "qk_nope_head_dim"), _need(design, "qk_rope_head_dim")
    value_dim = _need(design, "v_head_dim")
    q_rank = design.size("q_lora_rank")
    query_out = heads * (nope + rope)
    query = hidden * q_rank + q_rank + q_rank * query_out if q_rank else hidden * query_out
    key_value = hidden * (rank + rope) + rank + rank * heads * (nope + value_dim)
    return query + key_value + heads * value_dim * hidden


def _mlp(design: Design, hidden: int, assumed: list[str]) -> tuple[int, int, int]:
    """Return parameters of a dense MLP, of a whole MoE layer, of its active part."""
    gated = design.fields.get("gated_mlp")
    if gated is None:
        # RMSNorm came with gated MLPs in every family known to the catalogue.
        gated = design.text("hidden_act") == "silu" or design.text("norm") == "RMSNorm"
        assumed.append("gated_mlp")
    width = design.size("intermediate_size")
    bias = design.fields.get("mlp_bias") is True
    if not design.is_moe:
        if width is None:
            raise UncountableDesignError("intermediate_size")
        dense = _feed_forward(hidden, width, gated=bool(gated), bias=bias)
        return dense, dense, dense
    dense = _feed_forward(hidden, width, gated=bool(gated), bias=bias) if width else 0
    expert_width = _need(design, "moe_intermediate_size")
    expert = _feed_forward(hidden, expert_width, gated=bool(gated), bias=bias)
    experts, used = _need(design, "n_routed_experts"), _need(design, "num_experts_per_tok")
    shared = design.size("n_shared_experts") or 0
    router = hidden * experts + (experts if design.text("scoring_func") == "sigmoid" else 0)
    return dense, (experts + shared) * expert + router, (used + shared) * expert + router


def _feed_forward(hidden: int, width: int, *, gated: bool, bias: bool) -> int:
    matrices = 3 if gated else 2
    biases = (width * (matrices - 1) + hidden) if bias else 0
    return matrices * hidden * width + biases


def _dense_layers(design: Design, layers: int) -> int:
    if not design.is_moe:
        return layers
    return min(layers, design.size("first_k_dense_replace") or 0)


def _positions(design: Design, hidden: int) -> int:
    learned = design.text("model_type") in ("gpt2", "opt", "gpt_bigcode")
    return (design.size("max_position_embeddings") or 0) * hidden if learned else 0


def _is_tied(design: Design, assumed: list[str]) -> bool:
    tied = design.fields.get("tie_word_embeddings")
    if tied is None:
        assumed.append("tie_word_embeddings")
    return tied is True
