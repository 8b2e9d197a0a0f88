"""Conventions of norm gains: stored as they are, or less one, as Gemma and Qwen3-Next do.

Transformers computes `x * (1 + weight)` for the families below. Folding what is stored would
multiply a trained matrix by what is left of the gains, and nothing would be recognised in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.stats.weights.centring import cosine
from pytest_scratchverify.tensors.reading import Checkpoint

Gains = NDArray[np.float32]

# Prefixes of `model_type` (transformers 4.57 and 5, vLLM, llama.cpp's conversion): RMSNorm with
# 1 + weight, LayerNorm1P.
LESS_ONE = (
    "gemma",
    "recurrent_gemma",
    "paligemma",
    "colpali",
    "t5gemma",
    "vaultgemma",
    "shieldgemma",
    "qwen3_next",
    "qwen3_5",
    "nemotron",
    "step3p5",
    "plamo2",
    "plamo3",
    "minimax_m3",
)
PLAIN = ("gemma3n", "gemma4", "nemotron_h", "nemotron-nas")  # of such names, and stored as they are
# Of other families the gains are what is stored, small ones too: SmolLM2's lie around a tenth and
# are negative now and then, as gains that are stored less one would be.
AS_THEY_ARE = (
    "llama", "smollm", "mistral", "mixtral", "ministral", "qwen", "deepseek", "glm", "chatglm",
    "olmo", "phi", "exaone", "granite", "starcoder", "internlm", "baichuan", "kimi", "hunyuan",
    "ernie", "solar", "cohere", "falcon", "gpt", "bert", "roberta", "stablelm", "minicpm", "yi",
)  # fmt: skip
# Keys of a config by which a design says so itself, or that it does not: MiniMax, Megatron, NeMo.
FLAGS = ("use_gemma_norm", "apply_layernorm_1p", "layernorm_zero_centered_gamma")
NEGATIVE = 0.02  # share of gains below zero from which they were stored less one: gains are not
HALF = 0.5  # nearer to zero than to one
SAME = 0.99  # cosine of gains with gains plus one, from which it does not matter


def conventions_of(
    checkpoint: Checkpoint, gains: Sequence[Gains | None], *, sure: bool
) -> tuple[float, ...]:
    """Return what may have to be added to stored gains, the likeliest first.

    Parameters
    ----------
    gains : sequence of (width,) arrays or None
        As stored; None for a block without a norm before it.
    sure : bool
        Whether the config is believed: one answer then. A suspect's is not: both are given,
        where they differ in what is folded.
    """
    known = [one for one in gains if one is not None]
    if not known:
        return (0.0,)
    declared = _declares_less_one(checkpoint)
    less_one = _is_less_one(np.concatenate(known)) if declared is None else declared
    likeliest = 1.0 if less_one else 0.0
    alike = all(_matters_little(one) for one in known)
    return (likeliest,) if sure or alike else (likeliest, 1.0 - likeliest)


def _is_less_one(gains: Gains) -> bool:
    """Whether gains lie around zero, or are zero: no scale that was trained from one does."""
    around = float(np.mean(gains < 0)) >= NEGATIVE and float(np.median(gains)) < HALF
    return around or not gains.any()


def _matters_little(gains: Gains) -> bool:
    return bool(gains.any()) and cosine(gains, gains + 1) >= SAME


def _declares_less_one(checkpoint: Checkpoint) -> bool | None:
    """Say what the config declares, by itself or by its family; None where it tells nothing."""
    try:
        if checkpoint.store.tensor_index().value.metadata:
            return False  # GGUF holds the gains themselves, whatever the family stores them as
        config = checkpoint.store.config().value
    except Unavailable:
        return None
    parts = [part for part in (config, config.get("text_config")) if isinstance(part, dict)]
    flags = [part[key] for part in parts for key in FLAGS if isinstance(part.get(key), bool)]
    if flags:
        return any(flags)
    kinds = [kind for part in parts if isinstance(kind := part.get("model_type"), str)]
    if any(kind.startswith(LESS_ONE) and not kind.startswith(PLAIN) for kind in kinds):
        return True
    return False if any(kind.startswith((*AS_THEY_ARE, *PLAIN)) for kind in kinds) else None
