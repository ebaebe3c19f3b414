"""What paint.py does with a pipeline that has a ControlNet and an IP-Adapter beside it, and with
one whose numbers break, as one line of JSON:

    python probe_whole.py PAINT.PY FOLDER PHOTO.PNG WORK
"""

import importlib.util
import json
import sys
from pathlib import Path

import torch


class Line:
    def __init__(self):
        self.said = []

    def say(self, **message):
        self.said.append(message)

    def stopped(self, number):
        return False


def main(script, folder, photo, work):
    spec = importlib.util.spec_from_file_location("paint", script)
    paint = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(paint)
    pipe = paint.load(folder)
    line, order = (
        Line(),
        {
            "number": 1,
            "photo": photo,
            "prompt": "portrait",
            "negative_prompt": "",
            "strength": 1.0,
            "rounds": 2,
            "guidance_scale": 7.0,
            "seed": 0,
            "cores": 1,
        },
    )
    seen = {"facts": paint.facts(pipe, folder)}
    asked = []
    real = type(pipe).__call__

    def remember(self, **values):
        asked.append(sorted(name for name in values if name.endswith("image")))
        return real(self, **values)

    type(pipe).__call__ = remember
    pipe.set_ip_adapter_scale(0.0)
    paint.paint(pipe, line, {**order, "painted": f"{work}/without.png"}, True)
    pipe.set_ip_adapter_scale(1.0)
    paint.paint(pipe, line, {**order, "painted": f"{work}/with.png"}, True)
    seen["asked"], seen["steps"] = asked[0], [m["step"] for m in line.said]
    with torch.no_grad():
        next(pipe.vae.decoder.parameters()).fill_(float("nan"))
    try:
        paint.paint(pipe, line, {**order, "painted": f"{work}/nan.png"}, True)
    except paint.Fault as fault:
        seen["nan"] = fault.told
    seen["memory"] = paint.fault_of(torch.OutOfMemoryError("CUDA out of memory"))["code"]
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4])
