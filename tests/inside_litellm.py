"""Run by LiteLLM's own interpreter: its router, configured as Tierwise exports it, asked what each prompt gets.

Arguments: the exported configuration, and the folders of Tierwise and of its dependencies. Prompts come as JSON lines
on standard input; for each the model that answered is printed, or what went wrong.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any


async def main(config: Path) -> None:
    import litellm
    from litellm import Router
    from litellm.proxy.proxy_server import resolve_complexity_router_plugins

    litellm.suppress_debug_info = True
    settings: dict[str, Any] = json.loads(config.read_text())
    for model in settings["model_list"]:
        if chosen := model["litellm_params"].get("complexity_router_config"):
            resolve_complexity_router_plugins(model["model_name"], chosen, None)
    router = Router(model_list=settings["model_list"])
    for line in sys.stdin:
        asked = json.loads(line)
        answer = await router.acompletion(model="auto", **asked)
        print(json.dumps({"model": answer.model, "text": answer.choices[0].message.content}), flush=True)


if __name__ == "__main__":
    sys.path += sys.argv[2:]  # after LiteLLM's own packages, which so stay as LiteLLM wants them
    asyncio.run(main(Path(sys.argv[1])))
