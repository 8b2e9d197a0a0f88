"""Layouts other than plain safetensors: packed weights, GGUF, archives of PyTorch."""
