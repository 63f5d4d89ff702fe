"""Which clips are made: the bundled probe, families, the large recipe for thresholds, twins and conflicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from aqaudit.core.records import BadInput, nearest
from aqaudit.probe.casting import Pool, generator, performer
from aqaudit.probe.errors import EXERCISES, Error, Exercise, checked_severity, chosen
from aqaudit.probe.scene import Spec, drawn_spec, severities

Recipe = Literal["bundled", "families", "standard", "twins", "conflict"]
Twin = Literal["none", "mirrored", "reversed"]
RECIPES: tuple[Recipe, ...] = get_args(Recipe)

#: The bundled probe: its errors by exercise, and how many people are asked about and how many are for examples.
BUNDLED: dict[str, tuple[str, ...]] = {
    "squat": ("knees_inward", "shallow_depth", "rounded_back", "rushed_descent"),
    "press": ("elbows_bent", "uneven_arms", "leaning_back"),
    "lunge": ("knee_past_toes", "knee_inward", "leaning_forward"),
    "pushup": ("hip_sag", "elbows_flared", "incomplete_range"),
    "hinge": ("rounded_back", "knees_bent"),
    "stance": ("hip_drop", "leaning_sideways", "wobble"),
    "plank": ("hips_high", "sinking"),
    "jack": ("arms_short", "out_of_time"),
    "raise": ("arms_too_high", "rushed_lowering"),
}
TEST_PERFORMERS, TRAIN_PERFORMERS = 12, 4
#: The large recipe: levels of severity, trials of each and people, per error.
LEVELS, TRIALS, PEOPLE = 8, 40, 30
#: Severities of a family in tolerances, where none are asked for.
_STEPS = (0.0, 0.5, 1.6, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlan:
    """A clip to make. ``twin`` is how its frames are changed, ``caption`` words that go with it, true or not."""

    spec: Spec
    family: str
    split: str
    twin: Twin = "none"
    caption: str | None = None
    factor: str = "severity"


def plans(
    recipe: str,
    seed: int,
    *,
    exercises: Sequence[str] = (),
    errors: Sequence[str] = (),
    levels: Sequence[float] = (),
    families: int = 1,
) -> Iterator[ClipPlan]:
    """Yield the clips of a recipe.

    Parameters
    ----------
    exercises, errors
        Names to keep (none: all of the recipe).
    levels
        Severities of each family instead of the recipe's own, in the error's unit.
    families
        How many families there are of each error in the recipes ``families``, ``twins`` and ``conflict``.

    Raises
    ------
    BadInput
        For an unknown recipe, exercise or error, and severities that are impossible.
    """
    if recipe not in RECIPES:
        raise BadInput(f"no recipe is called '{recipe}'{nearest(recipe, RECIPES)}")
    kinds = chosen(exercises, errors)
    for _, error in kinds:
        for level in levels:
            checked_severity(error, level)
    if recipe == "bundled":
        if levels:
            raise BadInput("the bundled probe has its own severities; choose them with --recipe families")
        return _bundled(seed, _bundled_kinds(kinds))
    if recipe == "standard":
        return _standard(seed, kinds, levels)
    return _families(recipe, seed, kinds, levels, families)


def family_levels(error: Error) -> tuple[float, ...]:
    """Return the severities of a family: clean, half of the tolerance, and twice above it."""
    return tuple(float(np.round(min(step * error.tolerance, error.largest), 3)) for step in _STEPS)


def standard_levels(error: Error) -> tuple[float, ...]:
    """Return eight severities from clean to the largest, in equal ratios from 0.4 tolerances on."""
    graded = np.geomspace(0.4 * error.tolerance, error.largest, LEVELS - 1)
    return (0.0, *(float(value) for value in np.round(graded, 3)))


def _bundled_kinds(kinds: list[tuple[Exercise, Error]]) -> list[tuple[Exercise, Error]]:
    found = [(one, error) for one, error in kinds if error.id in BUNDLED[one.name]]
    if not found:
        raise BadInput("the bundled probe has no clips of these errors; make some with --recipe families")
    return found


def _scene(seed: int, key: str, one: Exercise, error: Error, pool: Pool, number: int) -> Spec:
    draw = generator("scene", seed, one.name, error.id, key)
    return drawn_spec(one, error, 0.0, performer(pool, number), draw)


def _bundled(seed: int, kinds: list[tuple[Exercise, Error]]) -> Iterator[ClipPlan]:
    every = _bundled_kinds(chosen())
    for place, (one, error) in enumerate(every):
        if (one, error) not in kinds:
            continue
        clean, slight, clear, strong = family_levels(error)
        # two people, each with one clip on either side of the tolerance
        for half, values in enumerate(((clean, clear), (slight, strong))):
            number = (place + half * 5) % TEST_PERFORMERS if half else place % TEST_PERFORMERS
            base = _scene(seed, f"test{half}", one, error, "bundled", number)
            for spec in severities(base, values):
                yield ClipPlan(spec=spec, family=f"{one.name}-{error.id}-{half}", split="test")
    for place, name in enumerate(BUNDLED):
        one = EXERCISES[name]
        error = one.error(BUNDLED[name][0])
        if any(kind is one for kind, _ in kinds):
            base = _scene(seed, "train", one, error, "bundled", TEST_PERFORMERS + place % TRAIN_PERFORMERS)
            for spec in severities(base, (family_levels(error)[0], family_levels(error)[3])):
                yield ClipPlan(spec=spec, family=f"{one.name}-{error.id}-train", split="train")


def _standard(seed: int, kinds: list[tuple[Exercise, Error]], levels: Sequence[float]) -> Iterator[ClipPlan]:
    for one, error in kinds:
        for trial in range(TRIALS):
            base = _scene(seed, f"trial{trial}", one, error, "recipe", trial % PEOPLE)
            for spec in severities(base, levels or standard_levels(error)):
                yield ClipPlan(spec=spec, family=f"{one.name}-{error.id}-{trial}", split="test")


def _families(
    recipe: str, seed: int, kinds: list[tuple[Exercise, Error]], levels: Sequence[float], families: int
) -> Iterator[ClipPlan]:
    for place, (one, error) in enumerate(kinds):
        for number in range(families):
            base = _scene(seed, f"{recipe}{number}", one, error, "recipe", (place + number * 7) % PEOPLE)
            family = f"{one.name}-{error.id}-{number}"
            for spec in severities(base, levels or family_levels(error)):
                plan = ClipPlan(spec=spec, family=family, split="test")
                if recipe == "twins":
                    twins: tuple[Twin, ...] = get_args(Twin)
                    yield from (replace(plan, twin=twin, factor="twin") for twin in twins)
                elif recipe == "conflict":
                    for told in (error.positive, error.negative):
                        yield replace(plan, caption=told, factor="caption")
                else:
                    yield plan
