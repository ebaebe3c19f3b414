"""Says that it was here."""

import usina_runner


def main(job: usina_runner.Job) -> None:
    job.report({})


usina_runner.run(main)
