"""Figures of a report as Vega-Lite: the numbers of the page's pictures, drawn in one style for papers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from aqaudit.records import BadInput
from aqaudit.reporting import palette
from aqaudit.reporting.text import clean

try:
    import altair as alt
    import vl_convert
except ImportError:
    raise BadInput("figures for papers need altair and vl-convert-python: pip install 'aqaudit[figures]'") from None

if TYPE_CHECKING:
    from aqaudit.reporting.drawing import Figure
    from aqaudit.reporting.tables import Cell

_WIDE, _ROW, _TALL = 300, 22, 170
#: Roles of the palette, by what is drawn.
_ROLES = {
    "says correct": "a",
    "says error": "b",
    "no verdict": "none",
    "truth": "truth",
    "answers given": "a",
}


def spec(figure: Figure, mark: str = "") -> dict[str, Any]:
    """Return a figure as a Vega-Lite specification whose first data set is the figure's table, unrounded.

    ``mark`` stands above the picture: what a reader must know of the model, such as that it is simulated.
    """
    rows = [dict(zip(figure.table.columns, map(_plain, row), strict=True)) for row in figure.table.rows]
    chart = {"stacked": _stacked, "bars": _bars, "dots": _dots, "line": _line}[figure.mark](figure)
    about = " ".join(part for part in (f"{figure.title}.", figure.note, figure.alt) if part)
    chart = chart.properties(data=alt.InlineData(values=rows), description=about, width=_WIDE)
    if mark:
        chart = chart.properties(title=mark)
    # Data sets keep their place in the chart, instead of a list under names made from their hashes.
    with alt.data_transformers.enable(consolidate_datasets=False):
        made: dict[str, Any] = chart.configure(**_style()).to_dict()
    return made


def as_svg(made: dict[str, Any]) -> str:
    """Return a specification drawn; nothing is fetched, as no address is allowed."""
    drawn: str = vl_convert.vegalite_to_svg(made, allowed_base_urls=[])
    return drawn + "\n"


def _stacked(figure: Figure) -> Any:
    names = list(figure.series)
    return (
        alt.Chart()
        .transform_fold(names, as_=["claim", "count"])
        .transform_calculate(place=f"indexof({names}, datum.claim)")
        .mark_bar(size=16)
        .encode(
            y=_along(figure.table.columns[0]),
            x=alt.X(field="count", type="quantitative", stack="normalize", title="share of answers", axis=_shares()),
            color=_colour("claim", names),
            order=alt.Order(field="place", type="quantitative"),
        )
        .properties(height=alt.Step(_ROW + 4))
    )


def _bars(figure: Figure) -> Any:
    names = list(figure.series)
    over = figure.table.columns[0]
    folded = alt.Chart().transform_fold(names, as_=["of", "count"])
    count = {"field": "count", "type": "quantitative", "title": "answers"}
    colour = _colour("of", names)
    if over == "score":
        axis = alt.Axis(labelAngle=-40, labelOverlap=False)
        return folded.mark_bar().encode(
            x=alt.X(field=over, type="ordinal", sort=None, title=over, axis=axis),
            xOffset=alt.XOffset(field="of", type="nominal", sort=names),
            y=alt.Y(**count),
            color=colour,
        ).properties(height=_TALL)  # fmt: skip
    return (
        folded.mark_bar()
        .encode(
            y=_along(over), yOffset=alt.YOffset(field="of", type="nominal", sort=names), x=alt.X(**count), color=colour
        )
        .properties(height=alt.Step(11))
    )


def _dots(figure: Figure) -> Any:
    value, low, high = figure.series
    guides = figure.guides
    scale = alt.Scale(domain=list(guides.bounds), nice=False)
    number: dict[str, Any] = {
        "type": "quantitative",
        "title": guides.axis,
        "scale": scale,
        "axis": alt.Axis(tickCount=5),
    }
    base = alt.Chart().encode(y=_along(figure.table.columns[0]))
    known = base.transform_filter(f"isValid(datum['{value}'])")
    missing = base.transform_filter(f"!isValid(datum['{value}'])")
    between = known.transform_filter(f"isValid(datum['{low}']) && isValid(datum['{high}'])")
    layers = [
        between.mark_rule(size=4, color=_role("a"), opacity=0.45).encode(
            x=alt.X(field=low, **number), x2=alt.X2(field=high)
        ),
        known.mark_point(filled=True, size=50, color=_role("a"), opacity=1).encode(x=alt.X(field=value, **number)),
        missing.mark_text(align="left", dx=4, color=_role("soft")).encode(
            x=alt.XDatum(guides.bounds[0], scale=scale), text=alt.value("could not be computed")
        ),
    ]
    if guides.chance is not None:
        layers.insert(0, _dashed().encode(x=alt.XDatum(guides.chance, scale=scale)))
    return alt.layer(*layers).properties(height=alt.Step(_ROW))


def _line(figure: Figure) -> Any:
    over = figure.table.columns[0]
    value, low, high = figure.series
    guides = figure.guides
    domain = {"domain": [0, 1]} if guides.diagonal else {}
    x_scale = alt.Scale(zero=False, nice=False, padding=0 if guides.diagonal else 8, **domain)
    y_scale = alt.Scale(domain=list(guides.bounds), nice=False)
    across: dict[str, Any] = {"type": "quantitative", "title": over, "scale": x_scale}
    upward: dict[str, Any] = {"type": "quantitative", "title": guides.axis, "scale": y_scale}
    base = alt.Chart().encode(x=alt.X(field=_path(over), **across))
    between = base.transform_filter(f"isValid(datum['{low}']) && isValid(datum['{high}'])")
    layers = [
        between.mark_rule(size=2, color=_role("a"), opacity=0.45).encode(
            y=alt.Y(field=low, **upward), y2=alt.Y2(field=high)
        ),
        base.mark_point(filled=True, size=45, color=_role("a"), opacity=1).encode(
            y=alt.Y(field=_path(value), **upward)
        ),
    ]
    straight: list[Any] = []
    if guides.chance is not None:
        straight.append(_dashed().encode(y=alt.YDatum(guides.chance, scale=y_scale)))
    if guides.upright is not None:
        straight.append(_dashed().encode(x=alt.XDatum(guides.upright, scale=x_scale)))
    for points, colour in ((((0.0, 0.0), (1.0, 1.0)) if guides.diagonal else (), "axis"), (guides.fit, "b")):
        if points:
            line = alt.Chart(alt.InlineData(values=[{"x": x, "y": y} for x, y in points]))
            straight.append(
                line.mark_line(color=_role(colour), strokeDash=[5, 3], strokeWidth=1.5, clip=True).encode(
                    x=alt.X(field="x", **across), y=alt.Y(field="y", **upward)
                )
            )
    return alt.layer(*straight, *layers).properties(height=_TALL)


def _dashed() -> Any:
    # One empty row: a rule at a place that is no figure of the table.
    return alt.Chart(alt.InlineData(values=[{}])).mark_rule(color=_role("axis"), strokeDash=[4, 3])


def _along(column: str) -> Any:
    return alt.Y(field=_path(column), type="nominal", sort=None, title=column if column != "of" else None)


def _shares() -> Any:
    return alt.Axis(format=".0%", tickCount=5)


def _colour(field: str, names: list[str]) -> Any:
    scale = alt.Scale(domain=names, range=[_role(_ROLES[name]) for name in names])
    return alt.Color(field=field, type="nominal", scale=scale, legend=alt.Legend(orient="bottom", title=None, offset=8))


def _role(role: str) -> str:
    return palette.palettes()["print"][role]


def _path(column: str) -> str:
    """Return a column's name as a field: dots and brackets in it would lead into a record."""
    return re.sub(r"([\\.\[\]'\"])", r"\\\1", column)


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, float) and not math.isfinite(cell):
        return None  # JSON has no word for it
    return clean(cell, 2000) if isinstance(cell, str) else cell


def _style() -> dict[str, Any]:
    ink, soft, axis = _role("ink"), _role("soft"), _role("axis")
    axes = alt.AxisConfig(
        labelColor=soft, titleColor=ink, domainColor=axis, tickColor=axis, grid=False, labelFontSize=10,
        titleFontSize=11, titleFontWeight="normal", labelLimit=220, titlePadding=8,
        labelFlush=False,
    )  # fmt: skip
    return {
        "font": "Arial, Helvetica, sans-serif",
        "background": _role("page"),
        "axis": axes,
        "legend": alt.LegendConfig(labelFontSize=10, labelColor=ink, symbolType="square"),
        "title": alt.TitleConfig(fontSize=10, fontWeight="normal", color=soft, anchor="start"),
        "view": alt.ViewConfig(stroke=None),
    }
