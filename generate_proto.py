"""Write the message classes of every `.proto`, or with --check say whether they are current.

A folder named `proto` holds files by their package, such as `proto/usina/v1/jobs.proto`; the
classes and their types lie beside them. Services need no generated code (`usina.grpc_kit.service`).
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import grpc_tools
from grpc_tools import protoc

SOURCE: Final = Path(__file__).parent / "src"
_KNOWN_TYPES: Final = Path(grpc_tools.__file__).parent / "_proto"


def protos(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.proto"))


def generated(root: Path) -> dict[Path, str]:
    """Every generated file of a folder of protos by its path, as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        options = [f"-I{root}", f"-I{_KNOWN_TYPES}", f"--python_out={out}", f"--pyi_out={out}"]
        if protoc.main(["protoc", *options, *protos(root)]):
            sys.exit(1)
        return {
            root / path.relative_to(out): path.read_text()
            for path in out.rglob("*")
            if path.is_file()
        }


def main() -> int:
    roots = sorted(path for path in SOURCE.rglob("proto") if path.is_dir())
    wanted = {path: text for root in roots for path, text in generated(root).items()}
    there = {path: path.read_text() for root in roots for path in root.rglob("*_pb2.py*")}
    there = {path: text for path, text in there.items() if "__pycache__" not in path.parts}
    if "--check" in sys.argv[1:]:
        if wanted != there:
            sys.stderr.write("The messages are not those of the .proto files: run `make proto`.\n")
        return int(wanted != there)
    for path in there.keys() - wanted.keys():
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
