"""Readers of training logs, from any trainer."""

from __future__ import annotations

from pytest_scratchverify.methods.training_log.readers.log import TrainingLog
from pytest_scratchverify.methods.training_log.readers.read import read_training_log

__all__ = ["TrainingLog", "read_training_log"]
