"""The array types of pictures and shapes, so that a signature says what it holds."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bytes: TypeAlias = NDArray[np.uint8]
"""A picture of 8 bits a channel: ``(height, width)`` or ``(height, width, channels)``, sRGB."""

Bits: TypeAlias = NDArray[np.bool_]
Indices: TypeAlias = NDArray[np.int64]

Field: TypeAlias = NDArray[np.float64]
"""Numbers over space; the docstring that uses it names shape and unit."""

Field32: TypeAlias = NDArray[np.float32]

Reals: TypeAlias = NDArray[np.floating[Any]]
"""Numbers whose precision does not matter, since they end as 8 bits."""

Anything: TypeAlias = NDArray[Any]
"""What an ill-typed library hands over, before its type is stated."""
