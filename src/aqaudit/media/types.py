"""TODO."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: One upright picture, height x width x 3.
Picture = NDArray[np.uint8]
