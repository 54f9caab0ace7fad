"""What the search for the cheapest safe setting found: as a draft, and in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dashboard import wording
from dashboard.draft import EVERYWHERE, Draft
from router_core.config import RoutingConfig
from router_core.projection.optimize import FeatureSuggestion

_NAMED: Final = 3  # floors told one by one; more are counted


def adopted(draft: Draft, scope: str, found: Sequence[FeatureSuggestion], live: RoutingConfig) -> Draft:
    """Return the draft with what was found for a scope; its boundaries there are given up, all else is kept."""
    if scope == EVERYWHERE:
        draft = Draft({}, draft.values)
        found = [one for one in found if one.changed]
    for one in found:
        draft = draft.with_scope(one.feature, tuple(one.suggested.values()), live)
    return draft


def told(found: Sequence[FeatureSuggestion]) -> str:
    """Say how many features changed, which floors they keep, and where no setting is known to clear its floor."""
    better = [one for one in found if one.changed]
    unsafe = [one.feature or "no feature" for one in found if not one.safe]
    floors = _floors([one for one in found if one.safe], others=bool(unsafe))
    said = []
    if unsafe:
        said.append(f"No setting is known to keep {_and(unsafe)} above its floor, so nothing moves there.")
    if better:
        said.append(
            f"The draft is now the cheapest setting in which {floors}: {wording.plural(len(better), 'feature')} "
            "changed. Look at it before you push."
        )
    elif floors:
        said.append(f"Nothing is cheaper than today's setting where {floors}.")
    return " ".join(said) or "No feature has traffic that boundaries move, so there is nothing to look for."


def _floors(found: Sequence[FeatureSuggestion], *, others: bool) -> str:
    """Write the floors that were kept, those of features that have their own first; ``others`` were named before."""
    own = [one for one in found if one.floor_of == "feature"]
    rest = [one for one in found if one.floor_of != "feature"]
    safely, parts = "is safely above", []
    if len(own) > _NAMED:
        parts.append(f"each of {len(own)} features {safely} its own floor")
    else:
        parts += [f"{one.feature or 'no feature'} {safely} its own floor of {wording.share(one.floor)}" for one in own]
    if rest:
        above = wording.share(rest[0].floor) if rest[0].floor_of == "configuration" else "a point below today's"
        every = "every other feature" if own or others else "every feature"
        parts.append(f"{rest[0].feature or 'no feature' if len(found) == 1 else every} {safely} {above}")
    return _and(parts)


def _and(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
