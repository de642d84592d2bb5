"""The categories of a fictional online shop for home goods and electronics.

Four levels, area > topic > aspect > leaf. A label is the path of the four names, and it is what a
model learns to write for a review.
"""

from typing import Final

SEPARATOR: Final = " > "
LEVELS: Final = 4

Aspects = dict[str, tuple[str, ...]]
Topics = dict[str, Aspects]

TREE: Final[dict[str, Topics]] = {
    "delivery": {
        "timing": {
            "arrival day": ("late parcel", "early parcel"),
            "time slot": ("missed slot", "few slots"),
        },
        "parcel": {
            "packaging": ("crushed box", "excess packing"),
            "contents": ("missing part", "wrong item"),
        },
    },
    "returns": {
        "return process": {
            "request": ("label trouble", "short window"),
            "collection": ("no pickup", "far dropoff"),
        },
        "refund": {
            "payout": ("slow refund", "wrong amount"),
            "exchange": ("wrong swap", "no stock"),
        },
    },
    "payment": {
        "checkout": {
            "card": ("declined card", "security check"),
            "voucher": ("rejected code", "gift card"),
        },
        "charges": {
            "billing": ("double charge", "hidden fee"),
            "invoice": ("missing invoice", "tax details"),
        },
    },
    "support": {
        "contact": {
            "phone line": ("long wait", "dropped call"),
            "live chat": ("bot loop", "slow reply"),
        },
        "staff": {
            "manner": ("rude agent", "kind agent"),
            "skill": ("wrong advice", "quick fix"),
        },
    },
    "website": {
        "shopping": {
            "search": ("poor results", "broken filter"),
            "product page": ("wrong photo", "thin details"),
        },
        "account": {
            "sign in": ("password reset", "locked out"),
            "mobile app": ("app crash", "alert spam"),
        },
    },
    "furniture": {
        "assembly": {
            "manual": ("unclear steps", "no pictures"),
            "hardware": ("missing screws", "bad holes"),
        },
        "finish": {
            "surface": ("deep scratch", "wrong colour"),
            "comfort": ("hard seat", "sagging seat"),
        },
    },
    "electronics": {
        "power": {
            "battery": ("short life", "slow charge"),
            "mains": ("runs hot", "dead unit"),
        },
        "daily use": {
            "setup": ("failed pairing", "bad update"),
            "sound": ("low volume", "buzzing noise"),
        },
    },
    "value": {
        "price": {
            "cost": ("price rise", "fair price"),
            "sale": ("false discount", "sold out"),
        },
        "loyalty": {
            "points": ("missing points", "expired points"),
            "membership": ("auto renewal", "member perks"),
        },
    },
}


def labels() -> tuple[str, ...]:
    """Every label, in the order of the tree."""
    return tuple(
        SEPARATOR.join((area, topic, aspect, leaf))
        for area, topics in TREE.items()
        for topic, aspects in topics.items()
        for aspect, leaves in aspects.items()
        for leaf in leaves
    )
