"""Are the intermediate checkpoints one run from a random start? Asked where there are any."""

import pytest

from pytest_scratchverify.methods.training_log.checkpoints import (
    PATH,
    checkpoint_path,
    without_checkpoints,
)
from pytest_scratchverify.methods.training_log.initialisation import START, random_initialisation
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds

pytestmark = pytest.mark.training_log


@pytest.fixture(scope="session")
def checkpoint_series(snapshots, artifacts, reading):
    """Read the same slices of a model's checkpoints; None where it has fewer than two."""
    from pytest_scratchverify.methods.training_log.checkpoint_reading import read_series  # noqa: PLC0415 - numpy

    known = {}

    def read(spec):
        if spec.name not in known:
            found = snapshots(spec)
            several = len(found.found) > 1
            known[spec.name] = read_series(found, artifacts(spec), **reading) if several else None
        return known[spec.name]

    return read


@pytest.mark.scratch(
    "training_log.random_initialisation", component="training_record", depth="quick"
)
def test_first_checkpoint_is_freshly_drawn(model, checkpoint_series, record):
    """The first checkpoint of a training from the start has a random matrix's spectrum."""
    series = checkpoint_series(model)
    if series is None:
        finding = record(without_checkpoints(START, model.name))
    else:
        finding = record(random_initialisation(model.name, series))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.checkpoint_path", component="training_record", depth="quick")
def test_checkpoints_are_one_path(model, checkpoint_series, calibration, record):
    """Each checkpoint is related to the next and lies on the way to the published model."""
    series = checkpoint_series(model)
    if series is None:
        finding = record(without_checkpoints(PATH, model.name))
    else:
        thresholds = TrainingLogThresholds.from_json(calibration("training_log"))
        finding = record(checkpoint_path(model.name, series, thresholds))
    assert not finding.derived, finding.headline
