"""What the dashboard's server lets in: this machine, its own pages, and nothing that another site sends."""

from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import httpx
import psutil
import pytest
import running
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from router_core.ledger.store import open_ledger


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("doors") / "ledger.db"
    open_ledger(path).close()
    with running.dashboard(path) as started:
        yield started


def test_it_listens_on_this_machine_alone(address: str) -> None:
    links = [link for child in psutil.Process().children() for link in child.net_connections()]
    heard = {
        link.laddr.ip for link in links if link.status == psutil.CONN_LISTEN and address.endswith(str(link.laddr.port))
    }
    assert heard == {"127.0.0.1"}


async def test_another_sites_page_may_not_talk_to_it(address: str) -> None:
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(f"{address}/_stcore/stream", origin="http://elsewhere.example")
    assert refused.value.status == 403


def test_an_upload_without_the_sites_own_token_is_refused(address: str) -> None:
    answer = httpx.put(f"{address}/_stcore/upload_file/session/file", files={"file": b"x"})
    assert answer.status_code == 403


async def test_it_tells_nobody_how_it_is_used(address: str) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(f"{address}/_stcore/stream", origin=address) as socket,
    ):
        ask = BackMsg()
        ask.rerun_script.page_name = ""
        await socket.send_bytes(ask.SerializeToString())
        while (said := ForwardMsg.FromString(await socket.receive_bytes(timeout=30))).WhichOneof(
            "type"
        ) != "new_session":
            pass
    assert said.new_session.config.gather_usage_stats is False


@pytest.mark.parametrize("page", ["tuning", "prices"])
def test_a_page_opened_by_its_address_knows_where_its_server_is(page: str, address: str) -> None:
    answer = httpx.get(f"{address}/{page}?days=7d", headers={"accept": "text/html"})
    assert answer.status_code == 200
    assert "BACKEND_BASE_URL" in answer.text
    assert answer.headers["cache-control"] == "no-cache"
