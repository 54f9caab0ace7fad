"""SpendLogs as CSV in blocks: plain rows are read by column, and only what is not plain row by row."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json

from router_core.exchange.ahead import ahead
from router_core.exchange.arrow import field, first_of, named, numbers, times, true, valid, whole
from router_core.exchange.calls import Item, Rejected
from router_core.exchange.columns import Bools, Columns, Ints, Named, combined, truths
from router_core.exchange.fields import NO_ZONE, name, truth
from router_core.exchange.format import converted, of_rows
from router_core.exchange.litellm_rows import SOURCE, SPEND_LOG_COLUMNS, processing_of, spend_log, tags_of
from router_core.exchange.providers import own_name
from router_core.exchange.source import Block, Line, Source
from router_core.exchange.table import delimiter, header, parsed, records

_TEXT, _NUMBER = pa.string(), pa.int64()
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys(SPEND_LOG_COLUMNS, _TEXT),
    **dict.fromkeys(("call_type", "endTime", "completionStartTime", "custom_llm_provider", "metadata"), _TEXT),
    **dict.fromkeys(("cache_hit", "request_tags", "team_id", "session_id", "status"), _TEXT),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "request_duration_ms"), _NUMBER),
    "spend": pa.float64(),
}
_CACHED = pa.struct([(key, _NUMBER) for key in ("cached_tokens", "cache_creation_tokens", "cache_write_tokens")])
_BESIDE = [("cache_read_input_tokens", _NUMBER), ("cache_creation_input_tokens", _NUMBER)]
_METADATA = pa.schema(
    [
        *(
            (key, _TEXT)
            for key in ("user_api_key_team_alias", "user_api_key_team_id", "internal_call_origin", "status")
        ),
        *((key, _NUMBER) for key in ("attempted_fallbacks", "attempted_retries")),
        ("spend_logs_metadata", pa.struct([("feature", _TEXT)])),
        ("routing_decision", pa.struct([("tier", _TEXT), ("classifier_model", _TEXT)])),
        ("cost_breakdown", pa.struct([("service_tier", _TEXT)])),
        (
            "usage_object",
            pa.struct(
                [
                    ("prompt_tokens_details", _CACHED),
                    ("completion_tokens_details", pa.struct([("reasoning_tokens", _NUMBER)])),
                    *_BESIDE,
                ]
            ),
        ),
        ("additional_usage_values", pa.struct(_BESIDE)),
    ]
)
_MOST = 2**31 - 1
_PLAIN_ID = "^[!-~]{1,200}$"
_FIRST_MS, _LAST_MS = 946_684_800_000, 4_102_444_800_000
_UNSURE = 1e-3  # of a nano-dollar: nearer than this to a half, only the decimal as written tells which way to round


def read(source: Source) -> Iterator[Item | Columns]:
    """Yield plain rows as columns, and of each block the other rows first, so that what they open is known."""
    names, mark = header(source.head), delimiter(source.head)
    if mark != "," or source.newline != b"\n" or len(set(names)) < len(names):
        yield from of_rows(spend_log)(source)
        return
    for block, columns, plain in ahead(_blocks(source, names)):
        if isinstance(block, Rejected):
            yield block
        elif columns is None or plain is None:
            yield from converted(parsed(records(_lines(block)), names, mark, source), spend_log, source.notes)
        else:
            if not plain.all():
                lines = block.content.split(b"\n")
                others = [Line(block.number + row, lines[row].rstrip(b"\r")) for row in np.flatnonzero(~plain).tolist()]
                yield from converted(parsed(others, names, mark, source), spend_log, source.notes)
            yield columns.taken(plain)


def _blocks(source: Source, names: tuple[str, ...]) -> Iterator[tuple[Block | Rejected, Columns | None, Bools | None]]:
    """Yield blocks without their header, by column where the block can be read so."""
    below = False
    for block in source.blocks():
        if isinstance(block, Rejected):
            yield block, None, None
            continue
        if not below:
            block, below = _below_header(block), True
        yield block, *_columns(block, names, source)


def _below_header(block: Block) -> Block:
    above, content = 0, block.content
    while content:
        line, _, content = content.partition(b"\n")
        above += 1
        if line.strip() and not line.lower().startswith(b"sep="):
            break
    return Block(block.number + above, content, max(block.lines - above, 0))


def _lines(block: Block) -> Iterator[Line | Rejected]:
    for position, line in enumerate(block.content.split(b"\n")):
        if line.strip():
            yield Line(block.number + position, line.rstrip(b"\r"))


def _columns(block: Block, names: tuple[str, ...], source: Source) -> tuple[Columns, Bools] | tuple[None, None]:
    """Return the rows of a block by column and which of them are plain; nothing where it cannot be read so."""
    if not block.content:
        return None, None
    try:
        table = _table(block.content, names)
        lines = block.lines + (not block.content.endswith(b"\n"))
        if len(table) != lines:  # line breaks within rows, or blank lines
            return None, None
        return _read(table, _metadata(table), source)
    except (pa.ArrowException, UnicodeDecodeError):
        return None, None


def _table(content: bytes, names: tuple[str, ...]) -> Any:
    return pyarrow.csv.read_csv(
        BytesIO(content),
        read_options=pyarrow.csv.ReadOptions(column_names=list(names), block_size=max(len(content), 1)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=_COLUMNS,
            include_columns=list(_COLUMNS),
            include_missing_columns=True,
            null_values=[""],
            strings_can_be_null=True,
        ),
    )


def _metadata(table: Any) -> Any:
    """Return the fields of the metadata column that matter, a row each."""
    texts = whole(table["metadata"])
    size = len(texts)
    if texts.null_count == size:
        return pa.table([pa.nulls(size, one.type) for one in _METADATA], schema=_METADATA)
    starts = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + size + 1]
    joined = texts.buffers()[2].slice(int(starts[0]), int(starts[-1] - starts[0]))
    found = pyarrow.json.read_json(
        pa.BufferReader(joined),
        read_options=pyarrow.json.ReadOptions(block_size=joined.size + 1),
        parse_options=pyarrow.json.ParseOptions(explicit_schema=_METADATA, unexpected_field_behavior="ignore"),
    )
    # The objects were read one after the other: each must be one row, no more and no less.
    marks = np.frombuffer(joined, np.uint8)
    meet = (marks[:-1] == ord("}")) & (marks[1:] == ord("{"))
    if len(found) != size or int(meet.sum()) != size - 1 or not meet[starts[1:-1] - starts[0] - 1].all():
        raise pa.ArrowInvalid("metadata that is not one object a row")
    return found


def _read(table: Any, metadata: Any, source: Source) -> tuple[Columns, Bools]:
    started, unzoned = times(table["startTime"])
    spend = numbers(table["spend"], np.float64)
    sensible = (spend >= 0) & (spend < 1e6)
    nano = np.where(sensible, spend, 0) * 1e9
    conversation = combined(name, named(table["session_id"]))
    has_trace = truths(combined(bool, conversation))
    columns = Columns(
        source=SOURCE,
        request_id=table["request_id"].to_pylist(),
        started_at_ms=started,
        owner=combined(own_name, named(table["custom_llm_provider"]), named(table["model"])),
        conversation=conversation,
        **_owners(table, metadata),
        **_tokens(table, metadata),
        reported_cost_nusd=np.rint(nano).astype(np.int64),
        reported_known=valid(table["spend"]),
        **_durations(table, started),
        processing=combined(
            processing_of, named(table["call_type"]), named(field(metadata, "cost_breakdown", "service_tier"))
        ),
        cached=truths(combined(lambda hit: truth(hit) is True, named(table["cache_hit"]))),
        maybe=~valid(metadata["attempted_fallbacks"]) & has_trace,
    )
    plain = (
        _in_bounds(columns)
        & true(pc.match_substring_regex(table["request_id"], _PLAIN_ID))
        & valid(table["startTime"])
        & sensible
        & (np.abs(nano - np.floor(nano) - 0.5) > _UNSURE)
        & truths(combined(lambda pair: bool(pair[1]), columns.owner))
        & truths(
            combined(
                lambda own, other: str(own or other or "").lower() != "failure",
                named(table["status"]),
                named(metadata["status"]),
            )
        )
        & ~(_joins(metadata) & has_trace)
        & ~valid(metadata["internal_call_origin"])
    )
    source.notes[NO_ZONE] += int((plain & unzoned).sum())
    return columns, plain


def _owners(table: Any, metadata: Any) -> dict[str, Any]:
    """Return the feature, the team and the tier, which a tag may name where nothing else does."""
    written = named(table["request_tags"])
    tags = Named([tags_of(value) for value in written.values], written.numbers)
    return {
        "feature": combined(
            lambda own, tag: name(own) or tag.get("feature") or "default",
            named(field(metadata, "spend_logs_metadata", "feature")),
            tags,
        ),
        "team": combined(
            lambda alias, tag, team, other: name(alias) or tag.get("team") or name(team or other),
            named(metadata["user_api_key_team_alias"]),
            tags,
            named(table["team_id"]),
            named(metadata["user_api_key_team_id"]),
        ),
        "tier": combined(
            lambda own, tag: name(own) or tag.get("tier", ""),
            named(field(metadata, "routing_decision", "tier")),
            tags,
        ),
    }


def _tokens(table: Any, metadata: Any) -> dict[str, Any]:
    usage, more = ("usage_object",), ("additional_usage_values",)
    prompt = (*usage, "prompt_tokens_details")
    return {
        "input_tokens": numbers(table["prompt_tokens"]),
        "output_tokens": numbers(table["completion_tokens"]),
        "cache_read_input_tokens": first_of(
            metadata,
            (*prompt, "cached_tokens"),
            (*usage, "cache_read_input_tokens"),
            (*more, "cache_read_input_tokens"),
        ),
        "cache_write_input_tokens": first_of(
            metadata,
            (*prompt, "cache_creation_tokens"),
            (*prompt, "cache_write_tokens"),
            (*usage, "cache_creation_input_tokens"),
            (*more, "cache_creation_input_tokens"),
        ),
        "reasoning_output_tokens": first_of(metadata, (*usage, "completion_tokens_details", "reasoning_tokens")),
    }


def _durations(table: Any, started: Ints) -> dict[str, Any]:
    """Return the latency, as written or else up to the end, and when the first token came, if it came before that."""
    (ended, _), (first_token, _) = times(table["endTime"]), times(table["completionStartTime"])
    duration, given = numbers(table["request_duration_ms"]), valid(table["request_duration_ms"])
    lasted = np.where(valid(table["endTime"]), np.maximum(ended - started, 0), 0)
    ttft = first_token - started
    streamed = valid(table["completionStartTime"]) & ~true(pc.equal(table["completionStartTime"], table["endTime"]))
    return {
        "latency_ms": np.where(given & (duration >= 0), duration, lasted),
        "ttft_ms": ttft,
        "ttft_known": streamed & (ttft >= 0),
    }


def _joins(metadata: Any) -> Bools:
    """Return which calls followed or served others of their trace."""
    fallbacks, retries = numbers(metadata["attempted_fallbacks"]), numbers(metadata["attempted_retries"])
    found = valid(field(metadata, "routing_decision", "classifier_model"))
    found |= (fallbacks > 0) | (retries > 0)
    return found


def _in_bounds(columns: Columns) -> Bools:
    """Return where times and tokens are numbers that can be."""
    cached = columns.cache_read_input_tokens + columns.cache_write_input_tokens
    found: Bools = (
        (columns.started_at_ms >= _FIRST_MS)
        & (columns.started_at_ms < _LAST_MS)
        & (columns.latency_ms <= _MOST)
        & (np.abs(columns.ttft_ms) <= _MOST)
        & (cached <= columns.input_tokens)
        & (columns.reasoning_output_tokens <= columns.output_tokens)
    )
    for counted in (
        columns.input_tokens,
        columns.output_tokens,
        columns.cache_read_input_tokens,
        columns.cache_write_input_tokens,
        columns.reasoning_output_tokens,
    ):
        found &= (counted >= 0) & (counted <= _MOST)
    return found
