"""Writes arrays to a file. Knows the .npz format; knows nothing of what the numbers are."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.whole import whole

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Earliest time a ZIP archive can hold: the same arrays give the same bytes."""


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an .npz, all or nothing; the same arrays give the same bytes, unlike `numpy.savez_compressed`."""
    deflated = zipfile.ZIP_DEFLATED
    with whole(path) as unfinished, zipfile.ZipFile(unfinished, "w", deflated, compresslevel=9) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue(), deflated)
