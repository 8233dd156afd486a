"""The yardstick: websocket-client and a typed msgspec decode, and nothing kept."""

from __future__ import annotations

import msgspec
import websocket
from common import AGES, Ages, Stopwatch, arguments


class Data(msgspec.Struct):
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class Frame(msgspec.Struct):
    data: Data


def main() -> None:
    _, stream, last_id = arguments()
    socket = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
    socket.connect(f"{stream}/stream", timeout=30)
    socket.send('{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}')
    socket.recv()
    decode = msgspec.json.Decoder(Frame).decode
    watch, updates = Stopwatch(), 0
    ages = Ages() if AGES else None
    watch.start()
    while True:
        _, payload = socket.recv_data()
        event = decode(payload).data
        updates += 1
        if ages is not None:
            ages.note(event.u)
        if event.u >= last_id:
            break
    if ages is not None:
        ages.report(None)
    else:
        watch.report(None, updates)


main()
