"""Parameters of MLPs, dense and routed."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_scratchverify.checkpoint.counting.keys import (
    Keys,
    UncountableDesignError,
    UnknownLayerError,
)
from pytest_scratchverify.checkpoint.counting.traits import Traits

# Of types unknown here. Other activations stand in MLPs of either form: BitNet gates with relu2,
# Arcee does not; Gemma gates with gelu, StarCoder2 does not.
GATED_ACTIVATIONS = frozenset({"silu", "swiglu", "swish", "geglu"})
SHARED_WIDTHS = (
    "shared_expert_intermediate_size",
    "shared_intermediate_size",
    "share_expert_dim",
)


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Parameters of one layer's MLPs: all, those a token passes, those no gradient trains."""

    total: int
    active: int | None
    untrained: int = 0

    def __add__(self, other: FeedForward) -> FeedForward:
        """Return two MLPs of one layer together."""
        known = self.active is not None and other.active is not None
        active = self.active + other.active if known else None  # type: ignore[operator]
        return FeedForward(self.total + other.total, active, self.untrained + other.untrained)


NOTHING = FeedForward(0, 0)


def is_gated(keys: Keys, traits: Traits) -> bool:
    """Whether an MLP has a gate: by the type, or by what is stated where the type is unknown."""
    if traits.gated is not None:
        return traits.gated
    stated = keys.fields.get("gated_mlp")
    if isinstance(stated, bool):
        return stated
    activation = keys.text("hidden_act")
    if (known := _by_kin(keys)) is not None:
        return known
    if activation is None and assumes_gate(keys):
        return True
    if activation in GATED_ACTIVATIONS:
        return True
    if activation is None:
        raise UncountableDesignError("hidden_act")
    raise UnknownLayerError(f"hidden_act: {activation}")


def _by_kin(keys: Keys) -> bool | None:
    """Say by the kin of an activation whether it gates; None where kin do both.

    Gemma's kin name it `hidden_activation` and gate with it; with LayerNorm a GELU or a ReLU
    stands between two matrices, as in GPT.
    """
    activation = keys.text("hidden_act") or ""
    plain = activation.startswith(("gelu", "relu")) and activation != "relu2"
    if plain and "hidden_activation" in keys.raw and keys.text("norm") == "RMSNorm":
        return True
    return False if plain and keys.text("norm") == "LayerNorm" else None


def assumes_gate(keys: Keys) -> bool:
    """Whether nothing but its norm says that an MLP of an unknown type has a gate.

    RMSNorm came with gated MLPs in every family known to the catalogue.
    """
    silent = keys.fields.get("gated_mlp") is None and keys.text("hidden_act") is None
    return silent and keys.text("norm") == "RMSNorm"


def _mlp(keys: Keys, traits: Traits, hidden: int, width: int, *, bias: bool) -> int:
    matrices = 3 if is_gated(keys, traits) else 2
    return matrices * hidden * width + (width * (matrices - 1) + hidden if bias else 0)


def _named(traits: Traits) -> tuple[str, ...]:
    return ("bias",) if traits.by_parallel else ()  # Falcon


def dense_mlp(keys: Keys, traits: Traits) -> FeedForward:
    """Return a dense MLP."""
    bias = (
        keys.flag("mlp_bias", "use_bias", *_named(traits))
        if traits.mlp_biased is None
        else traits.mlp_biased
    )
    width = _dense_width(keys, traits) // traits.split
    count = _mlp(keys, traits, keys.need("hidden_size"), width, bias=bias)
    if "m" in traits.inner_norms:
        count += width * (2 if traits.norm_bias else 1)
    return FeedForward(count, count)


def _dense_width(keys: Keys, traits: Traits) -> int:
    stated = keys.size("prefix_dense_intermediate_size", "intermediate_size_mlp", "block_ff_dim")
    if keys.size("n_routed_experts") == 0:  # Granite 4: without experts the shared MLP stays
        stated = keys.size("shared_intermediate_size") or stated
    width = stated or keys.size("intermediate_size")
    if not width and traits.wide:
        if keys.size("expansion_ratio") not in (None, 4):  # the code of MPT does not read it
            raise UncountableDesignError("expansion_ratio")
        times = keys.size("intermediate_multiple_size")
        width = keys.need("hidden_size") * (4 if times is None else times)
    width = width or 4 * keys.need("n_embd")
    if keys.flag("block_auto_adjust_ff_dim"):  # LFM2: two thirds, rounded up
        factor = keys.value("block_ffn_dim_multiplier")
        step = keys.need("block_multiple_of")
        width = int(2 * width / 3)
        if isinstance(factor, (int, float)) and 0 < factor < width:
            width = step * -(-int(factor * width) // step) if step else width
    return width * (2 if keys.flag("use_double_wide_mlp") and keys.flag("kv_shared") else 1)


def routed_mlp(keys: Keys, traits: Traits) -> FeedForward:
    """Return a layer of experts with its router and its shared experts."""
    hidden, experts = keys.need("hidden_size"), keys.need("n_routed_experts")
    used = keys.size("num_experts_per_tok", "top_k_experts")
    latent = keys.size("moe_latent_size", "moe_hidden_size")
    if traits.towers:
        return _experts_of_two_towers(keys, traits)
    width = keys.need("moe_intermediate_size", "intermediate_size")
    expert = _mlp(keys, traits, latent or hidden, width, bias=traits.expert_bias)
    around = hidden * experts + (experts if traits.router_bias else 0)
    if latent:
        around += 2 * hidden * latent + (2 * latent if keys.size("moe_hidden_size") else 0)
    if traits.expert_output:
        around += hidden
    if traits.deep_router:
        rank = keys.need("router_hidden_size")
        around = (hidden + 2) * rank + 2 * rank * (rank + 1) + (experts + 1) * rank
    if traits.router_scale:  # rows of the shared experts too, and one number
        around += hidden * (keys.size("n_shared_experts") or 0) + 1
    around += _shared_experts(keys, traits, hidden, width)
    untrained = experts if traits.correction or keys.text("scoring_func") == "sigmoid" else 0
    if idle := keys.size("zero_expert_num"):  # LongCat: half of each lies in memory, not in files
        around += idle * hidden
        untrained += idle * (1 + 2 * hidden * width)
    active = None if used is None else used * expert + around
    found = FeedForward(experts * expert + around, active, untrained)
    for _ in range(traits.dense_mlps):
        found = found + dense_mlp(keys, traits)
    if (
        keys.flag("enable_moe_block") or traits.dense_beside
    ):  # Gemma 4: beside the dense MLP, with scales and norms
        scales = 4 * hidden + experts
        found = found + dense_mlp(keys, traits) + FeedForward(scales, scales)
    return found


def _experts_of_two_towers(keys: Keys, traits: Traits) -> FeedForward:
    """Return the experts of text and those of images in one layer (ERNIE-4.5-VL)."""
    hidden, experts = keys.need("hidden_size"), keys.need("n_routed_experts")
    stated = keys.listed("moe_intermediate_size") or []
    widths = [width for width in stated if type(width) is int and width >= 0]
    if len(widths) != len(stated) or not widths:
        raise UncountableDesignError("moe_intermediate_size")
    shared = _mlp(keys, traits, hidden, keys.need("n_shared_experts") * widths[0], bias=False)
    total = sum(experts * (_mlp(keys, traits, hidden, w, bias=False) + hidden) for w in widths)
    return FeedForward(total + shared, None, experts * len(widths))


def _shared_experts(keys: Keys, traits: Traits, hidden: int, width: int) -> int:
    """Return the experts that every token passes; their width may be stated, or is an expert's."""
    number = keys.size("n_shared_experts")
    if traits.one_shared and number not in (None, 1):  # the code reads no number
        raise UncountableDesignError("n_shared_experts")
    number = traits.shared if number is None else number
    stated = keys.size(*SHARED_WIDTHS)
    each = keys.size("moe_shared_expert_intermediate_size")
    if stated is not None:
        shared = stated
    elif each is not None:
        shared = each
    elif (width_of_one := keys.size("shared_experts_intermediate_size")) is not None:
        shared = number * width_of_one
    else:
        shared = number * width
    if not shared:
        return 0
    bias = keys.flag("mlp_bias") if traits.mlp_biased is None else traits.mlp_biased
    return _mlp(keys, traits, hidden, shared, bias=bias) + (hidden if traits.shared_gate else 0)
