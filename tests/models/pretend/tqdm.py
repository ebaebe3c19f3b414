"""Its bar, on standard error, over itself."""

import sys


def tqdm(steps):
    count = len(steps)
    for number, step in enumerate(steps):
        sys.stderr.write(f"\r{100 * number // count:3d}%|{'#' * number:10s}| {number}/{count}")
        sys.stderr.flush()
        yield step
    sys.stderr.write(f"\r100%|##########| {count}/{count}\n")
