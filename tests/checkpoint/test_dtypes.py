"""Numbers as they are stored: decoded exactly, scaled where they say so, refused where not."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from pytest_scratchverify.checkpoint.dtypes import Scale, canonical, decode
from pytest_scratchverify.core.errors import Reason, Unavailable


@pytest.mark.parametrize(
    ("name", "kind"),
    [("F16", np.float16), ("BF16", ml_dtypes.bfloat16), ("F8_E4M3", ml_dtypes.float8_e4m3fn),
     ("F8_E5M2", ml_dtypes.float8_e5m2), ("F32", np.float32)],
)  # fmt: skip
def test_dtypes_decode_exactly(name, kind):
    stored = np.random.default_rng(1).standard_normal((5, 4)).astype(kind)
    assert np.array_equal(decode(stored.tobytes(), name, (5, 4)), stored.astype(np.float32))


def test_block_scales_cover_the_rows_that_were_read():
    table = np.arange(1, 7, dtype=np.float32).reshape(3, 2)  # 3 x 2 blocks of 128 x 128
    factors = Scale(table, (300, 200)).rows(120, 140)
    assert factors.shape == (20, 200)
    assert (factors[0, 0], factors[-1, 0], factors[-1, -1]) == (1, 3, 4)


def test_row_scales_of_int8_are_per_row():
    factors = Scale(np.array([[1.0], [2.0], [3.0]], np.float32), (3, 5)).rows(1, 3)
    assert factors[:, 0].tolist() == [2.0, 3.0]


def test_integers_without_a_scale_are_refused_with_a_sentence():
    with pytest.raises(Unavailable, match="without a known scale"):
        decode(b"\0" * 4, "I8", (2, 2))


def test_two_zeros_are_one_number():
    assert canonical(np.array([-0.0], np.float32)) == canonical(np.array([0.0], np.float32))


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 1), (0, 1), (0,)])
def test_scales_that_cannot_belong_to_a_matrix_are_malformed(shape):
    with pytest.raises(Unavailable, match="Scales of shape") as failure:
        Scale(np.ones(shape, np.float32), (3, 5)).rows(0, 2)
    assert failure.value.reason is Reason.MALFORMED
