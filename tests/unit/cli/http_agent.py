"""An agent's HTTP port for commands that ask it."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class HttpAgent:
    """Answers everything with what `answer` gives; `asked` is what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent.asked.append(f"{self.command} {self.path}")
                status, body = agent.answer()
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer."""
        return 200, b"{}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
