import usina_runner


def main(job: usina_runner.Job) -> None:
    for name, value in job.params["metrics"].items():
        job.metric(name, value)
    if job.params["hold"]:
        job.sleep(600)
    job.report({})


usina_runner.run(main)
