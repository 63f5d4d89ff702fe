"""Turn the sample media into three data sets that AQAudit can run on.

    python examples/sample_data.py SHARED_DATA OUT

``SHARED_DATA`` is the folder that holds ``samples``. ``OUT`` gets a folder for each data set, with clips, labels and a
study that uses the simulated judge until it is edited:

- ``skeleton_uiprmd`` (detect): stick-figure clips of real motion capture, 20 correct and 20 incorrect executions of ten
  rehabilitation movements, each from the front and from the side. UI-PRMD, public domain.
- ``rgb_video`` (verify): a squat clip and a beam walk seen by four cameras, with guidelines that are met or not.
- ``rgb_keyframes`` (choose): 16 frames of the squat clip, with four questions each.

They have three, two and one performers: too few to say anything about a model. They show that everything works.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from aqaudit.datasets.proposal import quoted, study_toml

# Each guideline, word for word, with the exact complement that it is contrasted with.
SQUAT = {
    "Stand fully upright between repetitions.": "Stay short of fully upright at least once between repetitions.",
    "Lower the hips to knee height or below at the bottom of the squat.": (
        "Keep the hips above knee height at the bottom of the squat."
    ),
    "Bring the hands together in front of the chest at the bottom.": (
        "Keep the hands apart, or away from the front of the chest, at the bottom."
    ),
    "Keep both feet on the floor.": "Lift at least one foot off the floor.",
    "Hold a weight in the hands during the squat.": "Hold no weight in the hands during the squat.",
    "Raise both arms straight overhead at the bottom.": (
        "Leave at least one arm not raised straight overhead at the bottom."
    ),
    "Look forward rather than at the floor.": "Look at the floor rather than forward.",
    "Finish all three repetitions before the clip ends.": (
        "Leave at least one of the three repetitions unfinished when the clip ends."
    ),
}
BEAM = {
    "Keep the trunk upright throughout.": "Let the trunk lean out of the upright at least once.",
    "Keep both legs under the body throughout.": "Let a leg move out from under the body at least once.",
    "Use the arms to counterbalance.": "Do without the arms to counterbalance.",
    "Return to an upright posture by the end of the clip.": "Be out of an upright posture when the clip ends.",
    "Perform the movement on one leg for the whole clip.": "Use both legs at some time in the clip.",
}


def skeleton_uiprmd(samples: Path, out: Path) -> None:
    source = samples / "skeleton_uiprmd"
    lines, actions = [], set()
    for text in (source / "labels.jsonl").read_text(encoding="utf-8").splitlines():
        execution = json.loads(text)
        actions.add(execution["movement"])
        for camera, clip in sorted(execution["clips"].items()):
            name = f"{execution['id']}_{camera}"
            lines.append(
                {
                    "id": name,
                    "media": copied(source / clip["file"], out / "clips" / f"{name}.mp4"),
                    "action": execution["movement"],
                    "performer": execution["subject"],
                    "video": execution["id"],
                    "errors": {"incorrect_execution": [] if execution["is_correct"] else True},
                    # the correct and the incorrect execution of one repetition, both from two sides
                    "family": f"{execution['movement_id']}-{execution['subject']}-{execution['repetition']}",
                    "tags": {"camera": camera},
                }
            )
    entries = [
        {"error": "incorrect_execution", "action": action, "statement": f"The {action} is performed incorrectly."}
        for action in sorted(actions)
    ]
    write(out, "uiprmd_skeleton", "ODC PDDL 1.0", "Vakanski et al., Data 2018 (UI-PRMD)", entries, lines)


def rgb_video(samples: Path, out: Path) -> None:
    source = samples / "rgb_video"
    lines, entries = [], []
    for number, clip in enumerate(json.loads((source / "labels.json").read_text(encoding="utf-8"))["clips"], 1):
        action = clip["exercise"]
        complements = SQUAT if "squat" in action else BEAM
        met = {f"g{place:02d}": guideline for place, guideline in enumerate(clip["guidelines"], 1)}
        entries += [
            {
                "criterion": name,
                "action": action,
                "positive": guideline["statement"],
                "negative": complements[guideline["statement"]],
            }
            for name, guideline in met.items()
        ]
        for camera, file in enumerate(clip.get("files") or [clip["file"]], 1):
            name = f"v{number:02d}_{camera}"
            lines.append(
                {
                    "id": name,
                    "media": copied(source / file, out / "clips" / f"{name}.mp4"),
                    "action": action,
                    "performer": f"p{number}",
                    "video": f"v{number:02d}",
                    "criteria": {label: guideline["satisfied"] for label, guideline in met.items()},
                    "tags": {"camera": f"{camera}"},
                }
            )
    write(out, "sample_rgb_video", "Apache-2.0 (squat), BSD-3-Clause (beam)", "", entries, lines)


def rgb_keyframes(samples: Path, out: Path) -> None:
    source = samples / "rgb_keyframes"
    labels = json.loads((source / "labels.json").read_text(encoding="utf-8"))
    action = labels["movement"]
    entries = [
        {"choice": name, "action": action, "question": rule["ruleQuestion"], "options": rule["ruleOptions"]}
        for name, rule in labels["rules"].items()
    ]
    lines = [
        {
            "id": frame["id"],
            "media": copied(source / frame["image"], out / "clips" / f"{frame['id']}.jpg"),
            "action": action,
            "performer": "p1",
            "video": "v01",
            "choices": frame["ruleResults"],
        }
        for frame in labels["keyframes"]
    ]
    write(out, "sample_rgb_keyframes", "Apache-2.0", "", entries, lines)


def copied(source: Path, target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return f"{target.parent.name}/{target.name}"


def write(
    out: Path, name: str, licence: str, citation: str, entries: list[dict[str, object]], lines: list[dict[str, object]]
) -> None:
    text = [f"name = {quoted(name)}", f"licence = {quoted(licence)}", f"citation = {quoted(citation)}"]
    text += ["allow_upload = false   # true: clips may be sent to servers outside this machine"]
    for entry in entries:
        (kind, identifier), *rest = entry.items()
        text += ["", f"[[{kind}]]", f"id = {quoted(str(identifier))}"]
        text += [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in rest]
    (out / "dataset.toml").write_text("\n".join(text) + "\n", encoding="utf-8")
    (out / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (out / "study.toml").write_text(study_toml(name, lines), encoding="utf-8")
    print(f"{out}: {len(lines)} clips; next: aqaudit run {out / 'study.toml'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Turn the sample media into three data sets.")
    parser.add_argument("shared_data", type=Path, help="folder that holds samples/")
    parser.add_argument("out", type=Path, help="folder to write to; must not hold these data sets yet")
    arguments = parser.parse_args()
    samples = arguments.shared_data / "samples"
    if not samples.is_dir():
        parser.error(f"{samples} is not there; give the folder that holds samples/")
    for make in (skeleton_uiprmd, rgb_video, rgb_keyframes):
        out = arguments.out / make.__name__
        if out.exists():
            parser.error(f"{out} is there already; move it away")
        out.mkdir(parents=True)
        make(samples, out)


if __name__ == "__main__":
    main()
