"""Weights: whether a component of a model comes from a reference's."""
