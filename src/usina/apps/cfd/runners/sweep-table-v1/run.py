"""sweep-table-v1: what many simulations have found, as one table and one plot."""

import usina_runner
from usina.apps.cfd.sweep_plot import draw
from usina.apps.cfd.sweep_table import read_rows, write_csv, write_json


def main(job: usina_runner.Job) -> None:
    over: list[str] = job.params["over"]
    with job.stage("table", upto=0.3):
        rows = read_rows(job.params["members"], job.inputs.get("reports", []))
        write_csv(job.outputs / "table.csv", over, rows)
        job.artifact("table.csv", "data")
        write_json(job.outputs / "table.json", job.params["name"], over, rows)
        job.artifact("table.json", "data")
    job.check_cancelled()
    with job.stage("plot", upto=0.95):
        draw(job.outputs / "plot.png", job.params["name"], over, rows)
        job.artifact("plot.png", "image")
    succeeded = len({row.simulation_id for row in rows if row.figures})
    job.report(
        {"rows": len(rows), "simulations": len(job.params["members"]), "with_results": succeeded}
    )


if __name__ == "__main__":
    usina_runner.run(main)
