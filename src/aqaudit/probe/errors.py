"""The catalogue: exercises, the errors each can show, their units, tolerances and wording.

An error's severity is a physical quantity that :mod:`aqaudit.probe.measure` computes from exact joints. Up to
``tolerance`` the execution meets the criterion; ``accuracy`` is how closely a commanded severity is reproduced. The two
wordings of a criterion are exact complements; the error's statement says what is wrong in a coach's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from aqaudit.core.records import BadInput, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """One way to do an exercise wrong.

    ``id`` names the error and ``criterion`` what it breaks; ``largest`` is the largest severity that can be commanded;
    ``region`` are the parts of the body it shows on; ``temporal`` errors show in no single frame; ``views`` are the
    camera azimuths (degrees, either side) between which it can be seen.
    """

    id: str
    criterion: str
    unit: str
    tolerance: float
    largest: float
    accuracy: float
    statement: str
    positive: str
    negative: str
    region: tuple[str, ...]
    views: tuple[float, float]
    temporal: bool = False
    calibrated: bool = True


@dataclass(frozen=True)
class Exercise:
    """An exercise: the words models see (``action``), its short name, and its errors."""

    name: str
    action: str
    errors: tuple[Error, ...]

    @cached_property
    def by_id(self) -> dict[str, Error]:
        """Its errors by id."""
        return {error.id: error for error in self.errors}

    def error(self, name: str) -> Error:
        """Return an error by id.

        Raises
        ------
        BadInput
            For an error that this exercise does not have.
        """
        if name not in self.by_id:
            raise BadInput(f"exercise '{self.name}' has no error '{name}'{nearest(name, self.by_id)}")
        return self.by_id[name]


_FRONT, _SIDE, _ANY = (0.0, 40.0), (50.0, 110.0), (0.0, 110.0)
_KNEES = ("left_knee", "right_knee")
_WRISTS = ("left_wrist", "right_wrist")
_ARMS = ("left_elbow", "right_elbow", *_WRISTS)
_HIPS = ("left_hip", "right_hip")
_SHOULDERS = ("left_shoulder", "right_shoulder")
_ANKLES = ("left_ankle", "right_ankle")
_TRUNK = (*_SHOULDERS, *_HIPS)


def _error(
    name: str,
    criterion: str,
    numbers: tuple[str, float, float, float],
    words: tuple[str, str, str],
    region: tuple[str, ...],
    views: tuple[float, float],
    **flags: bool,
) -> Error:
    unit, tolerance, largest, accuracy = numbers
    positive, negative, statement = words
    return Error(
        id=name, criterion=criterion, unit=unit, tolerance=tolerance, largest=largest, accuracy=accuracy,
        positive=positive, negative=negative, statement=statement, region=region, views=views, **flags,
    )  # fmt: skip


_ALL = (
    Exercise("squat", "bodyweight squat", (
        _error("knees_inward", "knees_in_line", ("deg", 8, 28, 1),
               ("The knees point the same way as the feet.", "The knees do not point the same way as the feet.",
                "The knees fall inward of the feet."), _KNEES, _FRONT),
        _error("shallow_depth", "full_depth", ("deg", 12, 55, 1),
               ("The thighs come down to about horizontal.", "The thighs do not come down to about horizontal.",
                "The thighs stay clearly above horizontal."),
               (*_HIPS, *_KNEES), _SIDE),
        _error("rounded_back", "back_straight", ("deg", 15, 60, 1),
               ("The back stays straight.", "The back does not stay straight.",
                "The back is rounded."), _TRUNK, _SIDE),
        _error("heel_lift", "heels_down", ("cm", 1.5, 9, 0.2),
               ("Both heels stay on the floor.", "At least one heel does not stay on the floor.",
                "The heels come off the floor."), _ANKLES, _SIDE),
        _error("weight_shift", "weight_centred", ("cm", 3, 14, 0.3),
               ("The hips stay in the middle between the feet.", "The hips do not stay in the middle between the feet.",
                "The hips shift to one side."), _HIPS, _FRONT),
        _error("rushed_descent", "controlled_descent", ("s", 0.35, 0.8, 0.05),
               ("The way down is slow and controlled.", "The way down is not slow and controlled.",
                "The way down is rushed."), (*_HIPS, *_KNEES), _ANY,
               temporal=True),
    )),
    Exercise("press", "overhead press", (
        _error("arms_not_vertical", "arms_vertical", ("deg", 10, 40, 1),
               ("The arms are vertical at the top.", "The arms are not vertical at the top.",
                "The arms slant outwards at the top."), _ARMS, _FRONT),
        _error("elbows_bent", "elbows_locked", ("deg", 20, 90, 1),
               ("The elbows are straight at the top.", "The elbows are not straight at the top.",
                "The elbows stay bent at the top."), _ARMS, _FRONT),
        _error("uneven_arms", "hands_level", ("deg", 6, 30, 1),
               ("Both hands are level at the top.", "The hands are not level at the top.",
                "One hand stays lower than the other at the top."),
               _WRISTS, _FRONT),
        _error("leaning_back", "trunk_upright", ("deg", 8, 30, 1),
               ("The trunk stays upright.", "The trunk does not stay upright.",
                "The trunk leans back."), _TRUNK, _SIDE),
    )),
    Exercise("lunge", "forward lunge", (
        _error("knee_past_toes", "knee_behind_toes", ("cm", 2, 9, 0.5),
               ("The front knee stays behind the toes.", "The front knee does not stay behind the toes.",
                "The front knee moves past the toes."), _KNEES, _SIDE),
        _error("knee_inward", "knee_in_line", ("deg", 8, 36, 1),
               ("The front knee points the same way as the foot.",
                "The front knee does not point the same way as the foot.",
                "The front knee falls inward of the foot."),
               _KNEES, _FRONT),
        _error("leaning_forward", "trunk_upright", ("deg", 15, 50, 1),
               ("The trunk stays upright.", "The trunk does not stay upright.",
                "The trunk leans forward."), _TRUNK, _SIDE),
        _error("shallow_lunge", "full_depth", ("deg", 15, 50, 1),
               ("The front thigh comes down to about horizontal.",
                "The front thigh does not come down to about horizontal.",
                "The front thigh stays clearly above horizontal."), (*_HIPS, *_KNEES), _SIDE),
    )),
    Exercise("pushup", "push-up", (
        _error("hip_sag", "body_straight", ("cm", 4, 15, 0.5),
               ("The hips do not sag below the line from shoulders to feet.",
                "The hips sag below the line from shoulders to feet.",
                "The hips hang too low."), _HIPS, _SIDE),
        _error("hips_high", "hips_in_line", ("cm", 5, 28, 0.5),
               ("The hips do not rise above the line from shoulders to feet.",
                "The hips rise above the line from shoulders to feet.",
                "The hips stick up too high."), _HIPS, _SIDE),
        _error("elbows_flared", "elbows_close", ("deg", 15, 40, 1),
               ("The elbows stay close to the body.", "The elbows do not stay close to the body.",
                "The elbows flare out to the sides."), _ARMS, _FRONT),
        _error("incomplete_range", "full_range", ("%", 20, 50, 2),
               ("The chest comes all the way down.", "The chest does not come all the way down.",
                "The chest stops well short of the floor."),
               (*_SHOULDERS, *_ARMS), _SIDE),
    )),
    Exercise("hinge", "hip hinge", (
        _error("rounded_back", "back_straight", ("deg", 15, 60, 1),
               ("The back stays straight.", "The back does not stay straight.",
                "The back is rounded."), _TRUNK, _SIDE),
        _error("knees_bent", "knees_nearly_straight", ("deg", 20, 70, 1),
               ("The knees bend only a little.", "The knees do not bend only a little.",
                "The knees bend a lot."), _KNEES, _SIDE),
        _error("incomplete_range", "full_range", ("%", 25, 75, 2),
               ("The trunk bends forward to nearly horizontal.",
                "The trunk does not bend forward to nearly horizontal.",
                "The trunk stops bending well short of horizontal."), _TRUNK, _SIDE),
    )),
    Exercise("stance", "single-leg stance", (
        _error("hip_drop", "pelvis_level", ("deg", 5, 20, 0.5),
               ("The pelvis stays level.", "The pelvis does not stay level.",
                "The pelvis drops to one side."), _HIPS, _FRONT),
        _error("leaning_sideways", "trunk_upright", ("deg", 7, 30, 0.5),
               ("The trunk stays upright.", "The trunk does not stay upright.",
                "The trunk leans to one side."), _TRUNK, _FRONT),
        _error("wobble", "steady", ("cm", 5, 30, 0.7),
               ("The body stays steady.", "The body does not stay steady.",
                "The body sways from side to side."), _TRUNK, _FRONT, temporal=True),
    )),
    Exercise("plank", "forearm plank", (
        _error("hip_sag", "body_straight", ("cm", 4, 15, 0.5),
               ("The hips do not sag below the line from shoulders to feet.",
                "The hips sag below the line from shoulders to feet.",
                "The hips hang too low."), _HIPS, _SIDE),
        _error("hips_high", "hips_in_line", ("cm", 5, 28, 0.5),
               ("The hips do not rise above the line from shoulders to feet.",
                "The hips rise above the line from shoulders to feet.",
                "The hips stick up too high."), _HIPS, _SIDE),
        _error("head_drop", "head_in_line", ("deg", 15, 50, 1),
               ("The head stays in line with the back.", "The head does not stay in line with the back.",
                "The head hangs down."), ("nose", "left_ear", "right_ear"),
               _SIDE),
        _error("sinking", "height_kept", ("cm", 3, 16, 0.7),
               ("The hips stay at the same height throughout.", "The hips do not stay at the same height throughout.",
                "The hips sink in the course of the hold."),
               _HIPS, _SIDE, temporal=True),
    )),
    Exercise("jack", "jumping jack", (
        _error("arms_short", "arms_overhead", ("deg", 25, 100, 1.5),
               ("The arms go all the way up.", "The arms do not go all the way up.",
                "The arms stop well short of overhead."), _ARMS, _FRONT),
        _error("feet_narrow", "feet_wide", ("%", 20, 65, 2),
               ("The feet land wide apart.", "The feet do not land wide apart.",
                "The feet land too close together."), _ANKLES, _FRONT),
        _error("uneven_arms", "arms_level", ("deg", 12, 70, 1.5),
               ("Both arms go up equally high.", "The arms do not go up equally high.",
                "One arm stays lower than the other."), _WRISTS, _FRONT),
        _error("out_of_time", "in_time", ("s", 0.1, 0.4, 0.03),
               ("The arms and the legs move in time with each other.",
                "The arms and the legs do not move in time with each other.",
                "The arms lag behind the legs."), (*_ARMS, *_ANKLES), _FRONT, temporal=True, calibrated=False),
    )),
    Exercise("raise", "lateral raise", (
        _error("arms_too_high", "arms_to_shoulder_height", ("deg", 12, 60, 1),
               ("The arms stop at shoulder height.", "The arms do not stop at shoulder height.",
                "The arms go well above shoulder height."), _ARMS, _FRONT),
        _error("uneven_arms", "arms_level", ("deg", 10, 60, 1),
               ("Both arms go up equally high.", "The arms do not go up equally high.",
                "One arm stays lower than the other."), _WRISTS, _FRONT),
        _error("elbows_bent", "elbows_nearly_straight", ("deg", 25, 90, 1.5),
               ("The elbows are nearly straight.", "The elbows are not nearly straight.",
                "The elbows are clearly bent."), _ARMS, _FRONT),
        _error("rushed_lowering", "controlled_lowering", ("s", 0.35, 0.6, 0.05),
               ("The arms come down slowly and under control.", "The arms do not come down slowly and under control.",
                "The arms drop down fast."), _ARMS, _FRONT,
               temporal=True),
    )),
)  # fmt: skip

EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in _ALL}


def exercise(name: str) -> Exercise:
    """Return an exercise by its short name.

    Raises
    ------
    BadInput
        For an exercise that is not in the catalogue.
    """
    if name not in EXERCISES:
        raise BadInput(f"no exercise is called '{name}'{nearest(name, EXERCISES)}")
    return EXERCISES[name]


def chosen(exercises: Sequence[str] = (), errors: Sequence[str] = ()) -> list[tuple[Exercise, Error]]:
    """Return the errors of these names with their exercises, all of them where none are named.

    Raises
    ------
    BadInput
        For an exercise that is not in the catalogue, and an error that none of the exercises has.
    """
    among = [exercise(name) for name in exercises] or list(EXERCISES.values())
    for name in errors:
        if not any(name in one.by_id for one in among):
            if len(among) == 1:
                among[0].error(name)
            known = {error.id for one in among for error in one.errors}
            raise BadInput(f"no exercise has an error '{name}'{nearest(name, known)}")
    return [(one, error) for one in among for error in one.errors if not errors or error.id in errors]


def checked_severity(error: Error, value: float) -> float:
    """Return a severity that can be commanded.

    Raises
    ------
    BadInput
        For one below 0, above the largest, or no number.
    """
    if not 0 <= value <= error.largest:
        raise BadInput(
            f"severity {value:g} {error.unit} of error '{error.id}' is impossible; allowed: 0 to {error.largest:g}"
            f" {error.unit}"
        )
    return float(value)
