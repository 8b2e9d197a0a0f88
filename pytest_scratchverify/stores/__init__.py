"""Where bytes come from: the hub, a folder, the local cache, and what is read of them.

Nothing here imports pytest or numpy, and importing the package loads no HTTP stack.
"""
