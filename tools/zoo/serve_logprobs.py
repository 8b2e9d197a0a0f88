"""Serve models of the zoo with log probabilities, over the OpenAI interface for completions.

    /tmp/venv-zoo/bin/python -m tools.zoo.serve_logprobs --models .artifacts/families --port 8421

Transformers' own server (`tools/zoo/serve.py`) gives no log probabilities. This one answers
/v1/completions with the network that trained the models: greedily at temperature 0, else sampled,
and with the `logprobs` most probable rivals of every token. One model is in memory at a time.
"""

from __future__ import annotations

import argparse
import json
import threading
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch  # noqa: TID251 - this tool runs models; the package only asks them
from tokenizers import Tokenizer

from tools.zoo import train as zoo

Request = dict[str, Any]


class Served:
    """A model with its tokenizer."""

    def __init__(self, folder: Path) -> None:
        shape = zoo.Shape(**json.loads((folder / ".entry.json").read_text("utf-8"))["shape"])
        weights = {k: v.float() for k, v in zoo.load(folder / "model.safetensors").items()}
        self.network = zoo.Model(shape, len(weights["model.embed_tokens.weight"])).eval()
        self.network.load_state_dict(weights)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def text(self, token: int) -> str:
        """Return a token as text; special ones by their name."""
        return str(self.tokenizer.decode([token], skip_special_tokens=False))

    @torch.no_grad()
    def complete(self, request: Request) -> Request:
        """Return a completion in the layout of the interface."""
        ids = self.tokenizer.encode(request["prompt"]).ids
        asked, rivals, chosen = len(ids), [], []
        temperature = float(request.get("temperature", 1.0))
        for _ in range(int(request.get("max_tokens", 16))):
            scores = self.network(torch.tensor([ids]))[0, -1].log_softmax(-1)
            token = int(scores.argmax())
            if temperature > 0:
                token = int(torch.multinomial((scores / temperature).softmax(-1), 1))
            top = scores.topk(min(int(request.get("logprobs") or 0), 20))
            pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
            rivals.append({self.text(one): round(value, 4) for one, value in reversed([*pairs])})
            chosen.append(token)
            ids.append(token)
        choice: Request = {
            "index": 0,
            "text": self.tokenizer.decode(chosen, skip_special_tokens=False),
            "finish_reason": "length",
        }
        if request.get("logprobs"):
            choice["logprobs"] = {
                "tokens": [self.text(one) for one in chosen],
                "top_logprobs": rivals,
            }
        usage = {"prompt_tokens": asked, "completion_tokens": len(chosen)}
        return {"object": "text_completion", "choices": [choice], "usage": usage}


def server(models: Path, port: int) -> ThreadingHTTPServer:
    """Return a server of the models below a folder; the `model` of a request names one."""
    alone = threading.Lock()

    @lru_cache(maxsize=1)
    def served(name: str) -> Served:
        return Served(models / name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def send(self, code: int, answer: Request) -> None:
            raw = json.dumps(answer).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            self.send(200, {"status": "ok"})

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = Path(request["model"]).name
            if not (models / name / ".entry.json").exists():
                self.send(404, {"error": {"message": f"no model {name}"}})
                return
            with alone:
                answer = served(name).complete(request)
            self.send(200, {**answer, "model": name})

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, default=Path(".artifacts/families"))
    parser.add_argument("--port", type=int, default=8421)
    given = parser.parse_args()
    torch.set_num_threads(1)
    server(given.models, given.port).serve_forever()


if __name__ == "__main__":
    main()
