"""How long a clip's way is from the plan to the request: distinct functions and files of AQAudit that it enters.

One video of one second, one statement, one model behind a loopback server. Counted are the functions entered in any
thread (``sys.setprofile``) after the study is read, until the server has the whole request; comprehensions belong to
the function that holds them. "Planning" is reading the folder, looking at the clip and working out the key; "asking"
begins when the plan is first walked: media, prompt, body, wire.

    python benchmarks/walk.py [--list] [--source OTHER_CHECKOUT/src]
"""

from __future__ import annotations

import argparse
import http.server
import inspect
import json
import sys
import tempfile
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import av
import numpy as np

STUDY = """
name = "walk"
[[dataset]]
reader = "folder"
root = "."
[grid]
model = ["judge"]
framing = ["positive"]
frames = [4]
[models.judge]
provider = "openai"
model = "any"
base_url = "http://127.0.0.1:{port}/v1"
"""
DATASET = """
name = "walk"
[[criterion]]
id = "deep"
action = "squat"
positive = "It is deep."
negative = "It is shallow."
"""
REPLY = {
    "id": "1", "object": "chat.completion", "created": 1, "model": "any",
    "choices": [{"index": 0, "finish_reason": "stop",
                 "message": {"role": "assistant", "content": "<answer>True</answer>"}}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}  # fmt: skip


class Walk:
    """The functions of a package entered between two moments, in the order of their first entry."""

    def __init__(self, package: Path) -> None:
        self.package = str(package)
        self.entered: dict[tuple[str, CodeType], None] = {}
        self.phase = "planning"
        self.ended = threading.Event()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Note an entered function; a profile function of :func:`sys.setprofile`."""
        code = frame.f_code
        if event != "call" or self.ended.is_set() or not code.co_filename.startswith(self.package):
            return
        if code.co_qualname.endswith("Plan.planned"):
            self.phase = "asking"
        function = code.co_flags & inspect.CO_OPTIMIZED  # neither a module's body nor a class's
        if function and code.co_name not in {"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"}:
            self.entered[self.phase, code] = None


def serve(walk: Walk) -> http.server.ThreadingHTTPServer:
    """Start a server that answers every question and ends the walk when it has the first one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            walk.ended.set()
            body = json.dumps(REPLY).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def folder(root: Path, port: int) -> Path:
    """Write a folder data set of one clip, and its study."""
    with av.open(str(root / "squat.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for n in range(25):
            picture = np.full((240, 320, 3), (n * 9, 80, 120), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    line = {"id": "c1", "media": "squat.mp4", "action": "squat", "performer": "p1", "criteria": {"deep": True}}
    (root / "clips.jsonl").write_text(json.dumps(line))
    (root / "dataset.toml").write_text(DATASET)
    (root / "study.toml").write_text(STUDY.format(port=port))
    return root / "study.toml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print every function, in the order of its first entry")
    parser.add_argument("--source", help="the src folder of another checkout to walk through")
    arguments = parser.parse_args()
    if arguments.source:
        sys.path.insert(0, arguments.source)
    import aqaudit

    package = Path(aqaudit.__file__).parent
    walk = Walk(package)
    with tempfile.TemporaryDirectory() as temporary:
        server = serve(walk)
        study = aqaudit.Study.read(folder(Path(temporary), server.server_port))
        threading.setprofile(walk)
        sys.setprofile(walk)
        outcome = aqaudit.run(study, out=Path(temporary) / "out")
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type] - typed for functions alone
        if not outcome.complete:
            raise SystemExit(f"the run ended early: {outcome}")
        server.shutdown()
    for phase, code in walk.entered if arguments.list else ():
        print(f"{phase:9} {Path(code.co_filename).relative_to(package)}: {code.co_qualname}")
    print(f"{'':9} functions  files  rooms")
    for phase in ("planning", "asking", "both"):
        found = {code for at, code in walk.entered if phase in {at, "both"}}
        files = {Path(code.co_filename).relative_to(package) for code in found}
        print(f"{phase:9} {len(found):9}  {len(files):5}  {len({file.parts[0] for file in files}):5}")


if __name__ == "__main__":
    main()
