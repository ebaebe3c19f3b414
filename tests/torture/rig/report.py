"""What a run has shown, in words and figures."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median, quantiles

from tests.torture.rig.evidence import Evidence
from tests.torture.rig.nemesis import Nemesis
from tests.torture.rig.plan import Plan

_SHOWN = 8


@dataclass(frozen=True)
class Report:
    """``broken`` has what is wrong by check; ``queued_seconds`` and ``again_seconds`` are from the
    kill of a worker to the moment at which each job that it held is queued, and runs, again."""

    plan: Plan
    seconds: float
    statuses: Mapping[str, int]
    faults: Mapping[str, int]
    deaths: Mapping[str, int]
    queued_seconds: tuple[float, ...]
    again_seconds: tuple[float, ...]
    figures: Mapping[str, float]
    broken: Mapping[str, list[str]]

    @classmethod
    def of(
        cls,
        plan: Plan,
        evidence: Evidence,
        nemesis: Nemesis,
        broken: Mapping[str, list[str]],
        seconds: float,
    ) -> "Report":
        types = Counter(event["type"] for event in evidence.events)
        ends = Counter(mark.job for mark in evidence.marks if mark.what == "end")
        answers = Counter(str(operation.status) for operation in evidence.operations)
        figures = {
            "requests": len(evidence.operations),
            "requests without an answer": answers["None"],
            "answers 503": answers["503"],
            "prying requests": sum(operation.foreign for operation in evidence.operations),
            "attempts begun": sum(mark.what == "begin" for mark in evidence.marks),
            "jobs run to the end more than once": sum(times > 1 for times in ends.values()),
            "retrying events": types["job.retrying"],
            "events": len(evidence.events),
            "followers": len(evidence.followed),
            "objects": len(evidence.objects),
            "orphans swept": evidence.swept,
            "oldest wait, s": round(evidence.oldest_wait_seconds, 1),
        }
        return cls(
            plan,
            seconds,
            dict(Counter(job["status"] for job in evidence.jobs)),
            dict(nemesis.counts.most_common()),
            dict(Counter(death.member.partition("-")[0] for death in evidence.deaths)),
            _queued(evidence, nemesis),
            _again(evidence, nemesis),
            figures,
            broken,
        )

    def text(self) -> str:
        plan = self.plan
        lost = len(self.broken.get("I1 one job for each accepted key", ())) + len(
            self.broken.get("I2 every job has ended", ())
        )
        lines = [
            f"jobs {sum(self.statuses.values())} {dict(self.statuses)}",
            f"kills {sum(self.faults.values())} of {len(self.faults)} kinds",
            f"seconds {self.seconds:.0f}",
            *(f"    {count:5} {kind}" for kind, count in self.faults.items()),
            f"deaths of processes {dict(self.deaths)}",
            f"lost {lost}",
            f"succeeded twice {len(self.broken.get('I3 no job succeeds twice', ()))}",
            f"orphans {len(self.broken.get('I10 no orphans after a sweep', ()))}",
            f"gaps {len(self.broken.get('I7 each log is 1..n with one ending an opening', ()))}",
            *(f"{name} {value:g}" for name, value in self.figures.items()),
            _times("queued", self.queued_seconds),
            _times("running", self.again_seconds),
            f"store: {plan.store}; again with: make torture SEED={plan.seed} JOBS={plan.jobs}"
            f" KILLS={plan.kills}",
        ]
        for name, wrong in self.broken.items():
            lines.append(f"BROKEN {name}: {len(wrong)}")
            lines += [f"    {line}" for line in wrong[:_SHOWN]]
        lines.append(f"evidence kept in {plan.folder}" if self.broken else "every invariant held")
        return "\n".join(lines)

    def save(self) -> None:
        """Beside the rest of the evidence."""
        whole = asdict(self) | {"plan": {**asdict(self.plan), "folder": str(self.plan.folder)}}
        (self.plan.folder / "report.json").write_text(json.dumps(whole, indent=1))
        (self.plan.folder / "report.txt").write_text(self.text() + "\n")


def _again(evidence: Evidence, nemesis: Nemesis) -> tuple[float, ...]:
    begins = {(m.job, m.attempt): m.at for m in evidence.marks if m.what == "begin"}
    found: list[float] = []
    for at, job, attempt in nemesis.hands.held if nemesis.hands else ():
        again = begins.get((job, attempt + 1))
        if again is not None and again > at:
            found.append(again - at)
    return tuple(sorted(found))


def _queued(evidence: Evidence, nemesis: Nemesis) -> tuple[float, ...]:
    retried = {
        (event["job_id"], json.loads(event["data"])["attempt"]): event["at"].timestamp()
        for event in evidence.events
        if event["type"] == "job.retrying"
    }
    found: list[float] = []
    for at, job, attempt in nemesis.hands.held if nemesis.hands else ():
        queued = retried.get((job, attempt + 1), 0.0) - evidence.clock_offset
        if queued > at:
            found.append(queued - at)
    return tuple(sorted(found))


def _times(what: str, seconds: tuple[float, ...]) -> str:
    if len(seconds) < 2:
        return f"kill of a worker to {what} again: {list(seconds)} s"
    p99 = quantiles(seconds, n=100, method="inclusive")[98]
    return (
        f"kill of a worker to {what} again: median {median(seconds):.2f} s, p99 {p99:.2f} s,"
        f" {len(seconds)} jobs"
    )
