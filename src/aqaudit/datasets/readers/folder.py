"""Reader ``folder``: bring your own data as ``dataset.toml``, ``clips.jsonl`` and clips.

Times of a line (``start_s``, ``end_s``, error intervals, masks) are all seconds on the time line of its media file.
The performer, the cluster of every interval, is ``performer``; else ``video``; else the media path where several
lines are parts of one file; else ``id``.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Never

from aqaudit.core.records import BadInput, Dataset, Performance
from aqaudit.datasets.clips import by_action, performance_from
from aqaudit.datasets.declarations import FILE as DECLARATIONS_FILE
from aqaudit.datasets.declarations import Declarations, doubts, read_declarations, read_text
from aqaudit.datasets.layout import files_in, without_doubles, without_garbage_collection
from aqaudit.datasets.reader import Count, Reader, Report, of_split
from aqaudit.media.source import check_checksum

CLIPS_FILE = "clips.jsonl"
POSES = "poses"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderContents:
    """What both files hold: declarations, the performances that can be read, and the number of lines."""

    declarations: Declarations
    performances: list[Performance]
    lines: int


def read(root: Path, *, split: str | None = None) -> Dataset:
    """Read a folder data set; everything is checked before anything is returned.

    Raises
    ------
    BadInput
        At the first thing that is not as the contract of a folder data set says: file, line, key, value, and what is
        allowed.
    """
    contents = _contents(root, wrong=_raise)
    performances = of_split(contents.performances, split, str(root / CLIPS_FILE))
    missing = _missing(performances)
    if missing:
        more = f" ({len(missing):,} media are missing)" if len(missing) > 1 else ""
        raise BadInput(f"{root / CLIPS_FILE}: {missing[0]}{more}")
    declared = contents.declarations
    return Dataset(
        name=declared.name,
        root=root,
        licence=declared.licence,
        citation=declared.citation,
        allow_upload=declared.allow_upload,
        criteria=declared.criteria,
        errors=declared.errors,
        choices=declared.choices,
        scales=declared.scales,
        performances=performances,
    )


def check(root: Path) -> Report:
    """Say what a folder data set holds; a problem in a line does not hide those in other lines."""
    problems: list[str] = []
    contents = _contents(root, wrong=problems.append)
    performances, declarations = contents.performances, contents.declarations
    missing = _missing(performances)
    problems += [*missing, *_doubtful(performances, declarations), *_changed(performances)]
    labels = {
        "verify": sum(len(one.criteria) for one in performances),
        "detect": sum(len(one.errors) for one in performances),
        "choose": sum(len(one.choices) for one in performances),
        "score": sum(len(one.scores) for one in performances),
    }
    media = len({os.fspath(one.media) for one in performances})
    counts = [
        Count(what="lines", found=contents.lines),
        Count(what="performances that can be read", found=len(performances)),
        Count(what="performers", found=len({one.performer for one in performances})),
        Count(what="media named", found=media),
        Count(what="media found", found=media - len(missing)),
        *(Count(what=f"labels for {kind}", found=number) for kind, number in labels.items()),
        *(
            Count(what=f"performances in split {split or 'none'}", found=size)
            for split, size in sorted(Counter(one.split for one in performances).items())
        ),
    ]
    notes = (
        f"criterion {one.id!r} of {one.action!r}: positive and negative may not be exact opposites: {'; '.join(why)}"
        for one in declarations.criteria
        if (why := doubts(one.positive, one.negative))
    )
    return Report(name=declarations.name, root=root, counts=tuple(counts), problems=tuple(problems), notes=tuple(notes))


def _contents(root: Path, *, wrong: Callable[[str], object]) -> FolderContents:
    """Read both files; ``wrong`` is told of every line that cannot be used."""
    declarations = read_declarations(root / DECLARATIONS_FILE)
    path = root / CLIPS_FILE
    lines = [(number, line) for number, line in enumerate(read_text(path).split("\n"), 1) if line.strip()]
    if not lines:
        raise BadInput(f"{path} holds no line; it needs one JSON object for each performance")
    declared = by_action(declarations)
    folder = root.absolute()
    first_line: dict[str, int] = {}
    performances: list[Performance] = []
    unclustered: list[int] = []  # places in performances
    with without_garbage_collection():
        for number, line in lines:
            try:
                table = _object(line)
                performance = performance_from(table, declared, folder)
                before = first_line.setdefault(performance.id, number)
                if before != number:
                    _raise(f"id {performance.id!r} is that of line {before} too; every line needs its own id")
            except BadInput as error:
                wrong(f"{path}, line {number}: {error}")
            else:
                if "performer" not in table and "video" not in table:
                    unclustered.append(len(performances))
                performances.append(performance)
    # parts of one media file that name no performer are one cluster; other lines stay their own
    uses = Counter(performances[place].video for place in unclustered)
    for place in unclustered:
        if uses[performances[place].video] > 1:
            performances[place] = replace(performances[place], performer=performances[place].video)
    poses = {path.name: path for path in files_in(folder / POSES)}
    for place, one in enumerate(performances if poses else ()):
        if pose := poses.get(f"{one.id}.npz") or poses.get(f"{one.id}.json"):
            performances[place] = replace(one, pose=pose)
    return FolderContents(declarations=declarations, performances=performances, lines=len(lines))


def _object(line: str) -> dict[str, Any]:
    try:
        value = _DECODER.decode(line)
        if "\\u" in line:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadInput(f"not JSON at column {error.colno}: {error.msg}") from None
    except UnicodeEncodeError as error:
        raise BadInput(f"holds half a character ({error.object[error.start]!r}); write the text as UTF-8") from None
    except RecursionError:
        raise BadInput("not a line of clips: lists within lists without end") from None
    except BadInput:
        raise
    except ValueError as error:  # a number of thousands of digits
        raise BadInput(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(f"holds {line[:40]!r}; allowed: one JSON object")
    return value


def _no_constant(word: str) -> Never:
    raise BadInput(f"{word} is not a JSON number; leave out what is unknown")


_DECODER = json.JSONDecoder(object_pairs_hook=without_doubles, parse_constant=_no_constant)


def _raise(message: str) -> Never:
    raise BadInput(message)


def _missing(performances: Iterable[Performance]) -> list[str]:
    """Return a sentence for each distinct media file or folder that is not there."""
    missing = []
    for performance in {os.fspath(one.media): one for one in performances}.values():
        media, wants_folder = performance.media, performance.fps is not None
        try:
            is_folder = stat.S_ISDIR(os.stat(media).st_mode)  # noqa: PTH116 - half the time, at 100,000 clips
        except OSError:
            hint = "; write / between folders" if "\\" in str(media) else ""
            missing.append(f"media of id {performance.id!r} is missing: {media}{hint}")
            continue
        if is_folder != wants_folder:
            found, wanted = ("a folder", "a file") if is_folder else ("a file", "a folder of numbered frames")
            missing.append(f"media of id {performance.id!r} is {found}, not {wanted}: {media}")
    return missing


def _changed(performances: Iterable[Performance]) -> list[str]:
    """Return a sentence for each media file or folder that is not what its checksum states."""
    changed = []
    for performance in {(os.fspath(one.media), one.sha256): one for one in performances if one.sha256}.values():
        try:
            check_checksum(performance)
        except BadInput as error:
            changed.append(f"media of id {performance.id!r}: {error}")
        except OSError:
            continue  # what is missing or cannot be read is said elsewhere
    return changed


def _doubtful(performances: Sequence[Performance], declarations: Declarations) -> list[str]:
    """Return a sentence for each thing that can be read but is probably not meant."""
    found = []
    splits: dict[str, set[str]] = {}
    shown: dict[tuple[object, ...], str] = {}
    asked: set[tuple[str, str, str]] = set()
    for one in performances:
        splits.setdefault(one.performer, set()).add(one.split)
        first = shown.setdefault((one.media, one.start_s, one.end_s, one.action), one.id)
        if first != one.id:
            found.append(f"ids {first!r} and {one.id!r} are the same part of the same media")
        for kind, labels in (("criterion", one.criteria), ("error", one.errors), ("choice", one.choices)):
            asked.update((kind, one.action, label) for label in labels)
    found += [
        f"performer {performer!r} is in several splits: {', '.join(sorted(names))}"
        for performer, names in sorted(splits.items())
        if len(names) > 1
    ]
    declared = (
        *(("criterion", one.action, one.id) for one in declarations.criteria),
        *(("error", one.action, one.id) for one in declarations.errors),
        *(("choice", one.action, one.id) for one in declarations.choices),
    )
    found += [
        f"{kind} {name!r} of action {action!r} is declared, but no line has a label for it"
        for kind, action, name in declared
        if (kind, action, name) not in asked
    ]
    return found


READER = Reader(
    name="folder",
    what="your own clips: dataset.toml, clips.jsonl and media in one folder",
    licence="as its dataset.toml says",
    kinds=("verify", "detect", "choose", "score", "prefer"),
    read=read,
    check=check,
)
