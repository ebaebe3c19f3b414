"""yolo-onnx: things in pictures and films, by a detector in an ONNX file."""

import usina_runner
from usina.apps.vision.choice import chosen
from usina.apps.vision.film.source import open_source
from usina.apps.vision.network.lodge import Lodge, Looking, doubts, threshold
from usina.apps.vision.watch import Watch, Wish
from usina.imaging.opencv import set_threads


def main(job: usina_runner.Job, lodge: Lodge) -> None:
    set_threads(job.cores)
    with job.stage("load", upto=0.05):
        detector = lodge.detector(job.cores)
        source = open_source(job)
        confidence = job.params.get("confidence") or threshold()
        classes = chosen(job.params["classes"], detector.names.all)
        wish = Wish.of(job.params, source, confidence, classes)
    broken_before = detector.broken
    watch = Watch(job, source, Looking(detector, job.params["overlap"]), wish)
    with job.stage("detect", upto=0.97):
        watch.run()
    job.metric("detections", watch.tally.detections)
    job.metric("frames", watch.tally.frames)
    told = watch.report(doubts(detector, detector.broken - broken_before))
    job.report({"confidence": confidence, **told, "detector": detector.told()})


if __name__ == "__main__":
    usina_runner.run(main, load=Lodge)
