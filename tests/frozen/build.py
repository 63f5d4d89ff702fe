"""Makes the run folders that are kept here: ``python tests/frozen/build.py FOLDER``.

They are made once, by the code of a release, and then only read: later code must audit them to the same figures, go on
in their journals, and ask nothing that they already hold. Making them anew proves nothing; a later release is frozen
into a folder beside these.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from servers import LoopbackServer, Seen, Send, chat

#: Study -> what else ``aqaudit run`` is told, with the data at ``data``.
RUNS: dict[str, list[str]] = {
    "quickstart": [],
    "dives": ["--root", "mtl_aqa=data"],
    "reasoning": ["--trace-judge", "second"],
    "pairs": ["--limit", "60"],
    "views": [],
    "words": [],
}

#: Runs whose many pictures are not kept: nothing but a page with frames needs them.
WITHOUT_MEDIA = frozenset({"quickstart", "views", "words"})

CRITERIA = {
    "squat": ("knees_out", "The knees stay over the feet.", "The knees move inwards."),
    "lunge": ("back_straight", "The back stays straight.", "The back is rounded."),
}

REASONING = (
    "The left knee bends to about 95 degrees at the lowest point. The heels stay down. Therefore it is correct.",
    "A squat is an exercise in which the hips are lowered. It is probably done well. So the statement is true.",
    "At 0.4 s the right hip is bent to 60 degrees. The trunk leans forward by 40 degrees. Thus there is an error.",
    "The athlete is at the Olympic final, so the form must be excellent. The statement holds.",
)


def main(target: Path) -> None:
    """Write every run folder with its data and its findings, each packed into one file."""
    for name, options in RUNS.items():
        work = target / name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        make = {"dives": dives, "reasoning": reasoning, "pairs": pairs, "views": views, "words": words}.get(name)
        if make is not None:
            make(work)
        with LoopbackServer(answer) as server:
            study = name if make is None else "study.toml"
            if make is not None:
                text = (work / "study.toml").read_text(encoding="utf-8")
                (work / "study.toml").write_text(text.replace("URL", server.base_url), encoding="utf-8")
            command([*"run --out out --quiet".split(), study, *options], work)
        if name == "quickstart":
            # two megabytes of joint angles that no audit of it reads
            (work / "out" / "kinematics.parquet").unlink()
        if name in WITHOUT_MEDIA:
            shutil.rmtree(work / "out" / "media")
        command(["audit", "out", "--json", "audit.json"], work)
        for leaving in (work / "out").glob("answers.sqlite-*"):
            leaving.unlink()
        with tarfile.open(target / f"{name}.tar.xz", "w:xz") as packed:
            for path in sorted(work.rglob("*")):
                packed.add(path, str(path.relative_to(work)), recursive=False, filter=nobody)
        shutil.rmtree(work)


def command(arguments: list[str], folder: Path) -> None:
    """Run ``aqaudit``."""
    done = subprocess.run([sys.executable, "-m", "aqaudit.cli", *arguments], cwd=folder, check=False)
    if done.returncode > 1:
        raise SystemExit(f"aqaudit {' '.join(arguments)} ended with {done.returncode}")


def nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made it."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def answer(seen: Seen) -> Send:
    """Answer as a model with an opinion that follows from what it is sent, and as the judge of its reasoning."""
    text = json.dumps(seen.json["messages"])
    number = sum(text.encode()) % 1009
    if "numbered steps" in text:
        tags = ("observation", "assumption", "conclusion")
        return chat(json.dumps({"steps": [{"step": i, "tag": tags[min(i, 3) - 1]} for i in (1, 2, 3)]}))
    words = ["True", "False"]
    if "number" in text and "from 0 to 10" in text:
        words = [str(n) for n in range(2, 9)]
    if "one of the options" in text or "A) deep" in text or "B) deep" in text:
        words = ["A", "B"]
    said = f"<answer>{words[number % len(words)]}</answer>"
    if number % 29 == 0:
        said = "I cannot tell."
    return chat(message={"content": said, "reasoning_content": REASONING[number % len(REASONING)]})


def clip(path: Path, number: int, frames: int) -> None:
    """Write a small H.264 clip whose colour is its number and changes over time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in range(frames):
            image = np.full((48, 64, 3), (number * 37 % 256, frame * 9 % 256, number * 53 % 256), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def joints(frames: int, number: int) -> np.ndarray:
    """Return COCO-17 key points of somebody who squats, seen from the side: frames x 17 x 3."""
    standing = np.array([
        (30, 8), (31, 7), (30, 7), (32, 8), (30, 8), (33, 14), (31, 14), (34, 20), (32, 20), (35, 26), (33, 26),
        (33, 26), (31, 26), (33, 34), (31, 34), (33, 43), (31, 43),
    ], float)  # fmt: skip
    depth = np.sin(np.linspace(0, np.pi, frames)) * (3 + number % 5)
    moved = np.repeat(standing[None], frames, axis=0)
    moved[:, :13, 1] += depth[:, None]
    moved[:, 11:13, 0] -= depth[:, None] * 0.8
    moved[:, 13:15, 0] += depth[:, None] * 0.6
    return np.concatenate([moved, np.full((frames, 17, 1), 0.9)], axis=2)


def folder(root: Path, performances: int, *, performers: int) -> None:
    """Write a folder data set with every kind of label, of two actions."""
    (root / "poses").mkdir(parents=True)
    rng = np.random.default_rng(5)
    lines = []
    for n in range(performances):
        name, action, frames = f"u{n:02d}", ("squat", "lunge")[n % 2], 10 + n % 5
        clip(root / f"clips/{name}.mp4", n, frames)
        np.savez(root / f"poses/{name}.npz", keypoints=joints(frames, n).astype(np.float32), fps=10.0, width=64,
                 height=48)  # fmt: skip
        wrong = bool(rng.random() < 0.4)
        lines.append(json.dumps({
            "id": name, "media": f"clips/{name}.mp4", "action": action, "performer": f"s{n % performers:02d}",
            "video": f"v{n % performers:02d}", "split": "test" if n >= performances - 4 else "train",
            "criteria": {CRITERIA[action][0]: not wrong}, "errors": {"shallow": [] if n % 3 else [[0.2, 0.6]]},
            "scores": {"execution": round(float(rng.uniform(0, 10)), 1)},
            "choices": {"depth": ("deep", "shallow")[n % 3 == 0]},
            "severity": {"shallow": {"value": float(n % 7) * 4, "unit": "deg", "tolerance": 8}},
            "family": f"f{n // 4}", "tags": {"camera": ("front", "side")[n % 2]},
        }))  # fmt: skip
    (root / "clips.jsonl").write_text("\n".join(lines) + "\n")
    declared = 'name = "frozen"\nlicence = "none"\n'
    for action, (name, positive, negative) in CRITERIA.items():
        declared += (
            f'[[criterion]]\nid = "{name}"\naction = "{action}"\npositive = "{positive}"\nnegative = "{negative}"\n'
            f'[[error]]\nid = "shallow"\naction = "{action}"\nstatement = "The movement is too shallow."\n'
            f'[[choice]]\nid = "depth"\naction = "{action}"\nquestion = "How deep is it?"\n'
            'options = ["deep", "shallow"]\n'
        )
    declared += '[[scale]]\nid = "execution"\nmin = 0\nmax = 10\nstep = 0.5\nunit = "points"\n'
    (root / "dataset.toml").write_text(declared)


def dives(work: Path) -> None:
    """MTL-AQA in the published shape, of made dives, scored by a simulated judge that hides in the middle."""
    root, rng, entries = work / "data", np.random.default_rng(2), {}
    for video in range(1, 13):
        for number in range(1, 5):
            marks = np.clip(np.round((rng.normal(6.5, 1.6) + rng.normal(0, 0.4, 7)) * 2) / 2, 0, 10)
            difficulty = float(rng.choice([2.8, 3.0, 3.2, 3.4]))
            entries[video, number] = {
                "primary_view": 0, "start_frame": 6 * number - 5, "end_frame": 6 * number, "position": 2,
                "difficulty": difficulty, "armstand": 0, "rotation_type": 2, "ss_no": 7, "tw_no": 0,
                "final_score": round(float(sum(sorted(marks)[2:5])) * difficulty, 2), "judge_scores": marks,
                "dive_number": "407C",
            }  # fmt: skip
        clip(root / f"whole_videos/{video:02d}.mp4", video, 24)
    (root / "final_annotations_dict_with_dive_number.pkl").write_bytes(pickle.dumps(entries, protocol=2))
    for split in ("train", "test"):
        keys = [key for key in entries if (key[1] == 1) == (split == "train")]
        (root / f"{split}_split_0.pkl").write_bytes(pickle.dumps(keys, protocol=2))
    (work / "study.toml").write_text(
        'name = "dives"\nseed = 4\n[[dataset]]\nreader = "mtl_aqa"\nsplit = "test"\ntasks = ["score"]\n'
        '[grid]\nmodel = ["judge"]\nperturbation = ["none", "blank"]\nframes = [4]\nrepeats = 2\n'
        '[models.judge]\nprovider = "simulated"\nskill = 0.35\nplanted = { guess_mean = 0.6, guess_sd = 0.05 }\n'
    )


def reasoning(work: Path) -> None:
    """Traces, kinematics, scores, steps asked before the last, tests of traces: from a loopback server."""
    folder(work / "data", 40, performers=10)
    (work / "study.toml").write_text(
        'name = "reasoning"\nseed = 9\n[[dataset]]\nreader = "folder"\nroot = "data"\n'
        'tasks = ["verify", "detect", "score", "choose"]\n'
        '[grid]\nmodel = ["judge"]\nview = ["overlay"]\nframes = [3]\nstrategy = ["base", "two_step"]\n'
        'framing = ["positive", "negative"]\n'
        '[[skip]]\nstrategy = "two_step"\nframing = "negative"\n'
        "[trace_tests]\nearly = [0.0, 0.5]\nanswers = 12\n"
        '[models.judge]\nprovider = "openai"\nmodel = "test-model"\nbase_url = "URL"\nthinking = "on"\n'
        "concurrency = 1\nusd_per_mtok = [0.3, 1.2]\n"
        '[models.second]\nprovider = "openai"\nmodel = "other-model"\nbase_url = "URL"\n'
    )


def pairs(work: Path) -> None:
    """Pairs by a simulated judge that likes the first; broken off, so that a run can go on."""
    folder(work / "data", 48, performers=12)
    (work / "study.toml").write_text(
        'name = "pairs"\nseed = 6\n[[dataset]]\nreader = "folder"\nroot = "data"\ntasks = ["prefer"]\n'
        "pairs = { uses = 4 }\n"
        '[grid]\nmodel = ["judge"]\nframes = [2]\npair_order = ["ab", "ba"]\n'
        '[models.judge]\nprovider = "simulated"\nskill = 0.5\nplanted = { position = 0.3 }\n'
    )


def views(work: Path) -> None:
    """Every view and perturbation, as frames and as a clip, so that these parts of a key are held fast."""
    folder(work / "data", 4, performers=4)
    (work / "study.toml").write_text(
        'name = "views"\nseed = 11\n[[dataset]]\nreader = "folder"\nroot = "data"\ntasks = ["verify"]\n'
        '[grid]\nmodel = ["told", "served"]\n'
        'view = ["rgb", "crop", "overlay", "skeleton", "pose_text"]\n'
        'perturbation = ["none", "blank", "text_only", "frozen", "shuffled", "reversed", "swapped", "region_blur"]\n'
        'fps = ["default", 5]\n'
        '[models.told]\nprovider = "simulated"\nskill = 0.7\nmax_frames = 6\n'
        '[models.served]\nprovider = "openai"\nmodel = "test-model"\nbase_url = "URL"\nmedia_form = "video"\n'
    )


def words(work: Path) -> None:
    """Every kind of question, strategy, framing and set of words, with examples, so that prompts are held fast."""
    folder(work / "data", 24, performers=12)
    (work / "study.toml").write_text(
        'name = "words"\nseed = 12\n[[dataset]]\nreader = "folder"\nroot = "data"\nsplit = "test"\n'
        'tasks = ["verify", "detect", "choose", "score", "prefer"]\n'
        '[grid]\nmodel = ["told"]\nframes = [1]\nshots = [0, 2]\nrepeats = 2\n'
        'strategy = ["base", "grounding", "two_step", "structured", "guideline", "few_shot"]\n'
        'framing = ["positive", "negative", "neutral"]\nanswer_words = ["true_false", "yes_no", "a_b"]\n'
        '[models.told]\nprovider = "simulated"\nplanted = { lean = 0.3, position = 0.2, trace = "assumed" }\n'
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
