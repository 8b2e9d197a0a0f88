"""FIXTURE: a small HTTP server with the OpenAI interface that misbehaves on demand.

It is no model: its answers are made of the prompt's digest. It exists to fail over real sockets.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ("river", "stone", "letter", "garden", "window", "silver", "morning", "bridge", "paper")
DRIPS = 2000  # one every twentieth of a second


class BadServer:
    """Serves until told to stop; `mode` says how badly, `requests` what it was asked."""

    def __init__(self, mode="good", after=0):
        self.mode, self.after = mode, after
        self.requests = []
        self.dripped = 0  # bytes that `drips` got rid of
        self.headers = []
        self.times = {}
        self.lock = threading.Lock()

    def __enter__(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.requests.append(body)
                    outer.headers.append(dict(self.headers))
                    number = len(outer.requests)
                    key = json.dumps(body, sort_keys=True)
                    outer.times[key] = outer.times.get(key, 0) + 1
                    seen = outer.times[key]
                getattr(outer, f"do_{outer.mode}")(self, body, number, seen)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    @staticmethod
    def text_of(body):
        prompt = body.get("prompt") or body["messages"][-1]["content"]
        digest = hashlib.sha256(prompt.encode()).digest()
        return " ".join(WORDS[b % len(WORDS)] for b in digest[:6]) + "."

    def reply(self, handler, text, body, *, chat=None, finish="stop"):
        chat = "messages" in body if chat is None else chat
        choice = {"index": 0, "finish_reason": finish}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        self.send(handler, 200, json.dumps({"choices": [choice], "usage": usage}).encode())

    @staticmethod
    def send(handler, code, raw, **headers):
        handler.send_response(code)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(raw)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(raw)

    def do_good(self, handler, body, number, seen):
        self.reply(handler, self.text_of(body), body)

    def do_dies(self, handler, body, number, seen):
        """Answer `after` requests, then cut every connection."""
        if number > self.after:
            handler.connection.close()
            handler.close_connection = True
            return
        self.reply(handler, self.text_of(body), body)

    def do_garbage(self, handler, body, number, seen):
        kinds = (b"<html>Welcome to nginx!</html>", b'{"choices": []}', b"[]", b"null",
                 b'{"choices": [{"message": {"content": 7}}]}', b"\xff\xfe\x00", b"")  # fmt: skip
        self.send(handler, 200, kinds[number % len(kinds)])

    def do_limited(self, handler, body, number, seen):
        """Refuse every request once, with a date to come back."""
        if seen == 1:
            self.send(handler, 429, b'{"error": {"message": "slow down"}}', Retry_After="1")
            return
        self.reply(handler, self.text_of(body), body)

    def do_always_limited(self, handler, body, number, seen):
        self.send(handler, 429, b'{"error": {"message": "quota"}}', Retry_After="0")

    def do_fallback(self, handler, body, number, seen):
        self.reply(handler, "I am sorry, something went wrong. Please try again.", body)

    def do_empty(self, handler, body, number, seen):
        self.reply(handler, None if number % 2 else "  ", body)

    def do_truncated(self, handler, body, number, seen):
        self.reply(handler, "The", body, finish="length")

    def do_errors(self, handler, body, number, seen):
        self.send(handler, 500, b'{"error": {"message": "out of memory"}}')

    def do_no_seed(self, handler, body, number, seen):
        """Reject what it does not know, as some servers do."""
        if "seed" in body or "temperature" in body:
            self.send(handler, 400, b'{"error": {"message": "unsupported parameter"}}')
            return
        self.reply(handler, self.text_of(body), body)

    def with_rivals(self, handler, body, given):
        """Reply with what `given` says of the first token's rivals, in the interface's layout."""
        text, chat = " river", "messages" in body
        choice = {"index": 0, "finish_reason": "length", "logprobs": given(chat)}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        self.send(handler, 200, json.dumps({"choices": [choice]}).encode())

    def do_rivals(self, handler, body, number, seen):
        top = {" river": -0.5, " stone": -1.25, "\n": -3.0}
        rows = [{"token": token, "logprob": value, "bytes": None} for token, value in top.items()]
        self.with_rivals(handler, body, lambda chat: {"content": [{"top_logprobs": rows}]} if chat
                         else {"tokens": [" river"], "top_logprobs": [top]})  # fmt: skip

    def do_odd_rivals(self, handler, body, number, seen):
        odd = ([], {"content": [], "top_logprobs": []}, {"content": None, "top_logprobs": [7]},
               {"content": [{"top_logprobs": [{"token": 1}]}], "top_logprobs": [{"a": "b"}]})  # fmt: skip
        self.with_rivals(handler, body, lambda chat: odd[number % len(odd)])

    def do_no_logprobs(self, handler, body, number, seen):
        """Reject log probabilities, as many servers do."""
        if "logprobs" in body:
            self.send(handler, 400, b'{"error": {"message": "logprobs is not supported"}}')
            return
        self.reply(handler, " river", body, finish="length")

    def do_huge(self, handler, body, number, seen):
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        piece = b"x" * 2**20
        try:
            for _ in range(1000):
                handler.wfile.write(piece)
        except OSError:
            handler.close_connection = True

    def do_drips(self, handler, body, number, seen):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        try:
            for _ in range(DRIPS):
                handler.wfile.write(b" ")
                self.dripped += 1
                time.sleep(0.05)
        except OSError:
            handler.close_connection = True

    def do_cut(self, handler, body, number, seen):
        """Promise more than is sent."""
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [{"mess')
        handler.wfile.flush()
        handler.connection.close()
        handler.close_connection = True
