"""Losses of torch and of users: how they curve in the outputs, and which tensor of a model they look at."""
