"""Reader ``mtl_aqa``: 1,412 dives of MTL-AQA (Parmar & Morris, CVPR 2019), each with the marks of seven judges.

What is asked: the *execution* score, 0 to 30, which is the sum of the middle three of the seven sorted marks (two
lowest and two highest dropped). The final score is execution times difficulty; a question about it could be answered
from the difficulty alone (rank correlation 0.56 on the test split), so it is kept as a tag only. For 27 dives the
marks and the final score contradict each other: their execution comes from the marks, like that of all others, and
each is listed in ``Dataset.problems``.

The official annotations have no marks. They are in ``final_annotations_dict_with_dive_number.pkl`` of the CoRe
repository, which has the same dives and values beside them.

The performers are not named, so the cluster is the video. Every video is in both train and test: the split is not
video-disjoint. A dive is shown from ``start_frame`` to ``end_frame``, no further: score graphics may follow. (The
loader of the official repository takes the 103 frames that end at ``end_frame`` instead.) Frame numbers start at 1
and hold only for the original downloads at their original frame rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aqaudit.datasets import mtl_aqa_files as files
from aqaudit.datasets.masks import masks_of
from aqaudit.datasets.mtl_aqa_dives import contradictions, dives_of, facts_of, tags_of
from aqaudit.datasets.reader import Count, Reader, Report, check_split, partial_or_refused
from aqaudit.records import BadInput, Dataset, Performance, Scale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from aqaudit.datasets.mtl_aqa_dives import Dive
    from aqaudit.records import Mask

LICENCE = "none stated; citation asked for; for research"
CITATION = (
    "Parmar and Morris, What and How Well You Performed? A Multitask Learning Approach to Action Quality Assessment,"
    " CVPR 2019; judges' marks: Yu et al., Group-aware Contrastive Regression for Action Quality Assessment, ICCV 2021"
)
EXECUTION = Scale(id="execution", min=0, max=30, step=0.5, unit="points")
PUBLISHED = {"dives": 1412, "train": 1059, "test": 353, "videos": 15}


def read(
    root: Path,
    *,
    split: str | None = None,
    fps: float | None = None,
    masks: str | Sequence[Sequence[float]] = "none",
    facts: bool = False,
    partial: bool = False,
) -> Dataset:
    """Read the dives that are in a split file, with their marks and media.

    Parameters
    ----------
    root
        Folder with the annotation files and the media, at any place below it. Media of video 3 are a video file
        ``03.*`` or ``3.*``, or a folder ``03`` or ``3`` of frames ``%06d.jpg`` or ``%08d.jpg``.
    split
        ``train``, ``test`` or both.
    fps
        Rate of the frames in such folders, needed where the video itself is not there to say it.
    masks
        ``none``, ``corners``, or a list of [x0, y0, x1, y1] in shares of the picture: what no model may see.
    facts
        True tells the model the position, direction, somersaults, twists and difficulty of a dive.
    partial
        True reads the dives whose video is here and lists the others.

    Raises
    ------
    BadInput
        Where a file is missing, refused or malformed, where dives have no media and ``partial`` is not set (the message
        names the videos), or where a video is shorter than its dives.
    """
    if fps is not None and not (isinstance(fps, int | float) and 0 < fps < 1000):
        raise BadInput(f"fps of reader 'mtl_aqa' is {fps!r}; allowed: frames per second of the folders of frames")
    hidden = masks_of("mtl_aqa", masks)
    if not isinstance(facts, bool):
        raise BadInput(f"facts of reader 'mtl_aqa' is {facts!r}; allowed: true or false")
    annotations = files.annotations_below(root)
    if not annotations.marks:
        raise BadInput(
            f"{root} has no judges' marks: put {files.MARKS_FILE} below it (repository yuxumin/CoRe, folder MTL-AQA)"
        )
    splits = files.splits_of(annotations)
    check_split(root, split, tuple(splits))
    dives, problems = dives_of(annotations.marks, annotations.official)
    stray = [key for keys in splits.values() for key in keys if key not in dives]
    if stray:
        raise BadInput(f"{root}: the split names dive {stray[0]}, which the annotations lack ({len(stray)} such dives)")
    media = files.media_below(root)
    wanted = sorted({video for name, keys in splits.items() if split in {None, name} for video, _ in keys})
    missing = [f"{video:02d}" for video in wanted if video not in media]
    gone = partial_or_refused(
        partial,
        "mtl_aqa",
        lambda: (
            f"{root} has no media for {len(missing)} of {len(wanted)} videos: {', '.join(missing)}; looked below it for"
            f" files such as {missing[0]}.mp4 and folders {missing[0]}/000001.jpg; the addresses are in"
            " Video_List.xlsx of the official repository (ParitoshParmar/MTL-AQA)"
        ),
        [f"video {video} is not below {root}: its dives are not asked about" for video in missing],
    )
    if len(missing) == len(wanted):
        raise BadInput(f"{root} has media for none of its {len(wanted)} videos; put at least one there")
    wanted = [video for video in wanted if video in media]
    for video in wanted:
        wrong = media[video].problems(_last_frames(dives)[video])
        if wrong:
            raise BadInput(wrong[0])
    rates = {video: media[video].rate(fps) for video in wanted}
    performances = [
        _performance(dives[key], name, media[key[0]].path, rates[key[0]], hidden, told=facts)
        for name, keys in splits.items()
        if split in {None, name}
        for key in keys
        if key[0] in rates
    ]
    return Dataset(
        name="mtl_aqa",
        root=root,
        licence=LICENCE,
        citation=CITATION,
        show_frames=False,
        scales=(EXECUTION,),
        performances=performances,
        problems=(*_disagreements(dives, splits), *problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set; media may be missing."""
    annotations = files.annotations_below(root)
    splits = files.splits_of(annotations)
    dives, problems = dives_of(annotations.marks, annotations.official)
    media = files.media_below(root)
    videos = {video for video, _ in dives}
    notes = [
        "execution = sum of the middle three of the seven sorted marks, 0 to 30",
        "performers are not named: intervals are clustered by video, and every video is in both train and test",
    ]
    if not media:
        notes.append(f"no media below {root}: only annotations were checked; a run needs the videos")
    for video, last in _last_frames(dives).items():
        if video in media:
            problems += media[video].problems(last)
    if not annotations.marks:
        problems.insert(0, f"no judges' marks: {files.MARKS_FILE} is not below {root}; a run needs it")
    counts = (
        Count(what="dives", found=len(dives), published=PUBLISHED["dives"]),
        Count(what="dives in train", found=len(splits["train"]), published=PUBLISHED["train"]),
        Count(what="dives in test", found=len(splits["test"]), published=PUBLISHED["test"]),
        Count(what="dives in both train and test", found=len({*splits["train"]} & {*splits["test"]}), published=0),
        Count(what="videos in the annotations", found=len(videos), published=PUBLISHED["videos"]),
        Count(what="videos with media here", found=len(videos & media.keys())),
        Count(what="dives with seven marks", found=sum(len(d.marks) == 7 for d in dives.values()), published=1412),
        Count(what="dives whose marks contradict the final score", found=len(contradictions(dives.values()))),
    )
    problems = [*_disagreements(dives, splits), *problems]
    return Report(name="mtl_aqa", root=root, counts=counts, problems=tuple(problems), notes=tuple(notes))


def _last_frames(dives: Mapping[files.Key, Dive]) -> dict[int, int]:
    """Return the last frame of each video that a dive needs."""
    last: dict[int, int] = {}
    for (video, _), dive in sorted(dives.items()):
        last[video] = max(last.get(video, 0), dive.end_frame)
    return last


def _performance(
    dive: Dive, split: str, media: Path, fps: float | None, masks: tuple[Mask, ...], *, told: bool
) -> Performance:
    return Performance(
        id=f"v{dive.video:02d}_d{dive.number:03d}",
        media=media,
        action="dive",
        performer=f"video {dive.video:02d}",
        video=f"{dive.video:02d}",
        split=split,
        fps=fps,
        first_frame=dive.start_frame,
        last_frame=dive.end_frame,
        scores={EXECUTION.id: dive.execution},
        context=facts_of(dive) if told else None,
        tags=tags_of(dive),
        masks=masks,
    )


def _disagreements(dives: Mapping[files.Key, Dive], splits: Mapping[str, tuple[files.Key, ...]]) -> list[str]:
    """Return a sentence for each way in which splits and dives differ from what was published."""
    train, test = {*splits["train"]}, {*splits["test"]}
    found = [f"dive {key} is in both train and test" for key in sorted(train & test)]
    found += [f"dive {key} is in a split, but not in the annotations" for key in sorted((train | test) - dives.keys())]
    unused = sorted(dives.keys() - train - test)
    if unused:
        found.append(f"{len(unused)} dives are in no split, the first is {unused[0]}")
    for name, keys in splits.items():
        if len(keys) != len({*keys}):
            found.append(f"split {name} names {len(keys) - len({*keys})} dives twice")
    if len(dives) != PUBLISHED["dives"]:
        found.append(f"{len(dives):,} dives are here, {PUBLISHED['dives']:,} were published")
    return found


READER = Reader(
    name="mtl_aqa",
    what="diving: execution score 0 to 30 from the judges' marks",
    licence=LICENCE,
    kinds=("score", "prefer"),
    read=read,
    check=check,
    performances=PUBLISHED["dives"],
    options=("fps", "masks", "facts", "partial"),
)
