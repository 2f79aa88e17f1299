"""Learning rates: from the start, by trials, carried over from a small model to a big one."""
