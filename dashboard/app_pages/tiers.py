"""Tiers and routes: what each tier and model costs, how good and how fast it is, and where requests really go."""

from __future__ import annotations

from dashboard import charts, data, filters, summary, tables, ui, wording


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Tiers and routes")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, teams=data.names(stamp, "team"), features=data.names(stamp, "feature"))
        ui.share_link()
    lines = data.spend(stamp, view, ("tier", "day", "status"))
    total = summary.totals(lines)
    with place.caption:
        ui.about(
            wording.span(view.since, view.until),
            wording.plural(total.decisions, "request"),
            f"quality judged on {wording.share(total.labelled_share, digits=0)}",
            "by assigned tier",
            demo=window.is_demo,
        )
    if not total.decisions:
        ui.nothing_in_view(view)
        return
    with ui.card("Tiers", "cheapest first; an escalation stays with the tier first assigned", key="tiers", tall=False):
        tables.tiers(
            summary.breakdown(lines, "tier"), data.latency(stamp, view, ("tier",)), live.config.tier_names, view
        )
    with ui.card("Where requests go", "feature, assigned tier, model that answered", key="flow", tall=False):
        routes = data.spend(stamp, view, ("feature", "tier", "model"))
        ui.figure(
            charts.flow(routes[routes["decisions"] > 0], live.config.tier_names),
            key="flow_figure",
            alt="Requests from each feature through its assigned tier to the model that answered",
        )
    with ui.card("Models", "dearest first", key="models", tall=False):
        tables.breakdown(
            summary.breakdown(data.spend(stamp, view, ("model", "day", "status")), "model"), "model", "Model", view
        )


main()
