"""RecordedProvider: answers from a table of recorded outcomes, for demos, back-tests and tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass

from pydantic_core import to_json

from router_core.decision import UsageSource
from router_core.errors import ProviderRefusedError
from router_core.serving.messages import judged_text
from router_core.serving.providers.events import DONE
from router_core.serving.providers.seam import Call, Reply
from router_core.usage import Usage


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one model once made of one prompt; ``quality`` 0..1, None where nobody graded it.

    ``usage`` is None where it was not recorded; ``estimated`` marks counts that are not a provider's.
    """

    usage: Usage | None
    quality: float | None = None
    text: str = ""
    estimated: bool = False


class Outcomes:
    """Recorded outcomes by prompt (its id, or its exact text) and model."""

    def __init__(self, outcomes: Iterable[tuple[str, str, Recorded]]) -> None:
        self._table: dict[tuple[str, str], Recorded] = {}
        for prompt, model, recorded in outcomes:
            self._table[prompt, model] = recorded

    def find(self, prompts: Iterable[str], model: str) -> Recorded | None:
        """Return what that model made of the first of these prompts that is in the table."""
        return next((found for prompt in prompts if (found := self._table.get((prompt, model))) is not None), None)

    def by_model(self) -> Mapping[str, list[Recorded]]:
        """Return all outcomes of each model, models in the order of the table."""
        models: dict[str, list[Recorded]] = {}
        for (_, model), recorded in self._table.items():
            models.setdefault(model, []).append(recorded)
        return models

    def __len__(self) -> int:
        return len(self._table)


class RecordedProvider:
    """Answers what was recorded, at once; a prompt and model that were not recorded are refused.

    The prompt is known by ``Call.prompt_id``, else by the exact text of its user and assistant messages.
    """

    def __init__(self, outcomes: Outcomes, name: str = "recorded") -> None:
        self._outcomes = outcomes
        self._name = name

    async def complete(self, call: Call) -> Reply:
        """Return the recorded answer; raises ``ProviderRefusedError`` where there is none."""
        keys = (call.prompt_id,) if call.prompt_id else (judged_text(call.body.get("messages", ())),)
        found = self._outcomes.find(keys, call.model)
        if found is None:
            prompt = f"the prompt {call.prompt_id!r}" if call.prompt_id else "this prompt"
            raise ProviderRefusedError(
                f"no outcome of {call.model!r} is recorded for {prompt}",
                provider_name=self._name,
                request_model=call.model,
                status=400,
            )
        source = UsageSource.ESTIMATED if found.estimated else UsageSource.PROVIDER
        reply = Reply(usage=found.usage, usage_source=source, quality=found.quality)
        if call.stream:
            reply.chunks, reply.tail, reply.ttft_ms = _pieces(call, found), DONE, 0
        else:
            message = {"role": "assistant", "content": found.text}
            choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
            reply.body = _answer("chat.completion", call.model, choices, found.usage)
        return reply


async def _pieces(call: Call, found: Recorded) -> AsyncGenerator[bytes]:
    delta = {"role": "assistant", "content": found.text}
    choices = [{"index": 0, "delta": delta, "finish_reason": "stop"}]
    yield b"data: " + _answer("chat.completion.chunk", call.model, choices, None) + b"\n\n"
    if call.wants_usage and found.usage is not None:
        yield b"data: " + _answer("chat.completion.chunk", call.model, [], found.usage) + b"\n\n"


def _answer(kind: str, model: str, choices: list[dict[str, object]], usage: Usage | None) -> bytes:
    answer = {"id": "chatcmpl-recorded", "object": kind, "created": 0, "model": model, "choices": choices}
    if usage is not None:
        total = usage.input_tokens + usage.output_tokens
        counts = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}
        answer["usage"] = counts
    return to_json(answer)
