"""Who may use the gateway: keys looked up in memory, with the team and the features each stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from router_core.decision import Request
from router_core.errors import FeatureNotAllowedError, UnknownKeyError
from router_core.ledger.gateway_keys import GatewayKey, any_key, key_hash, keys_in_use
from router_core.ledger.store import Ledger

_DEFAULT_FEATURE = Request("").feature


class Access:
    """The keys in use; while no key was ever made, everybody may come in (and the gateway listens locally only)."""

    def __init__(self) -> None:
        self._keys: Mapping[bytes, GatewayKey] = {}
        self.asks_for_keys = False

    def refresh(self, ledger: Ledger) -> None:
        """Read the keys again; raises ``LedgerError`` where that fails, and the keys known so far stay."""
        self._keys, self.asks_for_keys = keys_in_use(ledger), any_key(ledger)

    def check(self, authorization: str | None) -> GatewayKey | None:
        """Return the key of an Authorization header, None where none is asked for; raises ``UnknownKeyError``."""
        if not self.asks_for_keys:
            return None
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise UnknownKeyError("no gateway key was given; send it as 'Authorization: Bearer tw-...'")
        found = self._keys.get(key_hash(key.strip()))
        if found is None:
            raise UnknownKeyError("this gateway key is unknown or was revoked; ask for one ('tierwise keys add')")
        return found


def with_key(request: Request, key: GatewayKey) -> Request:
    """Return the request as its key allows it: of the key's team, and of one of its features.

    A caller who names no feature gets the key's first. Raises ``FeatureNotAllowedError``.
    """
    feature = request.feature
    if key.features and feature not in key.features:
        if feature != _DEFAULT_FEATURE:
            raise FeatureNotAllowedError(feature, key.features)
        feature = key.features[0]
    return replace(request, team=key.team or request.team, feature=feature)
