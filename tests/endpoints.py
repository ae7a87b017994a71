"""An OpenAI-compatible endpoint of the tests' own: answers requests with what a function says."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Endpoint(ThreadingHTTPServer):
    """``says(number, body)`` answers a text, an answer whole (a dict or bytes), or (status, headers) of an error."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.says = lambda number, body: "fine"
        self.models = ["m"]
        self.bodies, self.keys, self.paths = [], [], []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {}, {"object": "list", "data": [{"id": name} for name in self.server.models]})

    def do_POST(self):
        server, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.bodies.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.paths.append(self.path)
            number = len(server.bodies)
        said = server.says(number, body)
        if isinstance(said, tuple):
            status, headers = said
            self.answer(status, headers, {"error": f"no, {self.headers.get('Authorization')}"})
        elif isinstance(said, str):
            own = {"message": {"role": "assistant", "content": said}} if "messages" in body else {"text": said}
            self.answer(200, {}, {"choices": [{**own, "finish_reason": "stop"}]})
        else:
            self.answer(200, {}, said)

    def answer(self, status, headers, content):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(monkeypatch):
    """An endpoint as long as the block lasts."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Endpoint() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
