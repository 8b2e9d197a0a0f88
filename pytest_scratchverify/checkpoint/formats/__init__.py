"""Checkpoint layouts other than plain safetensors: quantised weights, GGUF, PyTorch archives."""
