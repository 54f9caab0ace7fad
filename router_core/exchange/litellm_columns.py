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
from router_core.exchange.calls import Item, Rejected
from router_core.exchange.columns import Bools, Columns, Ints, Named, combined
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
_MOST_TOKENS = 2**31 - 1
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
    texts = _whole(table["metadata"])
    size = len(texts)
    if texts.null_count == size:
        return pa.table([pa.nulls(size, field.type) for field in _METADATA], schema=_METADATA)
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
    started, unzoned = _times(table["startTime"])
    ended, _ = _times(table["endTime"])
    first_token, _ = _times(table["completionStartTime"])
    duration, given = _numbers(table["request_duration_ms"]), _valid(table["request_duration_ms"])
    lasted = np.where(_valid(table["endTime"]), np.maximum(ended - started, 0), 0)
    latency = np.where(given & (duration >= 0), duration, lasted)
    ttft = first_token - started
    streamed = _valid(table["completionStartTime"]) & ~_true(pc.equal(table["completionStartTime"], table["endTime"]))

    spend = _numbers(table["spend"], np.float64)
    sensible = (spend >= 0) & (spend < 1e6)
    nano = np.where(sensible, spend, 0) * 1e9
    usage, more = ("usage_object",), ("additional_usage_values",)
    prompt = (*usage, "prompt_tokens_details")
    tokens_in, tokens_out = _numbers(table["prompt_tokens"]), _numbers(table["completion_tokens"])
    cache_read = _first_of(
        metadata,
        (*prompt, "cached_tokens"),
        (*usage, "cache_read_input_tokens"),
        (*more, "cache_read_input_tokens"),
    )
    cache_write = _first_of(
        metadata,
        (*prompt, "cache_creation_tokens"),
        (*prompt, "cache_write_tokens"),
        (*usage, "cache_creation_input_tokens"),
        (*more, "cache_creation_input_tokens"),
    )
    reasoning = _first_of(metadata, (*usage, "completion_tokens_details", "reasoning_tokens"))

    tags = _named(table["request_tags"])
    tags = Named([tags_of(value) for value in tags.values], tags.numbers)
    owner = combined(own_name, _named(table["custom_llm_provider"]), _named(table["model"]))
    conversation = combined(name, _named(table["session_id"]))
    has_trace = combined(bool, conversation)
    status = combined(
        lambda own, other: str(own or other or "").lower() != "failure",
        _named(table["status"]),
        _named(metadata["status"]),
    )
    fallbacks, retries = _field(metadata, "attempted_fallbacks"), _field(metadata, "attempted_retries")
    joins = (_numbers(fallbacks) > 0) | (_numbers(retries) > 0)
    joins |= _valid(_field(metadata, "routing_decision", "classifier_model"))
    hits = _named(table["cache_hit"])
    columns = Columns(
        source=SOURCE,
        request_id=table["request_id"].to_pylist(),
        started_at_ms=started,
        owner=owner,
        feature=combined(
            lambda own, tag: name(own) or tag.get("feature") or "default",
            _named(_field(metadata, "spend_logs_metadata", "feature")),
            tags,
        ),
        team=combined(
            lambda alias, tag, team, other: name(alias) or tag.get("team") or name(team or other),
            _named(metadata["user_api_key_team_alias"]),
            tags,
            _named(table["team_id"]),
            _named(metadata["user_api_key_team_id"]),
        ),
        conversation=conversation,
        tier=combined(
            lambda own, tag: name(own) or tag.get("tier", ""),
            _named(_field(metadata, "routing_decision", "tier")),
            tags,
        ),
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cache_read_input_tokens=cache_read,
        cache_write_input_tokens=cache_write,
        reasoning_output_tokens=reasoning,
        reported_cost_nusd=np.rint(nano).astype(np.int64),
        reported_known=_valid(table["spend"]),
        latency_ms=latency,
        ttft_ms=ttft,
        ttft_known=streamed & (ttft >= 0),
        processing=combined(
            processing_of, _named(table["call_type"]), _named(_field(metadata, "cost_breakdown", "service_tier"))
        ),
        cached=_each(combined(lambda hit: truth(hit) is True, hits)),
        maybe=~_valid(fallbacks) & _each(has_trace),
    )
    plain = (
        _true(pc.match_substring_regex(table["request_id"], _PLAIN_ID))
        & _valid(table["startTime"])
        & (started >= _FIRST_MS)
        & (started < _LAST_MS)
        & (latency <= _MOST_TOKENS)
        & (np.abs(ttft) <= _MOST_TOKENS)
        & sensible
        & (np.abs(nano - np.floor(nano) - 0.5) > _UNSURE)
        & _each(combined(lambda pair: bool(pair[1]), owner))
        & _each(status)
        & ~(joins & _each(has_trace))
        & ~_valid(metadata["internal_call_origin"])
        & (cache_read + cache_write <= tokens_in)
        & (reasoning <= tokens_out)
    )
    for counted in (tokens_in, tokens_out, cache_read, cache_write, reasoning):
        plain &= (counted >= 0) & (counted <= _MOST_TOKENS)
    source.notes[NO_ZONE] += int((plain & unzoned).sum())
    return columns, plain


def _times(column: Any) -> tuple[Ints, Bools]:
    """Return times in epoch milliseconds, and which of them name no zone; all of a block do or none does."""
    try:
        moments = pc.cast(column, pa.timestamp("us", "UTC"))
        unzoned = np.zeros(len(column), np.bool_)
    except pa.ArrowInvalid:
        moments = pc.cast(column, pa.timestamp("us"))
        unzoned = _valid(column)
    return _numbers(pc.cast(moments, _NUMBER)) // 1000, unzoned


# Arrow's buffers are read as they are: its own way to numpy would import pandas, which takes longer than a small log.


def _numbers(column: Any, kind: Any = np.int64) -> Any:
    """Return numbers of eight bytes as an array, 0 where there is none."""
    whole = _whole(column)
    values = np.frombuffer(whole.buffers()[1], kind)[whole.offset : whole.offset + len(whole)]
    return np.where(_valid(whole), values, 0)


def _valid(column: Any) -> Bools:
    """Return which values are there."""
    whole = _whole(column)
    if whole.null_count == 0:
        return np.ones(len(whole), np.bool_)
    return _bits(whole.buffers()[0], whole)


def _true(column: Any) -> Bools:
    """Return truths as an array, False where there is none."""
    whole = _whole(column)
    return _bits(whole.buffers()[1], whole) & _valid(whole)


def _bits(buffer: Any, whole: Any) -> Bools:
    found = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")
    return found[whole.offset : whole.offset + len(whole)].astype(np.bool_)


def _field(metadata: Any, *path: str) -> Any:
    column = metadata[path[0]]
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


def _first_of(metadata: Any, *paths: tuple[str, ...]) -> Ints:
    """Return the first of some numbers that is there and not 0."""
    found: Ints = _numbers(_field(metadata, *paths[0]))
    for path in paths[1:]:
        found = np.where(found != 0, found, _numbers(_field(metadata, *path)))
    return found


def _named(column: Any) -> Named:
    encoded = pc.dictionary_encode(_whole(column), null_encoding="encode")
    codes = np.frombuffer(encoded.indices.buffers()[1], np.int32)[encoded.offset : encoded.offset + len(encoded)]
    return Named(encoded.dictionary.to_pylist(), codes.astype(np.intp))


def _each(column: Named) -> Bools:
    """Return a column of truths as an array."""
    return np.asarray(column.values, np.bool_)[column.numbers]


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
