"""What a user asks: a batch and its loss, the optimiser, the options of an analysis, and the time it has."""
