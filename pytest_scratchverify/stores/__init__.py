"""Stores: read-only access to the files of a model on the hub, in a folder or in a cache.

Nothing here imports pytest or numpy, and importing the package loads no HTTP stack.
"""
