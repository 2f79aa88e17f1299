"""A model read as a graph of operations, call by call, and checked by replay."""
