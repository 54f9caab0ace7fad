"""What a page of previews begins with: the log of its days prepared, and a line on what it rests on."""

from __future__ import annotations

from dashboard import data, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from dashboard.ui import Place
from router_core.errors import NoSupportError
from router_core.lifecycle.versions import Version
from router_core.projection import Preview


def begun(stamp: Stamp, view: View, live: Version, place: Place) -> Preview | None:
    """Return the prepared log, and say in the page's caption what it holds; None where it holds nothing, with why."""
    try:
        preview = data.preview(stamp, view.since, view.until)
    except NoSupportError as error:
        ui.problem(error)
        return None
    with place.caption:
        ui.about(
            wording.span(view.since, view.until),
            wording.plural(preview.cube.decisions, "request"),
            f"{wording.count(preview.cube.labelled)} judged",
            f"configuration v{live.version}",
            demo=data.window(stamp).is_demo,
        )
    return preview
