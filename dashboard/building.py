"""Building a scenario with plain controls: what is left alone stays as the log has it; the URL keeps what is built."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Final

import streamlit as st

from dashboard import ui
from router_core.config import RoutingConfig
from router_core.errors import TierwiseError
from router_core.projection.scenario import EVERY, Scenario, build_scenario

BUILT, QUERY = "built_scenario", "scenario"  # the scenario as JSON: in this session, and in the URL
UNNAMED: Final = "New scenario"
_STRATEGIES: Final = ("direct", "cascade", "chain")
LEVERS: Final = {
    "prices": "Prices",
    "growth": "Traffic and mix",
    "cache_ttl": "Cache",
    "swaps": "Models",
    "batch": "Batch",
    "settings": "Configuration",
}
_ALL_MODELS: Final = "all models"
_EVERY_FEATURE: Final = "every feature"
_CHANGE, _DOLLARS = "by per cent", "in dollars"
_SHOWN: Final = {  # settings with a control of their own; others are written out, one a line
    "exploration.rate": "exploration",
    "strategy": "strategy",
    "cascade.acceptance_threshold": "threshold",
    "compress.above_tokens": "compress",
}


@dataclass(frozen=True)
class Given:
    """What there is to build with: the live configuration, the log's features and what models may be swapped in."""

    config: RoutingConfig
    features: tuple[str, ...]
    models: tuple[str, ...]


def begin(given: Given) -> None:
    """Take up the scenario of this session, or that of the link; nonsense is put aside with a sentence."""
    state = st.session_state
    if BUILT not in state:
        state[BUILT] = st.query_params.get(QUERY, "")
    if _key("levers") in state:
        return
    try:
        scenario = build_scenario(json.loads(state[BUILT])) if state[BUILT] else None
    except (TierwiseError, ValueError, RecursionError, TypeError):
        st.warning("The link's scenario cannot be read, so none is begun.", icon=":material/link_off:")
        scenario = None
    load(scenario, given)


def load(scenario: Scenario | None, given: Given) -> None:
    """Set every control as a scenario says, or as nothing does."""
    state, config = st.session_state, given.config
    for key in [key for key in state if str(key).startswith(_key(""))]:  # "build."
        del state[key]
    plain = {} if scenario is None else scenario.model_dump(mode="json", exclude_defaults=True)
    state[BUILT] = json.dumps(plain, separators=(",", ":")) if plain else ""
    state[_key("name")], state[_key("note")] = plain.get("name", ""), plain.get("note", "")
    state[_key("levers")] = [name for name in LEVERS if plain.get(name) or (name == "prices" and "prices_at" in plain)]
    _load_prices(plain, config)
    for lever, unit in (("growth", 0.01), ("cache_ttl", 60), ("batch", 0.01)):
        values = plain.get(lever, {})
        state[_key(lever, "for")] = [_EVERY_FEATURE if name == EVERY else name for name in values]
        for name, value in values.items():
            state[_key(lever, _EVERY_FEATURE if name == EVERY else name)] = round(value / unit, 4)
    for tier, swap in plain.get("swaps", {}).items():
        state[_key("swap", tier)], state[_key("verbosity", tier)] = swap["model"], swap.get("verbosity")
    _load_settings(plain.get("settings", ()), config)


def _load_prices(plain: Mapping[str, Any], config: RoutingConfig) -> None:
    state, prices = st.session_state, plain.get("prices", {})
    at = plain.get("prices_at")
    state[_key("prices", "at")] = None if at is None else date.fromisoformat(at)
    changes = {model: one["change"] for model, one in prices.items() if "change" in one}
    if len(changes) == len(prices) == len(config.models) > 1 and len(set(changes.values())) == 1:
        changes = {_ALL_MODELS: next(iter(changes.values()))}
    state[_key("prices", "how")] = _DOLLARS if len(changes) < len(prices) and _ALL_MODELS not in changes else _CHANGE
    state[_key("prices", "for")] = list(prices if state[_key("prices", "how")] == _DOLLARS else changes)
    for model, change in changes.items():
        state[_key("prices", "change", model)] = round(change * 100, 4)
    for model, one in prices.items():
        for end in ("input", "output"):
            state[_key("prices", end, model)] = one.get(end)


def _load_settings(settings: Sequence[str], config: RoutingConfig) -> None:
    state, rest = st.session_state, []
    for setting in settings:
        path, _, value = setting.partition("=")
        tier = path.removeprefix("boundaries.")
        try:
            if path != tier and tier in config.tier_names[1:]:
                state[_key("start", tier)] = int(value)
            elif path in ("exploration.rate", "cascade.acceptance_threshold"):
                state[_key(_SHOWN[path])] = float(value) * (100 if path == "exploration.rate" else 1)
            elif path == "strategy":
                state[_key("strategy")] = value
            elif path == "compress.above_tokens":
                state[_key("compress")] = int(value)
            elif setting != "compress.enabled=true":
                rest.append(setting)
        except ValueError:
            rest.append(setting)
    state[_key("more")] = "\n".join(rest)


def controls(given: Given) -> tuple[Scenario | None, str]:
    """Show the controls; returns the scenario, None where nothing differs, and a sentence where it cannot be one."""
    st.pills(
        "What is different?",
        list(LEVERS),
        selection_mode="multi",
        format_func=lambda name: LEVERS[name],
        key=_key("levers"),
        label_visibility="collapsed",
    )
    levers = st.session_state[_key("levers")]
    if not levers:
        st.caption("Choose what is different; all else stays as the log has it.")
    parts: dict[str, Any] = {}
    for lever in (name for name in LEVERS if name in levers):
        st.markdown(f"**{LEVERS[lever]}**")
        parts |= _ASK[lever](given)
    with st.container(horizontal=True, gap="small"):
        name = st.text_input("Name", key=_key("name"), max_chars=80, placeholder=UNNAMED, width=200)
        note = st.text_input("Note", key=_key("note"), max_chars=200, placeholder="What is it about?")
    differs = {key: value for key, value in parts.items() if value}
    if not differs:
        _keep("")
        return None, ""
    try:
        scenario = build_scenario({"name": name.strip() or UNNAMED, "note": note.strip(), **differs})
    except TierwiseError as error:
        return None, ui.refusal(error)
    _keep(scenario.model_dump_json(exclude_defaults=True))
    return scenario, ""


def _keep(text: str) -> None:
    st.session_state[BUILT] = text
    if text and st.query_params.get(QUERY) != text:
        st.query_params[QUERY] = text
    elif not text:
        st.query_params.pop(QUERY, None)


def _prices(given: Given) -> dict[str, Any]:
    models = list(given.config.models)
    st.session_state.setdefault(_key("prices", "how"), _CHANGE)
    how = st.segmented_control(
        "Prices change", [_CHANGE, _DOLLARS], required=True, key=_key("prices", "how"), label_visibility="collapsed"
    )
    options = models if how == _DOLLARS else [_ALL_MODELS, *models]
    chosen = _multiselect("prices", "Models", options)
    prices: dict[str, dict[str, float]] = {}
    if how == _DOLLARS:
        for model in chosen:
            with st.container(horizontal=True, gap="small"):
                for end, unit in (("input", "in"), ("output", "out")):
                    _number(f"{model}, $ per M {unit}", ("prices", end, model), None, 0.0, 1e6, step=0.05)
            rates = {end: st.session_state[_key("prices", end, model)] for end in ("input", "output")}
            if any(rate is not None for rate in rates.values()):
                prices[model] = {end: rate for end, rate in rates.items() if rate is not None}
    else:
        with st.grid(2, min_column_width=150, gap="small"):
            changes = {
                model: _number(f"{model}, change in %", ("prices", "change", model), -20.0, -100.0, 1e4) or 0.0
                for model in chosen
            }
        each = dict.fromkeys(models, changes[_ALL_MODELS]) if _ALL_MODELS in changes else {}
        each |= {model: change for model, change in changes.items() if model != _ALL_MODELS}
        prices = {model: {"change": change / 100} for model, change in each.items() if change}
    at = st.date_input(
        "Or as they are on a day", key=_key("prices", "at"), help="Prices all calls at the dated prices of that day."
    )
    return {"prices": prices, "prices_at": at.isoformat() if isinstance(at, date) else None}


def _by_feature(given: Given, lever: str, unit: str, usual: float, ends: tuple[float, float]) -> dict[str, float]:
    """Ask for a figure of every chosen feature, and return it by feature as it was written."""
    chosen = _multiselect(lever, "Features", [_EVERY_FEATURE, *given.features])
    with st.grid(2, min_column_width=150, gap="small"):
        values = {name: _number(f"{name or 'no feature'}, {unit}", (lever, name), usual, *ends) for name in chosen}
    return {EVERY if name == _EVERY_FEATURE else name: value for name, value in values.items() if value is not None}


def _growth(given: Given) -> dict[str, Any]:
    found = _by_feature(given, "growth", "change in %", 20.0, (-100.0, 1e5))
    return {"growth": {name: change / 100 for name, change in found.items()}}


def _cache(given: Given) -> dict[str, Any]:
    found = _by_feature(given, "cache_ttl", "kept for minutes", 1440.0, (0.0, 1e6))
    return {"cache_ttl": {name: round(minutes * 60) for name, minutes in found.items()}}


def _batch(given: Given) -> dict[str, Any]:
    found = _by_feature(given, "batch", "% of calls", 100.0, (0.0, 100.0))
    return {"batch": {name: share / 100 for name, share in found.items()}}


def _swaps(given: Given) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    for tier in given.config.tiers:
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            options = ["", *(name for name in given.models if name != tier.models[0])]
            key = _key("swap", tier.name)
            if st.session_state.get(key, "") not in options:
                st.session_state[key] = ""
            model = st.selectbox(
                f"{tier.name} answers with",
                options,
                format_func=partial(_or_today, tier.models[0]),
                key=key,
            )
            if model:
                ratio = _number("Output tokens, ×", ("verbosity", tier.name), None, 0.01, 100.0, 0.1, "unknown")
                found[tier.name] = {"model": model, "verbosity": ratio}
    return {"swaps": found}


def _or_today(today: str, name: str) -> str:
    return name or f"{today}, as today"


def _settings(given: Given) -> dict[str, Any]:
    config, found = given.config, []
    with st.grid(2, min_column_width=150, gap="small"):
        for tier in config.tiers[1:]:
            start = _number(f"{tier.name} starts at", ("start", tier.name), tier.score_min, 0, 100, 1)
            if start is not None and start != tier.score_min:
                found.append(f"boundaries.{tier.name}={start:g}")
        explored = _number("Explored, %", ("exploration",), config.exploration.rate * 100, 0.0, 100.0)
        if explored is not None and abs(explored / 100 - config.exploration.rate) > 1e-9:
            found.append(f"exploration.rate={explored / 100:.6g}")
        usual = config.cascade.acceptance_threshold
        threshold = _number("Accept drafts from", ("threshold",), usual, 0.0, 1.0, 0.05)
        if threshold is not None and threshold != usual:
            found.append(f"cascade.acceptance_threshold={threshold:.6g}")
        compress = _number("Compress above, tokens", ("compress",), None, 1, 10**7, 1000, "off")
        if compress is not None:
            found += ["compress.enabled=true", f"compress.above_tokens={compress:g}"]
        if st.session_state.get(_key("strategy")) not in _STRATEGIES:
            st.session_state[_key("strategy")] = config.strategy
        strategy = st.selectbox("Strategy", _STRATEGIES, key=_key("strategy"))
        if strategy != config.strategy:
            found.append(f"strategy={strategy}")
    more = st.text_area(
        "More settings, one PATH=VALUE a line",
        key=_key("more"),
        height=70,
        placeholder="features.support_chat.pin=MEDIUM",
    )
    return {"settings": [*found, *(line.strip() for line in (more or "").splitlines() if line.strip())]}


def _multiselect(lever: str, label: str, options: Sequence[str]) -> list[str]:
    key = _key(lever, "for")
    # What a link names and nobody knows is left out: there is nothing it could be about.
    st.session_state[key] = [name for name in st.session_state.get(key, []) if name in options]
    return st.multiselect(label, options, key=key, label_visibility="collapsed", placeholder=f"Choose {label.lower()}")


def _number(
    label: str,
    name: tuple[str, ...],
    usual: float | None,
    least: float,
    most: float,
    step: float = 5.0,
    placeholder: str = "as today",
) -> float | None:
    """Ask for a figure; one that a link brings from outside the limits is moved to the nearer of them."""
    key, whole = _key(*name), isinstance(least, int)
    given = st.session_state.setdefault(key, usual)
    if given is not None:
        held = max(least, min(most, given))
        st.session_state[key] = int(held) if whole else float(held)
    kind: Any = int if whole else float
    found: float | None = st.number_input(
        label, kind(least), kind(most), None, kind(step), None if whole else "%.6g", key=key, placeholder=placeholder
    )
    return found


def _key(*name: str) -> str:
    return ".".join(("build", *name))


_ASK: Final[Mapping[str, Callable[[Given], dict[str, Any]]]] = {
    "prices": _prices,
    "growth": _growth,
    "cache_ttl": _cache,
    "swaps": _swaps,
    "batch": _batch,
    "settings": _settings,
}
