"""Keeps a foreign model loaded: runs in the model's own Python (3.8 or newer), without Usina.

``python server.py ADAPTER ANSWERS ORDERS SCRIPT_FOLDER OPTIONS``: imports the file ``ADAPTER``,
which may import what lies in the script's folder and in ``kept``, loads the model by its
``load(options)``, and then makes by its ``make(model, order, tell)`` what each line of the
descriptor ``ORDERS`` asks for. Answers are lines of JSON on the descriptor ``ANSWERS``, so that a
library that prints can not break them: ``{"ready": true}``, ``{"stage": name}``,
``{"done": {...}}`` or ``{"failed": words}``, after which it leaves: what has failed once is not
trusted again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    adapter_path, answers, orders, script_folder, told = sys.argv[1:]
    sys.path[:1] = [script_folder, str(Path(__file__).with_name("kept"))]
    answering = os.fdopen(int(answers), "w", encoding="utf-8")
    ordered = os.fdopen(int(orders), encoding="utf-8")

    def answer(message: dict[str, Any]) -> None:
        answering.write(json.dumps(message) + "\n")
        answering.flush()

    def told_stage(name: str) -> None:
        answer({"stage": name})

    try:
        adapter = _adapter(adapter_path)
        model = adapter.load(json.loads(told))
        answer({"ready": True})
        for line in ordered:
            answer({"done": adapter.make(model, json.loads(line), told_stage)})
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        answer({"failed": f"{type(error).__name__}: {error}"})
        sys.exit(1)


def _adapter(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("adapter", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
