"""Homes of real models: settings that their wrappers read, whichever of them is there.

They are settings so that an entry of ``.env`` does what a variable of the environment does.
"""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings


def named(name: str, *others: str) -> AliasChoices:
    """A setting whose variable has no ``USINA_`` in front; ``others`` are understood too."""
    return AliasChoices(name, name.lower(), *others)


class Homes(BaseSettings):
    """One field a variable; a new model's home is a line here and in `docs/reference/settings.md`.

    The names of the variables are those of the fields, in capitals.
    """

    sf3d_python_path: Path | None = Field(None, validation_alias=named("SF3D_PYTHON_PATH"))
    sf3d_script_path: Path | None = Field(None, validation_alias=named("SF3D_SCRIPT_PATH"))
    sf3d_pretrained_model: str | None = Field(None, validation_alias=named("SF3D_PRETRAINED_MODEL"))
    sf3d_keep_loaded: bool | None = Field(None, validation_alias=named("SF3D_KEEP_LOADED"))
    sf3d_hf_home: Path | None = Field(None, validation_alias=named("SF3D_HF_HOME"))
    spar3d_python_path: Path | None = Field(None, validation_alias=named("SPAR3D_PYTHON_PATH"))
    spar3d_script_path: Path | None = Field(None, validation_alias=named("SPAR3D_SCRIPT_PATH"))
    spar3d_pretrained_model: str | None = Field(
        None, validation_alias=named("SPAR3D_PRETRAINED_MODEL")
    )
    spar3d_keep_loaded: bool | None = Field(None, validation_alias=named("SPAR3D_KEEP_LOADED"))
    spar3d_hf_home: Path | None = Field(None, validation_alias=named("SPAR3D_HF_HOME"))
    alpha_clip_path: Path | None = Field(None, validation_alias=named("ALPHA_CLIP_PATH"))
    transparent_background_file_path: Path | None = Field(
        None, validation_alias=named("TRANSPARENT_BACKGROUND_FILE_PATH")
    )
    triposr_python_path: Path | None = Field(None, validation_alias=named("TRIPOSR_PYTHON_PATH"))
    triposr_script_path: Path | None = Field(None, validation_alias=named("TRIPOSR_SCRIPT_PATH"))
    triposr_pretrained_model: str | None = Field(
        None, validation_alias=named("TRIPOSR_PRETRAINED_MODEL")
    )
    triposr_keep_loaded: bool | None = Field(None, validation_alias=named("TRIPOSR_KEEP_LOADED"))
    triposr_hf_home: Path | None = Field(None, validation_alias=named("TRIPOSR_HF_HOME"))
    dreamfusion_python_path: Path | None = Field(
        None, validation_alias=named("DREAMFUSION_PYTHON_PATH")
    )
    dreamfusion_script_path: Path | None = Field(
        None, validation_alias=named("DREAMFUSION_SCRIPT_PATH")
    )
    dreamfusion_config: Path | None = Field(None, validation_alias=named("DREAMFUSION_CONFIG"))
    dreamfusion_diffusion_model: str | None = Field(
        None, validation_alias=named("DREAMFUSION_DIFFUSION_MODEL")
    )
    hf_home: Path | None = Field(None, validation_alias=named("HF_HOME"))
    u2net_home: Path | None = Field(None, validation_alias=named("U2NET_HOME"))
    stable_diffusion_url: str | None = Field(None, validation_alias=named("STABLE_DIFFUSION_URL"))
    stable_diffusion_path: Path | None = Field(
        None, validation_alias=named("STABLE_DIFFUSION_PATH")
    )
    stable_diffusion_python: Path | None = Field(
        None, validation_alias=named("STABLE_DIFFUSION_PYTHON")
    )
    stable_diffusion_dtype: Literal["float16", "bfloat16", "float32"] | None = Field(
        None, validation_alias=named("STABLE_DIFFUSION_DTYPE")
    )
    stable_diffusion_gpus: int | None = Field(
        None, ge=0, le=64, validation_alias=named("STABLE_DIFFUSION_GPUS")
    )
    stable_diffusion_auth: SecretStr | None = Field(
        None, validation_alias=named("STABLE_DIFFUSION_AUTH")
    )
    stable_diffusion_sampler: str | None = Field(
        None, validation_alias=named("STABLE_DIFFUSION_SAMPLER")
    )
    yolo_model_path: Path | None = Field(None, validation_alias=named("YOLO_MODEL_PATH"))
    detection_confidence_threshold: float | None = Field(
        None, gt=0, lt=1, validation_alias=named("DETECTION_CONFIDENCE_THRESHOLD")
    )
    detection_provider: Literal["auto", "cpu", "openvino", "cuda", "tensorrt"] | None = Field(
        None, validation_alias=named("DETECTION_PROVIDER")
    )

    def homes(self) -> dict[str, str]:
        """The variables of these that are set, as programs are told them."""
        told = {name.upper(): getattr(self, name) for name in Homes.model_fields}
        return {name: _plain(value) for name, value in told.items() if value is not None}


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
