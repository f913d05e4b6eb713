"""An empty figure in the report's style: transparent, horizontal legend, room only where labels need it."""

import plotly.graph_objects as go

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK = "#6b7280"
GRID = "rgba(128, 134, 145, 0.22)"


def new_figure(title: str, *, height: int) -> go.Figure:
    """A figure without traces, `height` pixels high plus room for its title."""
    axis = {"gridcolor": GRID, "zerolinecolor": INK, "automargin": True, "ticks": "", "showline": False}
    axis |= {"ticklabelstandoff": 5}
    heading = {"text": escape_markup(title), "x": 0, "xref": "paper", "font": {"size": 15}}
    figure = go.Figure(
        layout={
            **({"title": heading} if title else {}),
            "height": height + (34 if title else 0),
            "margin": {"l": 8, "r": 12, "t": 44 if title else 10, "b": 8},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "font": {"family": FONT, "size": 12, "color": INK},
            "hoverlabel": {"font": {"family": FONT, "size": 12}, "align": "left"},
            "legend": {"orientation": "h", "x": 0, "y": -0.22, "yanchor": "top", "traceorder": "normal"},
            "dragmode": False,
            "xaxis": axis | {"title": {"standoff": 8}},
            "yaxis": axis | {"title": {"standoff": 14}},
        }
    )
    # Only afterwards: a figure that is made without a template gets plotly's own.
    return figure.update_layout(template=None)


def escape_markup(text: str) -> str:
    """`text` so that plotly draws it as it is, not as markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
