"""dreamfusion-sd: a sentence as a textured mesh, by threestudio in its own environment."""

import usina_runner
from usina.apps.threed.foreign.threestudio import make

if __name__ == "__main__":
    usina_runner.run(make)
