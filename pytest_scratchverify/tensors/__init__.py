"""The same rows of two checkpoints: inventory, reading plan, reading, packed tensors."""
