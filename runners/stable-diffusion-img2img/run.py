"""stable-diffusion-img2img: a portrait painted over a photo by a diffusion model."""

from functools import partial
from pathlib import Path

import usina_runner
from usina.apps.avatars.diffusion.studio import Studio, open_studio


def main(job: usina_runner.Job, studio: Studio) -> None:
    studio.portray(job)


if __name__ == "__main__":
    usina_runner.run(main, load=partial(open_studio, Path(__file__).with_name("paint.py")))
