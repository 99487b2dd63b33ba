"""Whether JSON is whole: held against every place where it can be cut off, and against the
standard's reader.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from batcher.common.json_syntax import NotWhole, end_of, is_whole, members

SEED = random.SystemRandom().randrange(1 << 32)
LETTERS = 'a"\\{}[],:é\n\ud83d \U0001f600'
PIECES = (b"", b",", b"}", b"]", b"{", b"[", b":", b'"', b"1", b" ", b"\\")


def value(rng: random.Random, depth: int) -> Any:
    match rng.randrange(9 if depth else 6):
        case 0:
            return rng.random() * 1e9
        case 1:
            return rng.choice([None, True, False, -1, 0, 1e300, float("nan"), float("-inf")])
        case 2 | 3 | 4 | 5:
            return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(6)))
        case 6 | 7:
            return {
                rng.choice(LETTERS) + str(n): value(rng, depth - 1) for n in range(rng.randrange(4))
            }
    return [value(rng, depth - 1) for _ in range(rng.randrange(4))]


def spelt(rng: random.Random, content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
    return text.encode("utf-8", "surrogatepass")


def container(rng: random.Random) -> Any:
    return rng.choice(
        [{"x": value(rng, 6)}, [value(rng, 6)], {"a": 1, "b": value(rng, 5), "c": value(rng, 3)}]
    )


def test_what_is_cut_off_anywhere_is_not_whole() -> None:
    """Every beginning of an object or a list, however short the rest, is told from all of it."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(300):
        body = spelt(rng, container(rng))
        assert is_whole(body), body
        assert not [cut for cut in range(len(body)) if is_whole(body[:cut])], body


def test_it_agrees_with_the_standard_reader_on_what_was_tampered_with() -> None:
    """A piece too many or too few: whole is what can be read, half surrogates and NaN included."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(3000):
        body = spelt(rng, container(rng))
        at = rng.randrange(len(body))
        odd = body[:at] + rng.choice(PIECES) + body[at + rng.randrange(2) :]
        try:
            read: Any = json.loads(odd.decode("utf-8", "surrogatepass"), strict=False)
        except UnicodeDecodeError:
            continue
        except ValueError:
            read = None
        assert is_whole(odd) == isinstance(read, dict | list), odd


def test_members_are_found_by_their_place() -> None:
    """Each name with the very bytes of its value."""
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for _ in range(300):
        content = {"a": value(rng, 3), "b{": value(rng, 5), 'c"': 1}
        body = spelt(rng, content)
        found = {
            json.loads(name): json.loads(
                body[start:end].decode("utf-8", "surrogatepass"), strict=False
            )
            for name, start, end in members(body)
        }
        assert repr(found) == repr(content)


@pytest.mark.parametrize("levels", [5_000, 50_000])
def test_any_depth_is_passed_over(levels: int) -> None:
    """Nothing is nested too deep to see where it ends."""
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        body = opening * levels + b"1" + closing * levels
        assert is_whole(body)
        assert not is_whole(body[:-1])
        assert not is_whole(body + closing)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"1",
        b'"text"',
        b"null",
        b"{} {}",
        b"[1,]",
        b'{"a":1,}',
        b'{"a"}',
        b"[1}",
        b"[tru]",
        b'{"a":1 "b":2}',
        b"[,1]",
        b"{,}",
        b"[01]",
        b"<html></html>",
        b'{"a":[{}]',
        b'{"type":"full","chunks":[{"content":"one"}',
        b'["\\x"]',
    ],
)
def test_what_is_no_whole_object_or_list_is_told(body: bytes) -> None:
    """Not even where it ends as it began."""
    assert not is_whole(body)


def test_a_value_that_is_none_has_no_end() -> None:
    """It is refused in words of its own."""
    with pytest.raises(NotWhole):
        end_of(b"[1, oops]", 0)
    with pytest.raises(NotWhole):
        list(members(b"[1]"))
