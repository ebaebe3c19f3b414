"""Says what came in."""

import usina_runner


def main(job: usina_runner.Job) -> None:
    job.report({"names": {name: len(paths) for name, paths in job.inputs.items()}})


usina_runner.run(main)
