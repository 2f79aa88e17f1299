"""Initialisation: recipes by architecture, designs put into a model."""
