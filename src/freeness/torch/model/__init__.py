"""The user's model as it is: guarded state, mode, outputs, where its parameters are used, what it costs."""
