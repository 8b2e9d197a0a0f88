"""What stands beside packed matrices: counted where it is larger than scales are."""

from __future__ import annotations

import math

import pytest

from pytest_scratchverify.checkpoint.formats.gguf_config import config_of
from pytest_scratchverify.checkpoint.formats.recognise import unpack
from pytest_scratchverify.checkpoint.header import DTYPE_BITS, TensorIndex, TensorInfo

UP = "model.layers.0.mlp.up_proj"


def index(**tensors):
    """Return an index of (dtype, shape) by the last word of a name."""
    found = {}
    for word, (dtype, shape) in tensors.items():
        nbytes = math.prod(shape) * DTYPE_BITS[dtype] // 8
        found[f"{UP}.{word}"] = TensorInfo(f"{UP}.{word}", dtype, shape, 0, nbytes, "a")
    return TensorIndex(found)


def test_a_scale_that_is_larger_than_its_weight_is_counted():
    weight = {"weight": ("F8_E4M3", (64, 128)), "weight_scale": ("U8", (64, 4))}
    sound = unpack(index(**weight, input_scale=("BF16", (1,))))
    assert UP + ".weight" in sound.codecs
    assert dict(sound.undecoded) == {}
    hidden = unpack(index(**weight, input_scale=("BF16", (512, 512))))
    assert dict(hidden.undecoded) == {f"{UP}.input_scale": 512 * 512}


def test_what_stands_beside_an_undecoded_matrix_counts_with_it():
    small = unpack(index(codes=("I16", (2, 2, 1)), codebooks=("F16", (1, 256, 1, 8))))
    large = unpack(index(codes=("I16", (2, 2, 1)), codebooks=("F16", (1, 2**16, 1, 64))))
    assert sum(small.undecoded.values()) < 2**14
    assert sum(large.undecoded.values()) >= 2**22


def test_a_matrix_of_queries_may_be_called_as_hqq_calls_its_codes():
    found = unpack(index(W_q=("BF16", (64, 64))))
    assert (found.unsupported, dict(found.undecoded)) == ((), {})


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, 2**64 - 1])
def test_numbers_that_are_no_sizes_state_nothing(value):
    keys = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "llama.nextn_predict_layers": 5,
        "llama.embedding_length": value,
        "llama.rope.freq_base": value,
    }
    stated = config_of(keys, {"model.embed_tokens.weight"}, 8)
    assert "hidden_size" not in stated
    assert math.isfinite(stated.get("rope_theta", 0.0))
    assert stated["num_hidden_layers"] == 0
