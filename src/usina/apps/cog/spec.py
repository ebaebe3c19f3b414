"""``cog.json``: what a runner folder knows of its server besides the manifest."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

FILE_NAME: Final = "cog.json"


@dataclass(frozen=True, slots=True)
class Spec:
    """``version`` is that of the schema that the manifest was made of. ``names`` are the server's
    names by ours where they differ; ``many`` the inputs that are lists; ``files`` says whether the
    output may hold files, ``joined`` whether a list of texts is one text. ``callback`` is the name
    by which the server reaches this machine, null for the address that we reach it from."""

    url: str
    version: str
    names: dict[str, str]
    many: tuple[str, ...] = ()
    files: bool = True
    joined: bool = False
    callback: str | None = None

    @classmethod
    def read(cls, path: Path) -> "Spec":
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        told["many"] = tuple(told.get("many", ()))
        return cls(**told)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", "utf-8")
