"""Readers of the dashboard without a browser: Streamlit's own messages over a WebSocket, to a real server."""

from __future__ import annotations

import time

import aiohttp
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.Slider_pb2 import Slider


class Session:
    """One reader of one page, who moves one slider."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, slider: str) -> None:
        self._socket = socket
        self._named = slider
        self._slider: Slider | None = None
        self._fragment = ""
        self._page = ""

    async def open(self, page: str) -> None:
        """Ask for a page and wait until its script has finished; it has to show the slider."""
        ask = BackMsg()
        ask.rerun_script.page_name = page
        await self._socket.send_bytes(ask.SerializeToString())
        await self._finished()
        assert self._slider is not None, f"the page shows no slider {self._named!r}"

    async def move(self, value: int) -> tuple[float, int]:
        """Set the slider; return milliseconds until the script had finished, and how many figures it sent."""
        assert self._slider is not None
        ask = BackMsg()
        ask.rerun_script.page_script_hash = self._page
        ask.rerun_script.fragment_id = self._fragment
        state = ask.rerun_script.widget_states.widgets.add(id=self._slider.id)
        state.double_array_value.data.append(value)
        began = time.perf_counter()
        await self._socket.send_bytes(ask.SerializeToString())
        figures = await self._finished()
        return 1e3 * (time.perf_counter() - began), figures

    async def _finished(self) -> int:
        figures = 0
        while True:
            said = ForwardMsg.FromString(await self._socket.receive_bytes(timeout=60))
            kind = said.WhichOneof("type")
            if kind == "script_finished":
                assert said.script_finished in (
                    ForwardMsg.FINISHED_SUCCESSFULLY,
                    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
                )
                return figures
            if kind == "new_session":
                self._page = said.new_session.page_script_hash
            elif kind == "delta":
                element = said.delta.new_element
                figures += element.WhichOneof("type") == "plotly_chart"
                assert element.WhichOneof("type") != "exception", element.exception.message
                if element.WhichOneof("type") == "slider" and element.slider.label.startswith(self._named):
                    self._slider, self._fragment = element.slider, said.delta.fragment_id


async def connected(client: aiohttp.ClientSession, address: str, slider: str) -> Session:
    """Return a new reader of the server at an address."""
    socket = await client.ws_connect(
        f"{address}/_stcore/stream", origin=address, protocols=("streamlit",), max_msg_size=0
    )
    return Session(socket, slider)
