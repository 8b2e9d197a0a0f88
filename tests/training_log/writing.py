"""Write one log in every format that the readers know, as the trainers do."""

from __future__ import annotations

import json
import struct

from pytest_scratchverify.methods.training_log.readers.tensorboard import masked_crc

ROWS = [
    {"step": i * 10, "loss": round(11 - i * 0.05 + 0.01 * (i % 7), 4), "lr": (i + 1) * 1e-6,
     "grad_norm": 1 + i % 5, "tokens": i * 10 * 4096}
    for i in range(120)
]  # fmt: skip


def csv_file(path, rows=ROWS):
    lines = ["step,train/loss,train/learning_rate,train/grad_norm,train/tokens"]
    lines += [",".join(repr(value) for value in row.values()) for row in rows]
    path.write_text("\n".join(lines) + "\n")


def wandb_csv(path, rows=ROWS):
    lines = ['"Step","run-7 - train/loss","run-7 - train/loss__MIN","run-7 - train/loss__MAX"']
    lines += [f'"{r["step"]}","{r["loss"]}","{r["loss"]}","{r["loss"]}"' for r in rows]
    path.write_text("\n".join(lines) + "\n")


def wandb_jsonl(path, rows=ROWS):
    lines = []
    for row in rows:
        lines.append({"_step": row["step"], "_runtime": 1.5, "train/loss": row["loss"],
                      "train/lr": row["lr"], "train/grad_norm": row["grad_norm"],
                      "train/tokens": row["tokens"]})  # fmt: skip
        lines.append({"_step": row["step"], "eval/loss": 3.0})
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


def trainer_state(path, rows=ROWS):
    history = []
    for row in rows:
        history.append({"epoch": 0.1, "loss": row["loss"], "learning_rate": row["lr"],
                        "grad_norm": row["grad_norm"], "step": row["step"],
                        "num_input_tokens_seen": row["tokens"]})  # fmt: skip
        history.append({"epoch": 0.1, "eval_loss": 2.0, "step": row["step"]})
    state = {"best_metric": None, "global_step": 9, "log_history": history, "max_steps": 1}
    path.write_text(json.dumps(state, indent=2))


def megatron(path, rows=ROWS):
    path.write_text("setting up\n" + "".join(
        f" iteration {r['step']:8d}/  500000 | consumed samples: 1 | elapsed time per iteration"
        f" (ms): 12.5 | learning rate: {r['lr']:.6E} | global batch size: 8 | consumed tokens:"
        f" {r['tokens']} | lm loss: {r['loss']:.6E} | loss scale: 1.0 | grad norm:"
        f" {r['grad_norm']:.3f} | number of skipped iterations: 0 |\n" for r in rows))  # fmt: skip


def llm_c(path, rows=ROWS):
    path.write_text("".join(
        f"step {r['step']:4d}/19560 | loss {r['loss']:.6f} (+nanz)| norm {r['grad_norm']:.4f}"
        f" (+nanz)| lr {r['lr']:.2e} | 2907.84 ms\nval loss 9.1\n" for r in rows))  # fmt: skip


def nanogpt(path, rows=ROWS):
    path.write_text("".join(
        f"step {r['step']}: train loss {r['loss']:.4f}, val loss {r['loss'] + 1:.4f}\n"
        for r in rows))  # fmt: skip


def speedrun(path, rows=ROWS):
    path.write_text("".join(f"s:{r['step']} tel:9.0\ns:{r['step']} trl:{r['loss']:.6f}\n"
                            for r in rows))  # fmt: skip


def hugging_face_lines(path, rows=ROWS):
    path.write_text("".join(
        f"{{'loss': {r['loss']}, 'grad_norm': {r['grad_norm']}, 'learning_rate': {r['lr']},"
        f" 'epoch': 0.1}}\n{{'eval_loss': 3.1, 'epoch': 0.1}}\n" for r in rows))  # fmt: skip


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(field, body):
    return varint(field << 3 | 2) + varint(len(body)) + body


def record(body):
    head = struct.pack("<Q", len(body))
    crc = struct.pack("<I", masked_crc(head)), struct.pack("<I", masked_crc(body))
    return head + crc[0] + body + crc[1]


def event(step, tag, value, *, tensor=False):
    if tensor:  # TensorFlow 2: a scalar tensor of doubles
        content = b"\x08\x02" + message(4, struct.pack("<d", value))
        body = message(1, tag.encode()) + message(8, content)
    else:
        body = message(1, tag.encode()) + b"\x15" + struct.pack("<f", value)
    time = b"\x09" + struct.pack("<d", 1.7e9)
    return record(time + b"\x10" + varint(step) + message(5, message(1, body)))


def tensorboard(path, rows=ROWS, *, tensor=False):
    tags = {"loss": "train/loss", "lr": "train/learning_rate", "grad_norm": "train/grad_norm",
            "tokens": "train/tokens"}  # fmt: skip
    body = record(b"\x09" + struct.pack("<d", 1.7e9) + message(3, b"brain.Event:2"))
    for row in rows:
        for name, tag in tags.items():
            body += event(row["step"], tag, row[name], tensor=tensor)
    path.write_bytes(body)
