"""Reader ``ui_prmd``: ten rehabilitation movements, correct and incorrect, by motion capture (Vakanski et al., 2018).

What is asked: whether the movement is performed correctly (``verify``), and which of two executions is (``prefer``).
The data are the original text files of Vicon (markers) or Kinect (joints), segmented into repetitions; no video of a
person exists. Each execution is drawn as a stick figure, once, into a folder of clips, with its COCO-17 key points.

Executions come in pairs: the same movement, person and number, correct and incorrect. People are divided (the division
is ours), so both are in one split, and both are one family. "Incorrect" was performed on purpose by healthy people and
differs by movement and person. Names of files say what is incorrect: clips have other names.

Movement numbers are this data set's own: m03 is an inline lunge here, a hurdle step in LLM-FMS.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from aqaudit.core.records import BadInput, Criterion, Dataset, Performance
from aqaudit.datasets.layout import files_in, one_of, to_unpack
from aqaudit.datasets.reader import (
    Count,
    Reader,
    Report,
    check_split,
    drawn_split,
    of_split,
    option_of,
    options_of,
    partial_or_refused,
)
from aqaudit.datasets.readers.ui_prmd_bodies import (
    DRAWING,
    KINECT_COLUMNS,
    VICON_COLUMNS,
    RecordedBody,
    kinect_body,
    numbers_of,
    vicon_body,
    write,
)

NAME = "ui_prmd"
LICENCE = "public domain (ODC PDDL 1.0)"
CITATION = (
    "Vakanski, Jun, Paul and Baker, A Data Set of Human Body Movements for Physical Rehabilitation Exercises, Data 2018"
)
MOVEMENTS: Mapping[str, str] = {
    "m01": "deep squat",
    "m02": "hurdle step",
    "m03": "inline lunge",
    "m04": "side lunge",
    "m05": "sit to stand",
    "m06": "standing active straight leg raise",
    "m07": "standing shoulder abduction",
    "m08": "standing shoulder extension",
    "m09": "standing shoulder internal-external rotation",
    "m10": "standing shoulder scaption",
}
#: Folders of correct and of incorrect executions; below them ``Vicon/Positions`` and so on.
CORRECT_FOLDER, INCORRECT_FOLDER = "Segmented Movements", "Incorrect Segmented Movements"
SENSORS = ("vicon", "kinect")
CAMERAS = ("front", "side")
#: Published: ten movements by ten people, ten times, correctly and incorrectly.
PUBLISHED = {"movements": 10, "people": 10, "each": 1000}
CORRECT = "performed_correctly"

_FILE = re.compile(
    r"(?:(?:vicon|kinect)_(?:positions|angles)__)?m(\d\d)_s(\d\d)_e(\d\d)_(positions|angles)(_inc)?\.txt(\.gz)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One repetition: its files of positions, and for Kinect of angles."""

    movement: str
    person: str
    number: str
    correct: bool
    positions: Path
    angles: Path | None

    @property
    def pair(self) -> str:
        """Movement, person and number: what the correct and the incorrect execution share."""
        return f"{self.movement}_{self.person}_{self.number}"

    @property
    def id(self) -> str:
        """A name that says nothing."""
        said = f"{NAME}/{self.pair}_{'correct' if self.correct else 'incorrect'}"
        return "u" + hashlib.sha256(said.encode()).hexdigest()[:8]


def read(
    root: Path,
    *,
    split: str | None = None,
    sensor: str = "vicon",
    camera: str | Sequence[str] = "front",
    cache: str | None = None,
    partial: bool = False,
) -> Dataset:
    """Read the executions; what was not drawn before is drawn.

    Parameters
    ----------
    root
        Folder with ``Segmented Movements/Vicon/Positions/m01_s01_e01_positions.txt`` and so on, plain or gzip; or with
        all files side by side as ``vicon_positions__m01_s01_e01_positions.txt``.
    split
        ``train``, ``test`` or both: ours, by person.
    sensor
        ``vicon`` or ``kinect``.
    camera
        ``front``, ``side``, a list of both, or ``"all"``. An execution is a performance once for each.
    cache
        Folder for drawn clips and key points; the default is beside the root, its name with ``-drawn``.
    partial
        True reads the executions of Kinect that have both files and lists the others.

    Raises
    ------
    BadInput
        Where no file of the sensor is here, a file is malformed, or clips cannot be written.
    """
    check_split(root, split)
    option_of(NAME, "sensor", sensor, SENSORS)
    cameras = options_of(NAME, "camera", camera, CAMERAS)
    if cache is not None and not (isinstance(cache, str) and cache.strip()):
        raise BadInput(f"cache of reader {NAME!r} is {cache!r}; allowed: the path of a folder")
    home = Path(cache).expanduser() if cache else root.absolute().parent / f"{root.absolute().name}-drawn"
    executions, problems, missing = executions_in(root, sensor)
    gone = partial_or_refused(
        partial,
        NAME,
        lambda: (
            f"{root} lacks the angles of {len(missing)} of {len(missing) + len(executions)} executions of Kinect:"
            f" {missing[0]}; put it into the folder Angles beside Positions{to_unpack(root)}; it lies there in every"
            " mirror of the data set"
        ),
        missing,
    )
    wanted = [one for one in executions if split in {None, drawn_split(NAME, one.person)}]
    files = _drawn(wanted, cameras, home / sensor)
    performances = [
        Performance(
            id=f"{one.id}_{view}",
            media=files[one.id, view].with_suffix(".mp4"),
            action=MOVEMENTS[one.movement],
            performer=one.person,
            video=f"{one.person}_{one.movement}",
            split=drawn_split(NAME, one.person),
            criteria={CORRECT: one.correct},
            family=f"{one.pair}_{view}",
            tags={"camera": view, "sensor": sensor, "movement": one.movement},
            pose=files[one.id, view].with_suffix(".npz"),
        )
        for one in wanted
        for view in cameras
    ]
    return Dataset(
        name=NAME,
        root=root,
        licence=LICENCE,
        citation=CITATION,
        allow_upload=True,
        criteria=tuple(
            Criterion(
                id=CORRECT,
                action=name,
                positive="The movement is performed correctly.",
                negative="The movement is performed incorrectly.",
            )
            for name in MOVEMENTS.values()
        ),
        performances=of_split(performances, split, str(root)),
        problems=(*problems, *gone),
    )


def check(root: Path) -> Report:
    """Compare a root with the published data set and read every file; nothing is drawn."""
    counts: list[Count] = []
    problems: list[str] = []
    notes = [
        "no video of a person exists: executions are drawn as stick figures when they are read",
        "incorrect executions were performed on purpose by healthy people and differ by movement and person",
    ]
    for sensor in SENSORS:
        try:
            executions, wrong, missing = executions_in(root, sensor)
        except BadInput as error:
            notes.append(str(error))
            continue
        problems += [*wrong, *missing]
        good = 0
        for one in executions:
            try:
                _body(one)
            except BadInput as error:
                problems.append(str(error))
            else:
                good += 1
        unpaired = [pair for pair, number in Counter(one.pair for one in executions).items() if number == 1]
        problems += [f"{sensor} {pair}: only one of its two executions is here" for pair in sorted(unpaired)]
        counts += [
            Count(
                what=f"{sensor}: movements",
                found=len({o.movement for o in executions}),
                published=PUBLISHED["movements"],
            ),
            Count(what=f"{sensor}: people", found=len({o.person for o in executions}), published=PUBLISHED["people"]),
            Count(what=f"{sensor}: correct", found=sum(o.correct for o in executions), published=PUBLISHED["each"]),
            Count(
                what=f"{sensor}: incorrect", found=sum(not o.correct for o in executions), published=PUBLISHED["each"]
            ),
            Count(what=f"{sensor}: executions that can be read", found=good),
        ]
    if not counts:
        raise BadInput(notes[-1])
    return Report(name=NAME, root=root, counts=tuple(counts), problems=tuple(problems), notes=tuple(notes))


def executions_in(root: Path, sensor: str) -> tuple[list[Execution], list[str], list[str]]:
    """Find the executions of one sensor: them, sentences about odd files, and about those without angles.

    Raises
    ------
    BadInput
        Where there is none.
    """
    found: dict[tuple[str, str, str, bool, str], list[Path]] = {}
    problems: list[str] = []
    for path in _files(root, sensor):
        match = _FILE.fullmatch(path.name)
        if match is None:
            continue
        movement, person, number, what, incorrect = match[1], match[2], match[3], match[4].lower(), match[5]
        if f"m{movement}" not in MOVEMENTS:
            problems.append(f"{path}: there is no movement m{movement}; left out")
            continue
        if not incorrect and path.relative_to(root).parts[0] == INCORRECT_FOLDER:
            problems.append(f"{path}: lies among incorrect ones, its name is of a correct one; kept so")
        key = (f"m{movement}", f"s{person}", f"e{number}", not incorrect, what)
        found.setdefault(key, []).append(path)
    executions: list[Execution] = []
    missing: list[str] = []
    for (movement, person, number, correct, what), paths in sorted(found.items()):
        if what != "positions":
            continue
        angles = found.get((movement, person, number, correct, "angles"))
        if sensor == "kinect" and not angles:
            missing.append(f"{paths[0]} has no file of angles")
            continue
        executions.append(
            Execution(
                movement=movement,
                person=person,
                number=number,
                correct=correct,
                positions=_plain(paths),
                angles=_plain(angles) if angles and sensor == "kinect" else None,
            )
        )
    if not executions and not missing:
        raise BadInput(
            f"{root} holds no segmented movements of UI-PRMD by {sensor}: there are no files such as"
            f" {CORRECT_FOLDER}/{sensor.title()}/Positions/m01_s01_e01_positions.txt, and none such as"
            f" {sensor}_positions__m01_s01_e01_positions.txt{to_unpack(root)}; the data set is in the public domain,"
            " its mirrors include github.com/niemasd/UI-PRMD-Analysis"
        )
    return executions, problems, missing


def _files(root: Path, sensor: str) -> Iterator[Path]:
    """Yield the files of a sensor in the folders of the release, then those that lie in the root itself."""
    for top in (CORRECT_FOLDER, INCORRECT_FOLDER):
        for kind in ("Positions", "Angles"):
            yield from files_in(root / top / sensor.title() / kind)
    yield from (path for path in files_in(root) if path.name.lower().startswith(f"{sensor}_"))


def _plain(paths: Sequence[Path]) -> Path:
    """Return one file of several copies, unpacked ones first."""
    return one_of([path for path in paths if path.suffix != ".gz"] or paths)


def _body(one: Execution) -> RecordedBody:
    if one.angles is None:
        return vicon_body(numbers_of(one.positions, VICON_COLUMNS))
    return kinect_body(numbers_of(one.positions, KINECT_COLUMNS), numbers_of(one.angles, KINECT_COLUMNS))


def _drawn(executions: Sequence[Execution], cameras: Sequence[str], home: Path) -> dict[tuple[str, str], Path]:
    """Draw what is not there yet; return the path, without suffix, of each clip and its key points.

    The name of a clip carries the hash of what it was drawn from, so another file or drawing makes another clip.
    """

    def draw(one: Execution) -> list[tuple[tuple[str, str], Path]]:
        total = hashlib.sha256(f"{DRAWING}/".encode())
        for path in filter(None, (one.positions, one.angles)):
            total.update(path.read_bytes())
        made = [((one.id, view), home / f"{one.id}_{view}_{total.hexdigest()[:8]}") for view in cameras]
        wanting = [item for item in made if not all(item[1].with_suffix(s).is_file() for s in (".mp4", ".npz"))]
        body = _body(one) if wanting else None
        for (_, view), path in wanting:
            if body is not None:
                write(body, view, path.with_suffix(".mp4"), path.with_suffix(".npz"))
        return made

    try:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            return {key: path for made in pool.map(draw, executions) for key, path in made}
    except OSError as error:
        raise BadInput(f"{error.filename}: cannot be read: {error.strerror}") from None


READER = Reader(
    name=NAME,
    what="rehabilitation movements as drawn motion capture, correct and incorrect",
    licence=LICENCE,
    kinds=("verify", "prefer"),
    read=read,
    check=check,
    performances=2 * PUBLISHED["each"],
    options=("sensor", "camera", "cache", "partial"),
)
