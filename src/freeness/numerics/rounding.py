"""What double precision leaves of a value, and of a mass."""

from __future__ import annotations

import numpy as np

LAST_DIGIT = 4e-16  # relative error of a value that is known in closed form
ROUNDING = 8 * np.finfo(float).eps  # of one that some operations have gone into
LARGEST_EXPONENT = 700.0  # e to the power of it is a float still
HUGE = 1e100  # squares of larger numbers leave the floats
CANCELLED = 1e-12  # a difference below this share of its terms is the rounding of an exact 0
NEGLIGIBLE = 1e-13  # a mass below it is the rounding of an exact 0
