"""What schemathesis makes of the scalars and ids that are Abacus' own (tests/it/schemathesis.rs)."""

import json
import os
import re
import zlib

import schemathesis
from hypothesis import strategies as st
from schemathesis import graphql
from schemathesis.graphql import nodes

quoted = lambda values: values.map(nodes.String)

graphql.scalar(
    "Decimal",
    quoted(
        st.decimals(min_value=-(10**9), max_value=10**9, places=2).map(str)
        | st.integers(min_value=-(10**30), max_value=10**30).map(str)
        | st.text(max_size=12)
    ),
)
graphql.scalar(
    "DateTime",
    quoted(st.datetimes().map(lambda at: at.isoformat() + "Z") | st.text(max_size=24)),
)
graphql.scalar("Date", quoted(st.dates().map(str) | st.text(max_size=12)))
graphql.scalar("CurrencyCode", quoted(st.sampled_from(["CNY", "USD", "USDT_ERC20", "XTS"]) | st.text(max_size=4)))

# Made-up ids name nothing: every other query has some that are there instead, which its server's test has named.
KNOWN = json.loads(os.environ.get("ABACUS_KNOWN", "{}"))
NAMED = re.compile(r'\b(%s): "(?:[^"\\]|\\.)*"' % "|".join(KNOWN)) if KNOWN else None


@schemathesis.hook
def before_call(context, case, kwargs):
    if NAMED and isinstance(case.body, str) and zlib.crc32(case.body.encode()) % 2:
        case.body = NAMED.sub(lambda found: '%s: "%s"' % (found[1], KNOWN[found[1]]), case.body)
