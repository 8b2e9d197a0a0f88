"""Architecture: designs, parameter counts and published claims. Design never decides origin."""

from pytest_scratchverify.methods.architecture.claims import claim_holds
from pytest_scratchverify.methods.architecture.config import Config, trained_components
from pytest_scratchverify.methods.architecture.design import core_fields, nearest_design
from pytest_scratchverify.methods.architecture.names import config_names
from pytest_scratchverify.methods.architecture.parameters import (
    declared_parameters,
    parameter_count,
    stored_parameters,
)
from pytest_scratchverify.methods.architecture.thresholds import ArchitectureThresholds

__all__ = [
    "ArchitectureThresholds",
    "Config",
    "claim_holds",
    "config_names",
    "core_fields",
    "declared_parameters",
    "nearest_design",
    "parameter_count",
    "stored_parameters",
    "trained_components",
]
