"""Fetchers of real artifacts and builders of the shipped facts."""
