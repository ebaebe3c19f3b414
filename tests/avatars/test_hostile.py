"""Bytes that no camera made: refused with a reason, or made into an avatar; never a surprise."""

import json
import subprocess
import sys
from pathlib import Path

from tests.corpus.images import bad_images, odd_images

NOT_OURS = {"mask_empty"}
"""Pictures that are sound but show nothing: an avatar of them warns that there is no face."""


def test_every_bad_picture_is_refused_for_its_own_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.avatars.hostile", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )

    seen = {
        name: (outcome, seconds, memory)
        for name, outcome, seconds, memory in map(json.loads, done.stdout.splitlines())
    }
    for image in bad_images():
        if image.kind == "decode":
            expected = "accepted" if image.expected_reason in NOT_OURS else image.expected_reason
            assert seen[image.name][0] == expected, image.name
    for odd in odd_images():
        assert seen[odd.name][0] == "accepted", odd.name
    assert max(seconds for _, seconds, _ in seen.values()) < 10
    assert max(memory for _, _, memory in seen.values()) < 800 << 20
