"""Training log: whether a training record is plausible, and whether it is the model's own."""

from pytest_scratchverify.methods.training_log.compute import compute, tokens
from pytest_scratchverify.methods.training_log.gradients import gradient_norms
from pytest_scratchverify.methods.training_log.integrity import continuity, duplicates, smoothness
from pytest_scratchverify.methods.training_log.loss_curve import first_loss, power_law, schedule
from pytest_scratchverify.methods.training_log.thresholds import TrainingLogThresholds
from pytest_scratchverify.methods.training_log.two_logs import same_data_order

__all__ = [
    "TrainingLogThresholds",
    "compute",
    "continuity",
    "duplicates",
    "first_loss",
    "gradient_norms",
    "power_law",
    "same_data_order",
    "schedule",
    "smoothness",
    "tokens",
]
