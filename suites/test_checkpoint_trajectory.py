"""Are the intermediate checkpoints one run from a random start? Asked where there are any."""

import pytest

from pytest_scratchverify.methods.training_log import checkpoints as methods
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds

pytestmark = pytest.mark.training_log


@pytest.fixture(scope="session")
def walk(snapshots, artifacts, reading):
    """Read the same slices of a model's checkpoints; None where it has fewer than two."""
    from pytest_scratchverify.methods.training_log.checkpoint_reading import read_walk  # noqa: PLC0415 - numpy

    walks = {}

    def read(spec):
        if spec.name not in walks:
            found = snapshots(spec)
            several = len(found.found) > 1
            walks[spec.name] = read_walk(found, artifacts(spec), **reading) if several else None
        return walks[spec.name]

    return read


@pytest.mark.scratch(
    "training_log.random_initialisation", component="training_record", depth="quick"
)
def test_first_checkpoint_is_freshly_drawn(model, walk, record):
    """The first checkpoint of a training from the start has a random matrix's spectrum."""
    path = walk(model)
    if path is None:
        finding = record(methods.without_checkpoints(methods.START, model.name))
    else:
        finding = record(methods.random_initialisation(model.name, path))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.checkpoint_path", component="training_record", depth="quick")
def test_checkpoints_are_one_path(model, walk, calibration, record):
    """Each checkpoint is related to the next and lies on the way to the published model."""
    path = walk(model)
    if path is None:
        finding = record(methods.without_checkpoints(methods.PATH, model.name))
    else:
        thresholds = TrainingLogThresholds.from_json(calibration("training_log"))
        finding = record(methods.checkpoint_path(model.name, path, thresholds))
    assert not finding.derived, finding.headline
