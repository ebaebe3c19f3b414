"""Every test has a detector for pictures of any size, unless it names another."""

from pathlib import Path

import pytest

from tests.vision.network import detector
from usina.apps.vision.network.home import SETTING


@pytest.fixture(scope="session")
def usual_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector(tmp_path_factory.mktemp("network") / "shapes.onnx", size=None)


@pytest.fixture(autouse=True)
def network(usual_network: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SETTING, str(usual_network))
    monkeypatch.delenv("DETECTION_CONFIDENCE_THRESHOLD", raising=False)
    monkeypatch.delenv("DETECTION_PROVIDER", raising=False)
    return usual_network
