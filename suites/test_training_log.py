"""Can the training log be what it claims to be? A log is a claim: it never clears a model."""

import pytest

from pytest_scratchverify.core.component import Component
from pytest_scratchverify.core.errors import Unavailable
from pytest_scratchverify.methods import training_log as methods
from pytest_scratchverify.methods.disclosure import names_base_model
from pytest_scratchverify.methods.training_log.compute import batch_tokens

pytestmark = pytest.mark.training_log


@pytest.fixture(scope="session")
def thresholds(calibration):
    """The frozen thresholds, with the real logs that they were taken from."""
    return methods.TrainingLogThresholds.from_json(calibration("training_log"))


@pytest.fixture(scope="session")
def training_log(artifacts, scratch_session, given_logs):
    """Read a model's log: the one of --training-log, or one found in its repository."""
    from pytest_scratchverify.methods.training_log.readers.locate import locate_log  # noqa: PLC0415 - numpy

    only = scratch_session.models[0].name if len(scratch_session.models) == 1 else None

    logs = {}

    def read(spec):
        if spec.name not in logs:
            try:
                store = artifacts(spec)
            except Unavailable:
                store = None
            logs[spec.name] = locate_log(spec.name, store, given_logs, alone=spec.name == only)
        return logs[spec.name]

    return read


@pytest.fixture(scope="session")
def vocabulary(artifacts):
    """How many tokens a model knows, by its config; None where that cannot be read."""

    def read(spec):
        try:
            config = artifacts(spec).config().value
        except Unavailable:
            return None
        size = config.get("vocab_size") or (config.get("text_config") or {}).get("vocab_size")
        return size if isinstance(size, int) and size > 1 else None

    return read


@pytest.mark.scratch("training_log.first_loss", component="training_record")
def test_first_loss_is_that_of_a_random_start(model, training_log, vocabulary, thresholds, record):
    """A network that knows nothing starts at the loss of a guess among all tokens."""
    log = training_log(model)
    finding = methods.first_loss(model.name, log.value, vocabulary(model), thresholds)
    record(finding, log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.continuity", component="training_record")
def test_log_is_whole(model, training_log, thresholds, record):
    """A whole log begins at the start and counts on without holes, resets or repeats."""
    log = training_log(model)
    finding = record(methods.continuity(model.name, log.value, thresholds), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.duplicates", component="training_record")
def test_no_stretch_occurs_twice(model, training_log, record):
    """No stretch of losses occurs twice: batches have no memory."""
    log = training_log(model)
    finding = record(methods.duplicates(model.name, log.value), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.smoothness", component="training_record")
def test_losses_shake_as_batches_make_them(model, training_log, vocabulary, thresholds, record):
    """Real losses shake with their batches, evenly, and now and then spike."""
    log, batch, size = training_log(model), batch_tokens(model.name), vocabulary(model)
    finding = methods.smoothness(model.name, log.value, thresholds, batch, size)
    record(finding, log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.gradient_norms", component="training_record")
def test_gradient_norms_are_their_own(model, training_log, record):
    """Gradient norms are positive, vary, and no stretch of them occurs twice."""
    log = training_log(model)
    finding = record(methods.gradient_norms(model.name, log.value), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.power_law", component="training_record")
def test_losses_fall_by_a_power_law(model, training_log, vocabulary, thresholds, record):
    """Losses of a training from the start fall by a power law of the steps, roughly."""
    log, size = training_log(model), vocabulary(model)
    finding = record(methods.power_law(model.name, log.value, thresholds, size), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.schedule", component="training_record")
def test_learning_rate_follows_one_schedule(model, training_log, thresholds, record):
    """The learning rate follows one formula from a warm-up to the end."""
    log = training_log(model)
    finding = record(methods.schedule(model.name, log.value, thresholds), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.tokens", component="training_record")
def test_steps_make_the_claimed_tokens(model, training_log, record):
    """Tokens per step times steps are the tokens that the model is said to have seen."""
    log = training_log(model)
    finding = record(methods.tokens(model.name, log.value), log.record)
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.compute", component="training_record")
def test_hardware_and_time_suffice(model, thresholds, record):
    """The arithmetic that a training takes fits the hardware and the time that are claimed."""
    finding = record(methods.compute(model.name, thresholds))
    assert not finding.derived, finding.headline


@pytest.mark.scratch("training_log.same_order", component="training_record")
def test_log_is_not_another_runs(pair, training_log, artifacts, thresholds, record):
    """The log's batch noise is its own, and no stretch of it another log's."""
    log, other = training_log(pair.model), training_log(pair.reference)
    names = pair.model.name, log.value, pair.reference.name, other.value
    declared = _declares(pair, artifacts)
    finding = methods.same_data_order(*names, thresholds, declared=declared)
    record(finding, log.record, other.record)
    assert not finding.derived, finding.headline


def _declares(pair, artifacts):
    try:
        return names_base_model(pair, artifacts(pair.model), Component.TRAINING_RECORD)
    except Unavailable:  # no repository: nothing is declared there
        return False
