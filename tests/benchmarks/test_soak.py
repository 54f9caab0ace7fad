"""Ten thousand requests, 64 at once, a fifth of them met by faults: everything adds up and memory is flat."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_gateway_soak import soak

REQUESTS = 10_000


def test_ten_thousand_requests_under_faults(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    counted = soak(tmp_path, REQUESTS)
    print("\n\n" + ", ".join(f"{what} {number:,.0f}" for what, number in counted.items()))
