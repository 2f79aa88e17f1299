"""Readers of PyTorch's calls, one file an operation of the record; ``freeness.torch.kinds`` assembles them into one table."""
