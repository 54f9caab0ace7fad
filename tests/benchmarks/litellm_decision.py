"""Run by LiteLLM's own interpreter: what its complexity router costs a decision.

The argument is a JSON file of prompts. Each line of standard input names what to do with all of them - ``classify``,
its scoring alone, or ``route``, the way from a request to the deployment that is to serve it - and is answered by a
line with the nanoseconds of CPU that each prompt took.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from litellm import Router
from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

TIERS = {"SIMPLE": "small", "MEDIUM": "middle", "COMPLEX": "large", "REASONING": "largest"}


async def main(prompts: list[str]) -> None:
    chosen = {
        "model_name": "auto",
        "litellm_params": {
            "model": "auto_router/complexity_router",
            "complexity_router_default_model": "middle",
            "complexity_router_config": {"tiers": TIERS},
        },
    }
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_key": "any"}} for name in TIERS.values()
    ]
    router = Router(model_list=[chosen, *models])
    scorer: ComplexityRouter = router.complexity_routers["auto"][0].strategy
    print("ready", flush=True)
    for line in sys.stdin:
        spent = []
        for prompt in prompts:
            messages = [{"role": "user", "content": prompt}]
            began = time.thread_time_ns()
            if line.strip() == "classify":
                scorer.classify(prompt)
            else:
                await router.async_get_available_deployment("auto", {}, messages=messages)
            spent.append(time.thread_time_ns() - began)
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
