"""A run uses one BLAS thread a process, also in workers, unless its user says otherwise."""

from __future__ import annotations

import pytest

from pytest_scratchverify.plugin.blas_threads import VARIABLES

SHOWS = """
    import os
    def test_it(request):
        shown = [os.environ.get(name) for name in {names!r}]
        assert shown == {expected!r}
"""


@pytest.mark.parametrize(
    ("options", "given", "expected"),
    [
        (["--scratch-offline"], None, ["1", "1", "1"]),
        (["--scratch-offline", "-n", "1"], None, ["1", "1", "1"]),
        (["--scratch-offline"], "3", [None, None, "3"]),
        ([], None, [None, None, None]),
    ],
    ids=["used", "worker", "the user's", "not used"],
)
def test_threads(pytester, monkeypatch, options, given, expected):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    pytester.makepyfile(SHOWS.format(names=VARIABLES, expected=expected))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=1)
