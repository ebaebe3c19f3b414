"""What a model asks of who runs it: its licence's terms, its weights, and how it is installed."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_COMMIT: Final = r"^[0-9a-f]{40}$"
_SHA256: Final = r"^[0-9a-f]{64}$"
_CACHED: Final = r"hf:[^@]+@[0-9a-f]{40}"
HUB: Final = "hf:"
STRICT: Final = ConfigDict(extra="forbid", frozen=True)
"""Of every table of a manifest: unknown keys are errors."""

Address = Annotated[str, Field(pattern=r"^https?://\S+$", max_length=2000)]
Territory = Annotated[str, Field(pattern=r"^(EU|[A-Z]{2})$")]
Setting = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Hash = Annotated[str, Field(pattern=_SHA256)]


class _Table(BaseModel):
    model_config = STRICT


class Terms(_Table):
    """What the licence of a model says beyond its name.

    ``commercial`` is whether commercial use is allowed, below ``revenue_limit_usd`` a year where
    that is told; ``excluded_territories`` are where it is not valid, as ISO 3166 codes of two
    letters or ``EU``; ``gated`` weights are handed out only to who has accepted the terms at
    ``url``; ``notice`` has to be shown with results.
    """

    url: Address | None = None
    commercial: bool = True
    revenue_limit_usd: int | None = Field(default=None, ge=1)
    excluded_territories: tuple[Territory, ...] = ()
    gated: bool = False
    notice: str | None = Field(default=None, min_length=1, max_length=500)


class Weights(_Table):
    """One file of weights.

    ``source`` is ``hf:owner/repo``, with ``@revision`` where it is pinned, or a web address;
    ``file`` its path there, which an address already ends with. Installed it is
    ``weights/NAME/FILE``, and ``setting`` names the variable that holds another path for it.
    ``cached`` ones of the hub lie as in its own cache, below ``weights/hub``, for programs that
    look a repository up there by its name: ``HF_HOME`` of these is ``{weights}``.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")
    source: str = Field(
        pattern=r"^(hf:[A-Za-z0-9._-]+/[A-Za-z0-9._-]+(@[A-Za-z0-9._/-]+)?|https?://\S+)$"
    )
    file: str = Field(default="", max_length=500)
    sha256: Hash | None = None
    bytes: int | None = Field(default=None, ge=1)
    setting: Setting | None = None
    cached: bool = False

    @model_validator(mode="after")
    def _is_pinned_where_cached(self) -> Self:
        if self.cached and re.fullmatch(_CACHED, self.source) is None:
            raise ValueError("cached: needs hf:owner/repo@ and the whole hash of a revision")
        return self

    @model_validator(mode="after")
    def _names_one_file(self) -> Self:
        if self.file and not _inside(self.file):
            raise ValueError(f"{self.file!r} leads out of the weights' folder")
        if not self.file and self.source.startswith(HUB):
            raise ValueError("file: which one of the repository?")
        if not self.path.name:
            raise ValueError("file: the address does not end with a name")
        return self

    @property
    def path(self) -> PurePosixPath:
        """Where it lies below the folder of the model's weights."""
        own = self.file or PurePosixPath(urlsplit(self.source).path).name
        if self.cached:
            return self._cache / "snapshots" / self.source.rpartition("@")[2] / own
        return PurePosixPath(self.name, own) if own else PurePosixPath()

    @property
    def newest(self) -> tuple[PurePosixPath, str] | None:
        """Of a cached one the file below the folder of weights that says which revision counts,
        and what it says."""
        if not self.cached:
            return None
        return self._cache / "refs" / "main", self.source.rpartition("@")[2]

    @property
    def _cache(self) -> PurePosixPath:
        repository = self.source.removeprefix(HUB).partition("@")[0]
        return PurePosixPath("hub", f"models--{repository.replace('/', '--')}")


class Install(_Table):
    """The recipe of a model's environment, followed by ``usina models install``.

    ``python`` says which versions will do, as ``>=3.10,<3.13``. The program's source is ``git`` at
    ``commit``, or ``archive`` with its ``sha256``. ``requirements`` are files for pip, in this
    order, in the runner's folder or, with ``{source}/`` in front, in the source, which they are
    installed from; ``build_isolation = false`` lets builds see what is installed already.
    ``settings`` are variables of the installed model, with ``{python}``, ``{source}`` and
    ``{weights}`` in their values. ``bytes`` is what all but the weights takes on the disk.
    """

    python: str | None = Field(default=None, pattern=r"^\s*[<>=!~0-9.,\s*]+$", max_length=100)
    requirements: tuple[str, ...] = ()
    build_isolation: bool = True
    git: str | None = Field(default=None, min_length=1, max_length=2000)
    commit: str | None = Field(default=None, pattern=_COMMIT)
    archive: Address | None = None
    sha256: Hash | None = None
    settings: dict[Setting, str] = {}
    bytes: int | None = Field(default=None, ge=1)

    @field_validator("requirements")
    @classmethod
    def _are_inside(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for file in files:
            if not _inside(file.removeprefix("{source}/")):
                raise ValueError(f"{file!r} leads out of the runner's folder")
        return files

    @model_validator(mode="after")
    def _is_pinned(self) -> Self:
        if (self.git is None) != (self.commit is None):
            raise ValueError("git and commit go together, so that the source is always the same")
        if (self.archive is None) != (self.sha256 is None):
            raise ValueError("archive and sha256 go together, so that the source is the same")
        if self.git is not None and self.archive is not None:
            raise ValueError("the source is either git or an archive")
        return self


def _inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts
