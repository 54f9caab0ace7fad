"""What a view adds up to: totals, rates and breakdowns of spend lines; a share of nothing is unknown, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from router_core.decision import Status

NANO: Final = 1_000_000_000
MILLION: Final = 1_000_000
WEEKS: Final = 21  # days from which trends are shown as means of seven days


@dataclass(frozen=True)
class Totals:
    """Sums of a view; money in nano-dollars. Shares are None where there is nothing to take a share of.

    ``priced_share`` is of the calls that used tokens: one that was refused costs nothing and needs no price.
    """

    decisions: int
    succeeded: int
    attempts: int
    cost_nusd: int
    priced_share: float | None
    labelled: int
    quality: float | None
    failovers: int
    escalations: int

    @property
    def labelled_share(self) -> float | None:
        """Share of requests whose answer was judged."""
        return _ratio(self.labelled, self.decisions)

    @property
    def failover_share(self) -> float | None:
        """Fail-overs for each request."""
        return _ratio(self.failovers, self.decisions)

    @property
    def cost_per_success_nusd(self) -> float | None:
        """All cost by the requests that succeeded, so failed ones are paid for too."""
        return _ratio(self.cost_nusd, self.succeeded)


def totals(lines: pd.DataFrame) -> Totals:
    """Add up spend lines that were asked for by ``status`` at least."""
    sums = lines.sum(numeric_only=True)
    number = {name: int(sums.get(name, 0)) for name in _SUMMED}
    return Totals(
        decisions=number["decisions"],
        succeeded=int(lines.loc[lines["status"] == OK, "decisions"].sum()),
        attempts=number["attempts"],
        cost_nusd=number["list_cost_nusd"],
        priced_share=_ratio(number["priced_attempts"], number["priced_attempts"] + number["unpriced_attempts"]),
        labelled=number["labelled"],
        quality=_ratio(number["quality_ppm_sum"] / MILLION, number["labelled"]),
        failovers=number["failovers"],
        escalations=number["escalations"],
    )


def daily(lines: pd.DataFrame) -> pd.DataFrame:
    """Return a row a day: ``usd``, ``decisions``, ``quality``, ``failover_share``, ``usd_per_success``, ``priced``."""
    days = lines.groupby("day", sort=True)[list(_SUMMED)].sum()
    good = lines[lines["status"] == OK].groupby("day")["decisions"].sum().reindex(days.index, fill_value=0)
    return pd.DataFrame(
        {
            "usd": days["list_cost_nusd"] / NANO,
            "decisions": days["decisions"],
            "quality": _over(days["quality_ppm_sum"] / MILLION, days["labelled"]),
            "failover_share": _over(days["failovers"], days["decisions"]),
            "usd_per_success": _over(days["list_cost_nusd"] / NANO, good),
            "priced": _over(days["priced_attempts"], days["priced_attempts"] + days["unpriced_attempts"]),
        }
    )


def breakdown(lines: pd.DataFrame, key: str) -> pd.DataFrame:
    """Return one row for each value of ``key``, dearest first, from lines by it, day and status."""
    groups = lines.groupby(key, sort=False)[list(_SUMMED)].sum()
    good = lines[lines["status"] == OK].groupby(key)["decisions"].sum().reindex(groups.index, fill_value=0)
    whole = float(groups["list_cost_nusd"].sum())
    days = lines.pivot_table(index=key, columns="day", values="list_cost_nusd", aggfunc="sum", fill_value=0) / NANO
    frame = pd.DataFrame(
        {
            "usd": groups["list_cost_nusd"] / NANO,
            "share": groups["list_cost_nusd"] / whole if whole else 0.0,
            "daily": pd.Series({name: list(row) for name, row in zip(days.index, days.to_numpy(), strict=True)}),
            "decisions": groups["decisions"],
            "usd_per_success": _over(groups["list_cost_nusd"] / NANO, good),
            "quality": _over(groups["quality_ppm_sum"] / MILLION, groups["labelled"]),
            "labelled": groups["labelled"],
            "quality_sum": groups["quality_ppm_sum"] / MILLION,
            "failover_share": _over(groups["failovers"], groups["decisions"]),
            "escalation_share": _over(groups["escalations"], groups["decisions"]),
            "priced": _over(groups["priced_attempts"], groups["priced_attempts"] + groups["unpriced_attempts"]),
        }
    )
    frame.index.name = key
    return frame.sort_values("usd", ascending=False).reset_index()


def team_shares(spend: pd.DataFrame) -> pd.DataFrame:
    """Return each team's share of every feature's cost; ``spend`` has ``team``, ``feature`` and ``list_cost_nusd``."""
    frame = spend.groupby(["team", "feature"], as_index=False)["list_cost_nusd"].sum()
    total = frame.groupby("feature")["list_cost_nusd"].transform("sum")
    frame = frame[total > 0].assign(share=frame["list_cost_nusd"] / total)
    named = {"team": frame["team"].replace("", "no team"), "feature": frame["feature"].replace("", "no feature")}
    found: pd.DataFrame = frame.assign(**named)[["team", "feature", "share"]]
    return found


@dataclass(frozen=True)
class Baseline:
    """What the requests of some days would have cost otherwise; money in nano-dollars, None where it is unknown.

    ``by_feature`` has ``feature``, ``nusd_per_request`` and, as the ends of its interval, ``low`` and ``high``. ``of``
    says what the baseline is, and ``interval`` what its ends are.
    """

    by_feature: pd.DataFrame
    nusd: int | None
    low_nusd: int | None
    high_nusd: int | None
    of: str = ""
    interval: str = "95%"


@dataclass(frozen=True)
class Saving:
    """What a view cost less than under a baseline, in nano-dollars; the baseline is an estimate with an interval."""

    baseline_nusd: float
    nusd: float
    low_nusd: float | None
    high_nusd: float | None

    @property
    def share(self) -> float | None:
        """Share of the baseline's cost saved."""
        return _ratio(self.nusd, self.baseline_nusd)


def saving(lines: pd.DataFrame, baseline: Baseline, *, whole: bool) -> Saving | None:
    """Set spend lines by ``feature`` against a baseline; None where its cost is unknown.

    Where the lines are the ``whole`` of its days, its own interval holds. A part is taken at what a request of each
    feature costs under the baseline, and the ends of the features' intervals are summed, which is never too narrow.
    """
    cost = float(lines["list_cost_nusd"].sum())
    if whole:
        if baseline.nusd is None:
            return None
        low, high = baseline.low_nusd, baseline.high_nusd
        ends = (None if low is None else low - cost, None if high is None else high - cost)
        return Saving(baseline.nusd, baseline.nusd - cost, *ends)
    requests = lines.groupby("feature")["decisions"].sum()
    known = baseline.by_feature.set_index("feature").reindex(requests.index)
    if known["nusd_per_request"].isna().any():
        return None
    middle, least, most = (
        float((known[end] * requests).sum(skipna=False)) for end in ("nusd_per_request", "low", "high")
    )
    unknown = pd.isna(least) or pd.isna(most)
    return Saving(middle, middle - cost, None if unknown else least - cost, None if unknown else most - cost)


def daily_saving(lines: pd.DataFrame, baseline: Baseline) -> pd.Series[float]:
    """Return dollars saved on each day, from lines by ``day`` and ``feature``."""
    per_request: Mapping[str, float] = dict(
        zip(baseline.by_feature["feature"], baseline.by_feature["nusd_per_request"], strict=True)
    )
    worth = lines["feature"].map(per_request) * lines["decisions"] - lines["list_cost_nusd"]
    return worth.groupby(lines["day"]).sum() / NANO


def smoothed(days: Any) -> Any:
    """Return trailing means of seven days where there are weeks of them, so that weekends do not hide the trend."""
    return days if len(days) < WEEKS else days.rolling(7, min_periods=7).mean().iloc[6:]


def change(now: float | None, before: float | None) -> float | None:
    """Return the relative change; None where there is nothing to compare with."""
    return None if now is None or not before else now / before - 1


OK: Final = Status.OK.name.lower()
_SUMMED: Final = (
    "decisions",
    "attempts",
    "priced_attempts",
    "unpriced_attempts",
    "list_cost_nusd",
    "labelled",
    "quality_ppm_sum",
    "failovers",
    "escalations",
)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _over(part: pd.Series[float], whole: pd.Series[float]) -> pd.Series[float]:
    return part / whole.where(whole > 0)
