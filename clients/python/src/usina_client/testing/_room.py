"""What lies in the platform in memory, and the routes that lead to it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from pydantic import JsonValue

from usina_client.testing._job import Document, Failure, FakeJob, Run, Stored, now, stored
from usina_client.testing._request import Answer, Part, Refusal, Seen, as_json, not_found, page
from usina_client.testing._submit import Submission, read_form, read_json

Work = Callable[[Run], None]
_STREAM: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Model:
    """An entry of the catalogue; ``work`` is what its jobs do."""

    document: Document
    inputs: Sequence[str]
    defaults: Mapping[str, JsonValue]
    work: Work


@dataclass(slots=True)
class Rooms:
    """Models, files and jobs; ``held`` are jobs that are not to run yet."""

    models: dict[str, Model] = field(default_factory=dict[str, Model])
    files: dict[str, Stored] = field(default_factory=dict[str, Stored])
    jobs: dict[str, FakeJob] = field(default_factory=dict[str, FakeJob])
    held: list[FakeJob] | None = None

    def answer(self, seen: Seen) -> Answer:
        for method, pattern, answer in _ROUTES:
            match = re.fullmatch(pattern, seen.path)
            if match is not None and method == seen.method:
                return answer(self, seen, *match.groups())
        return not_found()

    def health(self, _: Seen) -> Answer:
        return as_json({"status": "ok", "version": "in-memory"})

    def ready(self, _: Seen) -> Answer:
        return as_json({"status": "ok", "checks": {"database": "ok"}})

    def list_models(self, seen: Seen) -> Answer:
        models = [self.models[name].document for name in sorted(self.models)]
        return page(models, dict(seen.query), "name")

    def get_model(self, _: Seen, name: str) -> Answer:
        model = self.models.get(name) or not_found()
        return as_json(model.document)

    def upload(self, seen: Seen) -> Answer:
        [part] = seen.parts()
        return as_json(self.files[self.keep(part)].document, 201)

    def keep(self, part: Part) -> str:
        """The id of the file."""
        if not part.content:
            raise Refusal(422, "empty_file", "The file is empty.", pointer=f"/{part.field}")
        file = stored(part.name or "upload", part.content, part.media_type, created_at=now())
        file_id = str(file.document["id"])
        self.files[file_id] = file
        return file_id

    def get_file(self, _: Seen, file_id: str) -> Answer:
        return as_json((self.files.get(file_id) or not_found()).document)

    def file_bytes(self, seen: Seen, file_id: str) -> Answer:
        return _bytes(seen, self.files.get(file_id) or not_found())

    def delete_file(self, _: Seen, file_id: str) -> Answer:
        if self.files.pop(file_id, None) is None:
            not_found()
        return Answer(204)

    def find(self, identity: str) -> Stored | None:
        """A file, or an artifact of a job that has succeeded."""
        made = (one for job in self.jobs.values() if job.ended for one in job.artifacts)
        artifacts = {str(one.document["id"]): one for one in made}
        return self.files.get(identity) or artifacts.get(identity)

    def get_artifact(self, _: Seen, artifact_id: str) -> Answer:
        return as_json(self.artifact(artifact_id).document)

    def artifact_bytes(self, seen: Seen, artifact_id: str) -> Answer:
        return _bytes(seen, self.artifact(artifact_id))

    def artifact(self, artifact_id: str) -> Stored:
        found = self.find(artifact_id)
        return found if found is not None and artifact_id not in self.files else not_found()

    def submit(self, seen: Seen) -> Answer:
        if seen.is_form:
            form = read_form(seen.parts())
            self.model_of(form.submission)
            ids = {name: [self.keep(one) for one in parts] for name, parts in form.files.items()}
            submission = form.with_ids(ids)
        else:
            submission = read_json(seen.json())
        [document] = self.accept([submission])
        return as_json(document, 202, location=f"/api/v1/jobs/{document['id']}")

    def submit_batch(self, seen: Seen) -> Answer:
        wanted = seen.json().get("jobs")
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= 1000:
            raise Refusal(422, "invalid", "1 to 1000 jobs.", pointer="/jobs")
        read = [
            read_json(each if isinstance(each, dict) else {}, f"/jobs/{place}")
            for place, each in enumerate(wanted)
        ]
        return as_json({"items": list(self.accept(read))}, 202)

    def accept(self, submissions: Sequence[Submission]) -> list[Document]:
        """All or none; each as it was when it was accepted."""
        jobs = [self.job_of(submission) for submission in submissions]
        accepted: list[Document] = []
        for job in jobs:
            self.jobs[job.id] = job
            job.tell("job.queued")
            accepted.append(dict(job.document))
        for job in jobs:
            if self.held is None:
                self.run(job)
            else:
                self.held.append(job)
        return accepted

    def model_of(self, submission: Submission) -> Model:
        model = self.models.get(submission.model)
        if model is None:
            detail = f"There is no model {submission.model!r}."
            raise Refusal(422, "unknown_model", detail, pointer=f"{submission.place}/model")
        submission.check(model.inputs, model.defaults)
        return model

    def job_of(self, submission: Submission) -> FakeJob:
        model = self.model_of(submission)
        for name, ids in submission.every_input():
            for identity in ids:
                if self.find(identity) is None:
                    pointer = f"{submission.place}/inputs/{name}"
                    detail = f"There is no file or artifact {identity}."
                    raise Refusal(422, "input_not_found", detail, pointer=pointer)
        given = submission.document(model.defaults, str(model.document["version"]))
        return FakeJob({"id": str(uuid4()), "created_at": now()} | given)

    def run(self, job: FakeJob) -> None:
        inputs: dict[str, list[Stored]] = {}
        given = job.document["inputs"]
        assert isinstance(given, dict)
        for name, ids in given.items():
            found = [self.find(str(one)) for one in (ids if isinstance(ids, list) else [ids])]
            inputs[name] = [one for one in found if one is not None]
        job.run(self.models[str(job.document["model"])].work, inputs)

    def job(self, job_id: str) -> FakeJob:
        return self.jobs.get(job_id) or not_found()

    def list_jobs(self, seen: Seen) -> Answer:
        query = dict(seen.query)
        statuses = {value for name, value in seen.query if name == "status"}
        labels = {n.removeprefix("label."): v for n, v in seen.query if n.startswith("label.")}

        def fits(document: Document) -> bool:
            has = document["labels"]
            assert isinstance(has, dict)
            return (
                (not statuses or document["status"] in statuses)
                and query.get("model", document["model"]) == document["model"]
                and labels.items() <= has.items()
            )

        newest_first = [job.document for job in reversed(self.jobs.values())]
        return page([each for each in newest_first if fits(each)], query)

    def get_job(self, _: Seen, job_id: str) -> Answer:
        return as_json(self.job(job_id).document)

    def cancel(self, _: Seen, job_id: str) -> Answer:
        job = self.job(job_id)
        if job.ended:
            return as_json(job.document)
        job.document["cancel_requested_at"] = now()
        job.end("CANCELLED", Failure("cancelled", "It was cancelled.").document)
        return as_json(job.document, 202)

    def retry(self, _: Seen, job_id: str) -> Answer:
        job = self.job(job_id)
        if job.document["status"] not in {"FAILED", "CANCELLED"}:
            raise Refusal(409, "job_not_retryable", "Only what failed or was cancelled is.")
        job.reopen()
        accepted = dict(job.document)
        self.run(job)
        return as_json(accepted, 202)

    def delete_job(self, _: Seen, job_id: str) -> Answer:
        if not self.job(job_id).ended:
            raise Refusal(409, "job_not_terminal", "It has not ended.")
        del self.jobs[job_id]
        return Answer(204)

    def events(self, seen: Seen, job_id: str) -> Answer:
        job, query = self.job(job_id), dict(seen.query)
        if seen.headers.get("accept") != _STREAM:
            return page(job.events, query)
        last = seen.headers.get("last-event-id")
        places = [place for place, each in enumerate(job.events) if each["id"] == last]
        rest = job.events[places[0] + 1 if places else 0 :]
        return _stream([(str(each["type"]), str(each["id"]), each) for each in rest], job.ended)

    def logs(self, seen: Seen, job_id: str) -> Answer:
        log = self.job(job_id).log
        if seen.headers.get("accept") != _STREAM:
            return Answer(200, log.encode(), {"content-type": "text/plain; charset=utf-8"})
        read = int(seen.headers.get("last-event-id") or 0)
        rest = log.encode()[read:].decode()
        text: Document = {"text": rest}
        messages = [("log", str(len(log.encode())), text)] if rest else []
        return _stream(messages, self.job(job_id).ended)


def _bytes(seen: Seen, found: Stored) -> Answer:
    kind = str(found.document["media_type"])
    start = re.fullmatch(r"bytes=(\d+)-", seen.headers.get("range", ""))
    if start is None:
        return Answer(200, found.content, {"content-type": kind})
    return Answer(206, found.content[int(start[1]) :], {"content-type": kind})


def _stream(messages: Sequence[tuple[str, str, Document]], ended: bool) -> Answer:
    """All that there is as server-sent events; 204 once nothing will follow."""
    if not messages and ended:
        return Answer(204)
    frames = [
        f"id: {last_id}\nevent: {kind}\ndata: {as_json(data).body.decode()}\n\n"
        for kind, last_id, data in messages
    ]
    return Answer(200, "".join(frames).encode(), {"content-type": _STREAM})


_ID: Final = r"([^/]+)"
_ROUTES: Final[Sequence[tuple[str, str, Callable[..., Answer]]]] = (
    ("GET", "/health", Rooms.health),
    ("GET", "/ready", Rooms.ready),
    ("GET", "/api/v1/models", Rooms.list_models),
    ("GET", f"/api/v1/models/{_ID}", Rooms.get_model),
    ("POST", "/api/v1/files", Rooms.upload),
    ("GET", f"/api/v1/files/{_ID}", Rooms.get_file),
    ("GET", f"/api/v1/files/{_ID}/content", Rooms.file_bytes),
    ("DELETE", f"/api/v1/files/{_ID}", Rooms.delete_file),
    ("GET", f"/api/v1/artifacts/{_ID}", Rooms.get_artifact),
    ("GET", f"/api/v1/artifacts/{_ID}/content", Rooms.artifact_bytes),
    ("POST", "/api/v1/jobs", Rooms.submit),
    ("POST", "/api/v1/jobs/batch", Rooms.submit_batch),
    ("GET", "/api/v1/jobs", Rooms.list_jobs),
    ("GET", f"/api/v1/jobs/{_ID}", Rooms.get_job),
    ("DELETE", f"/api/v1/jobs/{_ID}", Rooms.delete_job),
    ("POST", f"/api/v1/jobs/{_ID}/cancel", Rooms.cancel),
    ("POST", f"/api/v1/jobs/{_ID}/retry", Rooms.retry),
    ("GET", f"/api/v1/jobs/{_ID}/events", Rooms.events),
    ("GET", f"/api/v1/jobs/{_ID}/logs", Rooms.logs),
)
