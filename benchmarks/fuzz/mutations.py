"""Ways in which files come damaged, each drawn from a seeded generator."""

import copy
import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

_ODD_BYTES = (b"", b"\0", b"\xff", b"\x80", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xfe\xff\xff\xff", b"\n", b'"', b"[" * 3000)
_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**18, -(10**18), 0.5, 1e308, -1e308, 1e-320, "", " ", "0", "nan", "../x",
    "/etc/passwd",
    "a\0b", "\ud800", "x" * 5000, "=1+1", [], {}, [[]], [None], {"": None}, [0] * 300, "C:\\x", "\u202e", "auto", ".xml",
)  # fmt: skip
_ODD_TEXTS = ("NaN", "-Infinity", "1e999", "9" * 5000, "[" * 2000 + "]" * 2000, '{"a": 1, "a": 2}', "tru", "1 2", "", "\\", "0x10")
_ODD_CELLS = (
    "",
    " ",
    "nan",
    "inf",
    "-1",
    "1e999",
    "9" * 400,
    "\0",
    "\ufeff",
    "a\nb",
    '"',
    "1.0",
    "0x1",
    "../x",
    "=1+1",
    "\u0661",
    "x" * 200_000,
)
_MARK = "\u00a7odd\u00a7"


def damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    """Returns bytes that were changed, lost, added, doubled or cut off."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not found:
            break
        at = int(rng.random() ** rng.choice((1, 3)) * len(found))
        length = min(rng.choice((1, 1, 2, 4, 16, 256)), len(found) - at)
        choice = rng.randrange(8)
        if choice == 0:
            found[at] ^= 1 << rng.randrange(8)
        elif choice == 1:
            found[at : at + length] = rng.randbytes(length)
        elif choice == 2:
            del found[at : at + length]
        elif choice == 3:
            del found[at:]
        elif choice == 4:
            found[at:at] = rng.choice(_ODD_BYTES)
        elif choice == 5:
            found[at:at] = found[at : at + length]
        elif choice == 6:
            found[at : at + length] = bytes(length)
        else:
            other = rng.randrange(len(found))
            found[at : at + length] = found[other : other + length]
    return bytes(found)


def damaged_json(data: bytes, rng: random.Random) -> bytes:
    """Returns JSON whose shape, types or numbers are not what they should be; one in three is damaged byte by byte."""
    if rng.random() < 0.33:
        return damaged_bytes(data, rng)
    try:
        root = {"": json.loads(data)}
    except ValueError:  # damaged before
        return damaged_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        _damage_place(*rng.choice(_places(root)), rng)
    text = json.dumps(root[""], ensure_ascii=True)
    while f'"{_MARK}"' in text.replace("\\u00a7", "\u00a7"):
        text = text.replace("\\u00a7", "\u00a7").replace(f'"{_MARK}"', rng.choice(_ODD_TEXTS), 1)
    return text.encode("utf-8", "surrogatepass")


def _places(root: Any) -> list[tuple[Any, Any]]:
    """Returns every container with every key in it."""
    found, left = [], [root]
    while left:
        one = left.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one)))
        found += [(one, key) for key in keys]
        left += [one[key] for key in keys if isinstance(one[key], dict | list)]
    return found


def _damage_place(container: Any, key: Any, rng: random.Random) -> None:
    if (isinstance(container, list) and key >= len(container)) or (isinstance(container, dict) and key not in container):
        return
    choice = rng.randrange(8)
    if choice == 0 and key != "":
        del container[key]
    elif choice == 1:
        container[key] = _MARK
    elif choice == 2 and isinstance(container, dict) and key != "":
        container[f"{key}2"] = container.pop(key)
    elif choice == 3 and isinstance(container, list):
        container.insert(key, container[key])
    elif choice == 4:
        container[key] = [container[key]]
    elif choice == 5 and isinstance(container[key], int | float):
        container[key] = rng.choice((-container[key], container[key] + 1, container[key] * 10**6, container[key] / 3))
    else:
        container[key] = copy.deepcopy(rng.choice(_ODD_VALUES))  # one list at two places, or in itself, is no JSON


def damaged_csv(data: bytes, rng: random.Random) -> bytes:
    """Returns a table with odd cells, rows and columns; one in three is damaged byte by byte."""
    if rng.random() < 0.33:
        return damaged_bytes(data, rng)
    rows = list(csv.reader(io.StringIO(data.decode())))
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(rows)
        choice = rng.randrange(6)
        if choice <= 2 and row:
            row[rng.randrange(len(row))] = rng.choice(_ODD_CELLS)
        elif choice == 3 and row:
            del row[rng.randrange(len(row))]
        elif choice == 4:
            row.append(rng.choice(_ODD_CELLS))
        else:
            rows.insert(rng.randrange(len(rows)), list(row))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def damaged_zip(data: bytes, rng: random.Random, inside: Callable[[str], Mutation] = lambda _: damaged_bytes) -> bytes:
    """Returns a zip with damage outside of its members, or members whose damage its checksums do not tell.

    Args:
        data: The zip.
        rng: Draws.
        inside: How a member of some name is damaged.
    """
    if rng.random() < 0.4:
        return damaged_bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(members))
        name, content = members[at]
        choice = rng.randrange(6)
        if choice == 0 and len(members) > 1:
            del members[at]
        elif choice == 1:
            members[at] = (rng.choice((f"../{name}", f"/{name}", name.upper(), f"a/{name}", "\u00fc" * 90)), content)
        else:
            members[at] = (name, inside(name)(content, rng))
    made, how = io.BytesIO(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return made.getvalue()


def damaged_gzip(data: bytes, rng: random.Random) -> bytes:
    """Returns a gzip with damage outside, or content whose damage its checksum does not tell."""
    if rng.random() < 0.4:
        return damaged_bytes(data, rng)
    return gzip.compress(damaged_bytes(gzip.decompress(data), rng), 1)


def damaged_npz(data: bytes, rng: random.Random) -> bytes:
    """Returns a file of arrays; JSON that one of them holds is damaged as JSON."""
    return damaged_zip(data, rng, lambda _: damaged_npy)


def damaged_npy(data: bytes, rng: random.Random) -> bytes:
    """Returns an array whose head, or content, is damaged."""
    if rng.random() < 0.5 or len(data) < 129:
        return damaged_bytes(data, rng)
    return damaged_bytes(data[:128], rng) + data[128:]
