"""What double precision leaves of a value, and of a mass."""

from __future__ import annotations

import numpy as np

LAST_DIGIT = 4e-16  # relative error of a value that is known in closed form
ROUNDING = 8 * np.finfo(float).eps  # of one that some operations have gone into
HUGE = 1e100  # squares of larger numbers leave the floats
NEGLIGIBLE = 1e-13  # a mass below it is the rounding of an exact 0
