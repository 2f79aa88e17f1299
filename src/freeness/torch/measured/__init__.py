"""Spectra, curvature and freeness of real models."""
