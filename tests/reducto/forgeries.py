"""A campaign of mutated webhook messages: nothing that was changed may pass, and nothing may raise.

By itself: `PYTHONPATH=. python tests/reducto/forgeries.py 300000 [SEED]`.
"""

from __future__ import annotations

import json
import random
import sys

from batcher.reducto.webhook_signature import Judge, Signed, Tokened, sign, token

NOW = 1_800_000_000
SECRETS = (b"an old secret, not yet retired", b"the secret in use")
KEY = b"a key of ours"
ALPHABET = "0123456789abcXYZ+/=-_ ,.v1\x00\u00e9\udc80"
Message = tuple[dict[str, str], bytes]


def signed(
    body: bytes, *, message_id: str = "msg_1", at: int = NOW, secret: bytes = SECRETS[1]
) -> Message:
    stamp = str(at)
    signature = f"v1,{sign(secret, message_id, stamp, body)}"
    return {"svix-id": message_id, "svix-timestamp": stamp, "svix-signature": signature}, body


def direct(job_id: str, *, nonce: str = "n1", key: bytes = KEY) -> Message:
    mark = {"batch": "b", "document": 1, "nonce": nonce, "token": token(key, nonce)}
    return {}, json.dumps(
        {"status": "Completed", "job_id": job_id, "metadata": {"batcher": mark}}
    ).encode()


def campaign(number: int, seed: int) -> list[Message]:
    """The mutated messages that were let in, of `number` of either kind."""
    rng = random.Random(seed)
    doors: list[tuple[Judge, Message]] = [
        (Signed(SECRETS), signed(b'{"status":"Completed","job_id":"job-1","metadata":null}')),
        (Tokened(KEY), direct("job-1")),
    ]
    let_in = []
    for turn in range(number):
        judge, genuine = doors[turn % 2]
        forged = _mutated(genuine, rng)
        if judge.judge(*forged, now=NOW) is not None and not _still_genuine(forged, genuine):
            let_in.append(forged)
    return let_in


def _mutated(message: Message, rng: random.Random) -> Message:
    headers = dict(message[0])
    body = message[1]
    for _ in range(rng.randint(1, 3)):
        if headers and rng.random() < 0.5:
            name = rng.choice(list(headers))
            headers[name] = _scratched(headers[name], rng)
        else:
            body = bytes(_scratched(body.decode("latin-1"), rng), "latin-1", "replace")
    return headers, body


def _scratched(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    match rng.randrange(5):
        case 0:
            return text[:at] + rng.choice(ALPHABET) + text[at + 1 :]
        case 1:
            return text[:at] + rng.choice(ALPHABET) + text[at:]
        case 2:
            return text[:at] + text[at + rng.randint(1, 8) :]
        case 3:
            return text[at:] + text[:at]
    return rng.choice(["", text * 2, text[::-1], text.upper(), text.lower(), " " + text])


def _still_genuine(forged: Message, genuine: Message) -> bool:
    """A change that takes nothing from the proof: of words beside the signature, or of what a token
    doesn't cover.
    """
    if genuine[0]:
        kept = [forged[0].get(name) == genuine[0][name] for name in ("svix-id", "svix-timestamp")]
        return (
            all(kept)
            and forged[1] == genuine[1]
            and genuine[0]["svix-signature"] in forged[0]["svix-signature"]
        )
    mark = json.loads(genuine[1])["metadata"]["batcher"]
    return mark["token"].encode() in forged[1] and mark["nonce"].encode() in forged[1]


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    passed = campaign(wanted, first)
    sys.stdout.write(f"{wanted} mutated messages, seed {first}: {len(passed)} let in\n")
    sys.exit(bool(passed))
