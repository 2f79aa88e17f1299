"""Haar orthogonal matrices by numpy, for what needs none of ours."""

import numpy as np


def haar(rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """A Haar (semi-)orthogonal matrix: QR of a Gaussian one with the signs of R's diagonal moved into Q."""
    q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return q if rows >= columns else q.T


def rotated(eigenvalues: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A matrix with these eigenvalues and Haar eigenvectors."""
    q = haar(eigenvalues.size, eigenvalues.size, rng)
    return (q * eigenvalues) @ q.T
