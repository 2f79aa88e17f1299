"""Readers of PyTorch's calls, one file an operation of the record; ``freeness.torch.record.kinds`` makes one table of them."""
