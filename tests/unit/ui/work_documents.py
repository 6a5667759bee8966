"""What a server answers about works: documents made from the messages of proto/zkinfer/v1/works.proto."""

from google.protobuf.json_format import ParseDict

from zkinfer.service.documents import document_of
from zkinfer.v1 import works_pb2

ANN, BOB = "0x" + "a1" * 20, "0x" + "b2" * 20
ETHER = 10**18
BLOCK = {"chain_id": 31337, "works": "0x" + "c3" * 20, "block": 4711, "time": "2026-11-30T10:00:00Z"}
OFFERS = [
    {
        "offer": f"0x{1:064x}",
        "price": str(ETHER // 50),
        "duration": 365 * 86_400,
        "share_bps": 500,
        "uses": ["commercial", "derivatives", "attribution"],
        "terms": f"0x{77:064x}",
        "uri": "https://ann.example/terms.txt",
    },
    {"offer": f"0x{2:064x}", "price": "0", "duration": 0, "share_bps": 1250, "uses": ["training"]},
]
CLAIMED = {
    "ai_generated": "no",
    "basis": "certificate",
    "level": "claimed",
    "text": "Its creator says that a human made it.",
}
PROVEN = {
    "ai_generated": "yes",
    "basis": "record",
    "level": "proven",
    "text": "A model made it: the ledger has the model's proven answer, of which this work is the digest.",
    "model_id": "m" * 64,
    "record": f"0x{5:064x}",
}
BITS = f"0x{int.from_bytes(bytes(range(3, 227, 7)), 'big'):064x}"


def work_id(number):
    """The id of a work of the tests."""
    return f"0x{number:064x}"


def work(number=1, name="Cat in the sun", **changes):
    """The document of a work; without a name it has no certificate."""
    fields = {
        "work": work_id(number),
        "creator": ANN,
        "owner": ANN,
        "kind": "image",
        "origin": "human",
        "label": CLAIMED,
        "since": "2026-10-01T08:30:00Z",
        "standing": "clear",
        "content": work_id(0xC0),
        "attestation": work_id(0xA7),
        "resale_bps": 750,
        "uri": "https://ann.example/cat",
        "till": "0x" + "d4" * 20,
        "offers": OFFERS,
        "income": {
            "received": str(3 * ETHER),
            "shared": str(ETHER // 4),
            "kept": str(2 * ETHER),
            "pending": str(3 * ETHER // 4),
        },
        "as_of": BLOCK,
    }
    if name:
        fields["certificate"] = {"name": name, "media_type": "image/png", "size": 12_345, "training": "constrained"}
    return document_of(ParseDict(fields | changes, works_pb2.Work()))


def lookup(*matches, **changes):
    """The document of a look-up that found these (work, distance)."""
    fields = {
        "certified": False,
        "label": matches[0][0]["label"] if matches else {"ai_generated": "unknown", "basis": "none"},
        "authorised": "unknown",
        "standing": matches[0][0]["standing"] if matches else "unknown",
        "offers": matches[0][0]["offers"] if matches else [],
        "matches": [_match(*one) for one in matches],
        "as_of": BLOCK,
        "not_proven": ["that the work is original, or who owns its copyright"],
    }
    return document_of(ParseDict(fields | changes, works_pb2.LookupWorkResponse()))


def authorisation(work=work_id(1), **changes):  # noqa: B008 - a text
    """The document of an authorisation."""
    fields = {
        "work": work,
        "authorised": "yes",
        "licence": "12",
        "until": "2027-10-01T08:30:00Z",
        "holder": BOB,
        "text": "Licence 12 covers commercial use for dns:acme.example.",
        "as_of": BLOCK,
    }
    return document_of(ParseDict(fields | changes, works_pb2.Authorisation()))


def _match(work, distance):
    found = {"work": work, "by": "sha256" if distance is None else "print"}
    return found if distance is None else found | {"distance": distance, "compared": 231}


def family():
    """Works by id: a picture with two parents, nine children and a print; and all of those."""
    parents = [{"work": work_id(2), "share_bps": 1000}, {"work": work_id(3), "share_bps": 250}]
    own = work(
        parents=parents,
        children=[work_id(number) for number in range(10, 19)],
        print_bits=BITS,
        print_sure=f"0x{(1 << 256) - 1 - (0xFF << 90):064x}",
    )
    known = [
        own,
        work(2, "Painter of cats", kind="model", children=[work_id(1)]),
        work(3, "Sunlit photographs of the coast", kind="dataset", children=[work_id(1)]),
        work(4, "Digit 7", origin="generated", label=PROVEN, owner=BOB, offers=[], parents=[]),
        work(
            5,
            "",
            standing="flagged",
            flags=[
                {
                    "older": work_id(1),
                    "younger": work_id(5),
                    "distance": 9,
                    "compared": 231,
                    "state": "flagged",
                    "answer_by": "2026-12-14T10:00:00Z",
                }
            ],
        ),
    ]
    children = [
        work(number, f"Postcard {number - 9}" if number % 3 else "", parents=[{"work": work_id(1), "share_bps": 500}])
        for number in range(10, 18)
    ]
    return {one["work"]: one for one in (*known, *children)}
