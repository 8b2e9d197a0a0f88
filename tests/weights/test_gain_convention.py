"""What norm gains are stored less: one answer for a model, by its config or by its numbers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_scratchverify.methods.weights.gain_convention import conventions_of
from pytest_scratchverify.stores.folder import FolderStore
from pytest_scratchverify.tensors.reading import open_checkpoint
from tools.zoo import small_checkpoints as checkpoints
from tools.zoo.ready_models import READY, read_model

POSITIVE = np.linspace(0.05, 0.9, 64, dtype=np.float32)  # of either convention, by their look


def opened(folder, **config):
    given = {**json.loads((READY / "s0" / "config.json").read_text()), **config}
    checkpoints.write(folder, dict(read_model("s0").tensors), config=given, card={})
    return open_checkpoint(FolderStore(folder))


@pytest.mark.parametrize(
    ("config", "offset"),
    [
        ({"model_type": "gemma2"}, 1.0),
        ({"model_type": "gemma3_text"}, 1.0),
        ({"model_type": "gemma4"}, 0.0),
        ({"model_type": "qwen3_next"}, 1.0),
        ({"model_type": "nemotron"}, 1.0),
        ({"model_type": "nemotron_h"}, 0.0),
        ({"model_type": "step3p5"}, 1.0),
        ({"model_type": "plamo2"}, 1.0),
        ({"model_type": "minimax_m2"}, 0.0),
        ({"model_type": "minimax_m3_vl", "text_config": {"use_gemma_norm": True}}, 1.0),
        ({"model_type": "minimax_m3", "use_gemma_norm": False}, 0.0),
        ({"model_type": "own", "apply_layernorm_1p": True}, 1.0),
        ({"model_type": "llama"}, 0.0),
    ],
)
def test_a_config_says_what_is_stored(config, offset, tmp_path):
    checkpoint = opened(tmp_path / "model", **config)
    assert conventions_of(checkpoint, [POSITIVE], sure=True) == (offset,)
    assert conventions_of(checkpoint, [POSITIVE], sure=False) == (offset, 1.0 - offset)


def test_numbers_around_zero_say_it_without_a_config(tmp_path):
    checkpoint = opened(tmp_path / "model", model_type="own")
    around = np.random.default_rng(0).normal(0.1, 0.2, 64).astype(np.float32)
    assert conventions_of(checkpoint, [around, POSITIVE], sure=True) == (1.0,)  # one for all
    assert conventions_of(checkpoint, [None], sure=True) == (0.0,)
    # SmolLM2's gains lie so, and a family that stores them as they are says it.
    known = opened(tmp_path / "known", model_type="llama")
    assert conventions_of(known, [around, POSITIVE], sure=True) == (0.0,)
    assert conventions_of(known, [around, POSITIVE], sure=False) == (0.0, 1.0)  # a suspect may lie
