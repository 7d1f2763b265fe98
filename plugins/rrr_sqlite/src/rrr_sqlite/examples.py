"""Answers with known verdicts, including hostile ones: the input of the conformance checks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rrr_core import Example
from rrr_sqlite.database import NOT_ALLOWED, SQL_ERROR, TOO_COSTLY
from rrr_sqlite.judging import BY_CHANCE
from rrr_sqlite.results import COLUMNS, ORDER, ROWS

Row = dict[str, Any]

ORDERS = {
    "name": "shop_orders",
    "columns": {"id": "INTEGER PRIMARY KEY", "buyer_no": "INTEGER", "net_weight_g": "INTEGER", "paid": "REAL"},
    "rows": [
        [1, 12, 3400, 1.5],
        [2, 15, 3000, None],
        [3, 12, 2100, 2.0],
        [4, 18, 5200, 0.5],
        [5, 15, 900, 2.0],
        [6, 12, 4100, 4.25],
    ],
}
BUYERS = {
    "name": "shop_buyers",
    "columns": {"buyer_no": "INTEGER", "name": "TEXT"},
    "rows": [[12, "Ann"], [15, "Ben"], [18, "ann"]],
}


def row(question: str, gold: str, order_keys: str = "") -> Row:
    """A row over the orders and buyers of these examples."""
    made: Row = {"question": question, "tables": [ORDERS, BUYERS], "gold": gold}
    return made | ({"order_keys": order_keys} if order_keys else {})


HEAVY = row(
    "How many shop orders have a net weight over 3 kg?", "SELECT count(*) FROM shop_orders WHERE net_weight_g>3000"
)
WHO = row(
    "Name the buyer of each of the shop orders with a net weight over 3 kg.",
    "SELECT name FROM shop_orders JOIN shop_buyers USING(buyer_no) WHERE net_weight_g>3000",
)
RANKED = row(
    "Which shop orders were paid, most first?",
    "SELECT id FROM shop_orders WHERE paid IS NOT NULL ORDER BY paid DESC",
    "SELECT paid FROM shop_orders WHERE paid IS NOT NULL ORDER BY paid DESC",
)
PAID = row("What did each shop order pay?", "SELECT id, paid FROM shop_orders")
TOTAL = row("What was paid for all shop orders?", "SELECT sum(paid) FROM shop_orders")
NOTHING = row("Which shop orders weigh more than a ton?", "SELECT id FROM shop_orders WHERE net_weight_g>1000000")
GOLD = HEAVY["gold"]

PASSING: list[tuple[Row, str, str]] = [
    (HEAVY, GOLD, "the row's query as it is"),
    (HEAVY, f"{GOLD};", "a semicolon at the end"),
    (HEAVY, f"-- orders\n{GOLD} /* over 3 kg */", "comments"),
    (HEAVY, "select sum(net_weight_g > 3 * 1000) from SHOP_ORDERS", "other SQL, and other case of its words"),
    (HEAVY, "WITH heavy AS (SELECT id FROM shop_orders WHERE net_weight_g>3000) SELECT count(id) FROM heavy", "WITH"),
    (HEAVY, GOLD.replace("count(*)", "count(*) AS how_many"), "a column by another name"),
    (HEAVY, GOLD.replace("count(*)", "count(*) * 1.0"), "4.0 for 4"),
    (WHO, WHO["gold"] + " ORDER BY name", "an order where none is asked for"),
    (
        WHO,
        "SELECT b.name FROM shop_buyers b, shop_orders o WHERE b.buyer_no=o.buyer_no AND o.net_weight_g>3000",
        "another join",
    ),
    (RANKED, RANKED["gold"] + ", id", "orders that paid the same, in one order"),
    (RANKED, RANKED["gold"] + ", id DESC", "and in the other"),
    (PAID, PAID["gold"] + " ORDER BY paid", "NULL is NULL"),
    (TOTAL, "SELECT total(paid) FROM shop_orders", "the same sum by another function"),
    (NOTHING, NOTHING["gold"], "no rows where none are right"),
]

FAILING: list[tuple[Row, str, str, str]] = [
    (HEAVY, "SELECT count(*) FROM shop_orders WHERE net_weight_g>3", ROWS, "kilograms for grams"),
    (HEAVY, "SELECT count(*) FROM shop_orders WHERE net_weight_g>=3000", ROWS, "another comparison"),
    (HEAVY, "SELECT 3", BY_CHANCE, "the result, and no query"),
    (HEAVY, "SELECT count(*) FROM shop_orders WHERE net_weight_g>3001", BY_CHANCE, "no order weighs 3001 g here"),
    (HEAVY, "SELECT count(*) FROM shop_orders WHERE id IN (1, 4, 6)", BY_CHANCE, "the orders that are meant here"),
    (HEAVY, "SELECT count(*) FROM shop_orders WHERE weight>3000", SQL_ERROR, "no such column"),
    (HEAVY, "SELECT count(*) FROM orders", SQL_ERROR, "no such table"),
    (HEAVY, "SELECT count(*) FROM", SQL_ERROR, "half a query"),
    (HEAVY, "-", NOT_ALLOWED, "no query"),
    (HEAVY, "3", NOT_ALLOWED, "the number alone"),
    (HEAVY, "SELECT id FROM shop_orders WHERE net_weight_g>3000", ROWS, "the orders, not their number"),
    (HEAVY, GOLD.replace("count(*)", "count(*), 1"), COLUMNS, "a column more"),
    (HEAVY, f"{GOLD}; {GOLD}", SQL_ERROR, "two statements"),
    (WHO, WHO["gold"].replace("name", "DISTINCT name", 1), ROWS, "each buyer once"),
    (WHO, WHO["gold"].replace("name", "lower(name)", 1), ROWS, "text in another case"),
    (WHO, WHO["gold"].replace("name", "name || ' '", 1), ROWS, "a space at the end"),
    (WHO, WHO["gold"].replace("name", "buyer_no", 1), ROWS, "another column"),
    (RANKED, RANKED["gold"].replace(" DESC", ""), ORDER, "the order turned round"),
    (RANKED, RANKED["gold"].split(" ORDER")[0], ORDER, "no order where one is asked for"),
    (RANKED, "SELECT id FROM shop_orders ORDER BY paid DESC", ROWS, "the order that was not paid as well"),
    (PAID, "SELECT paid, id FROM shop_orders", ROWS, "columns in another order"),
    (PAID, "SELECT id, coalesce(paid, 0) FROM shop_orders", ROWS, "0 for NULL"),
    (PAID, "SELECT id, paid || '' FROM shop_orders", ROWS, "texts for numbers"),
    (TOTAL, "SELECT round(sum(paid)) FROM shop_orders", ROWS, "rounded"),
    (NOTHING, "SELECT NULL", ROWS, "a row of NULL for no rows"),
    (NOTHING, "SELECT id FROM shop_orders WHERE 0", BY_CHANCE, "a query that never has rows"),
]

ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM t) SELECT count(*) FROM t"
PRODUCT = "SELECT count(*) FROM " + ", ".join(f"shop_orders a{number}" for number in range(12))  # noqa: S608 - a constant

HOSTILE: list[tuple[Row, str, str, str]] = [
    (HEAVY, ENDLESS, NOT_ALLOWED, "a query without end"),
    (HEAVY, ENDLESS + " LIMIT 3", NOT_ALLOWED, "the same with a limit behind it"),
    (HEAVY, PRODUCT, TOO_COSTLY, "two billion rows to count"),
    (HEAVY, PRODUCT.replace("count(*)", "a0.id") + " ORDER BY 1", TOO_COSTLY, "and to sort"),
    (HEAVY, PRODUCT.replace("count(*)", "group_concat(a0.id)"), TOO_COSTLY, "a text that grows"),
    (HEAVY, "SELECT a.id FROM shop_orders a, shop_orders b, shop_orders c, shop_orders d", TOO_COSTLY, "1,296 rows"),
    (HEAVY, "SELECT zeroblob(1000000000)", NOT_ALLOWED, "a gigabyte of zeros"),
    (HEAVY, "SELECT printf('%.*c', 1000000000, 'x')", NOT_ALLOWED, "a gigabyte of x"),
    (HEAVY, "SELECT hex(randomblob(1000000))", NOT_ALLOWED, "chance, and a long text of it"),
    (HEAVY, "SELECT abs(random()) % 5", NOT_ALLOWED, "a result by chance"),
    (HEAVY, "SELECT strftime('%s', 'now')", NOT_ALLOWED, "the time of day"),
    (HEAVY, "SELECT current_timestamp", NOT_ALLOWED, "the same as a word"),
    (HEAVY, "SELECT load_extension('/tmp/x.so')", NOT_ALLOWED, "a library to load"),
    (HEAVY, "SELECT readfile('/etc/passwd')", SQL_ERROR, "a function of the shell alone"),
    (HEAVY, "ATTACH '/tmp/x.db' AS x", NOT_ALLOWED, "a file to open"),
    (HEAVY, "VACUUM INTO '/tmp/x.db'", NOT_ALLOWED, "a file to write"),
    (HEAVY, "PRAGMA query_only=OFF", NOT_ALLOWED, "a lock to open"),
    (HEAVY, "PRAGMA table_info('shop_orders')", NOT_ALLOWED, "a look for an answer"),
    (HEAVY, "PRAGMA hard_heap_limit=1", NOT_ALLOWED, "less memory for everyone"),
    (HEAVY, "DELETE FROM shop_orders WHERE net_weight_g<=3000", NOT_ALLOWED, "rows deleted"),
    (HEAVY, "INSERT INTO shop_orders(id) VALUES (7) RETURNING 3", NOT_ALLOWED, "a change that has a result"),
    (HEAVY, "WITH x AS (SELECT 1) DELETE FROM shop_orders RETURNING 3", NOT_ALLOWED, "a change that begins as a query"),
    (HEAVY, "CREATE TABLE x AS SELECT 3", NOT_ALLOWED, "a table made"),
    (HEAVY, f"{GOLD}; DROP TABLE shop_orders", SQL_ERROR, "a second statement behind the right one"),
    (HEAVY, f"EXPLAIN {GOLD}", NOT_ALLOWED, "a plan of the query, not its result"),
    (HEAVY, "BEGIN", NOT_ALLOWED, "a transaction"),
    (HEAVY, "SELECT count(*) FROM json_each('[1,2,3]')", SQL_ERROR, "a table that is none of the row's"),
    (HEAVY, "SELECT count(*) FROM pragma_table_info('shop_orders')", NOT_ALLOWED, "a pragma as a table"),
    (HEAVY, "SELECT count(*) - 1 + 2 FROM sqlite_master", BY_CHANCE, "3, counted on the wrong thing"),
    (HEAVY, "SELECT " + "(" * 900 + "3" + ")" * 900, SQL_ERROR, "900 brackets"),
    (HEAVY, "SELECT 3" + "+0" * 900, SQL_ERROR, "900 sums in each other"),
    (HEAVY, "SELECT 3 " + "UNION SELECT 3 " * 100, SQL_ERROR, "100 queries in one"),
    (HEAVY, "SELECT 3" + " " * 1_000_000, TOO_COSTLY, "a million blanks"),
    (HEAVY, "SELECT '" + "x" * 100_000 + "'", TOO_COSTLY, "a text of 100,000 characters"),
    (HEAVY, "SELECT 3\0, 4", SQL_ERROR, "a null character"),
    (HEAVY, "SELECT '\ud800'", SQL_ERROR, "half a surrogate pair"),
    (HEAVY, "SELECT ?", SQL_ERROR, "a value to be bound"),
    (HEAVY, "SELECT :x", SQL_ERROR, "a value with a name to be bound"),
    (HEAVY, "/*" * 900, NOT_ALLOWED, "a comment without end"),
    (HEAVY, "__import__('os').system('true')", NOT_ALLOWED, "Python"),
    (HEAVY, "SELECT 9e999", ROWS, "infinity"),
    (HEAVY, "SELECT 9223372036854775807 + 1", ROWS, "more than an integer holds"),
    (HEAVY, "SELECT abs(-9223372036854775808)", SQL_ERROR, "an overflow that SQLite reports"),
    (HEAVY, "SELECT x'03'", ROWS, "bytes"),
    (HEAVY, "SELECT CAST(x'ff' AS TEXT)", SQL_ERROR, "a text that is not UTF-8"),
    (HEAVY, "SELECT true + true + true", BY_CHANCE, "3 in other words"),
    (WHO, "SELECT name FROM shop_buyers LIMIT 3", ROWS, "as many rows as are right"),
    (HEAVY, "SELECT '3'", ROWS, "a text for a number"),
    (RANKED, "SELECT id FROM shop_orders WHERE paid IS NOT NULL ORDER BY random()", NOT_ALLOWED, "an order by chance"),
    (RANKED, "VALUES (6), (3), (5), (1), (4)", BY_CHANCE, "the right rows, copied down"),
]

COURSES: list[tuple[Row, tuple[str, ...], str]] = [
    (HEAVY, ("schema", f"sql: {GOLD}", f"answer: {GOLD}"), "a look, a try, the answer"),
    (HEAVY, ("sql: SELECT weight FROM shop_orders", "What is there?", "schema", f"answer: {GOLD}"), "after mistakes"),
    (WHO, (f"I know it.\nanswer:\n```sql\n{WHO['gold']}\n```",), "at once, in a fence"),
]

EXAMPLES: list[Example] = [
    *(Example(each, each["gold"], "passed", reason=reason, actions=actions) for each, actions, reason in COURSES),
    *(Example(each, answer, "passed", reason=reason) for each, answer, reason in PASSING),
    *(Example(each, answer, "failed", category, reason) for each, answer, category, reason in FAILING),
    *(Example(each, answer, "failed", category, reason, hostile=True) for each, answer, category, reason in HOSTILE),
]


def examples() -> Iterator[Example]:
    """Every answer with a known verdict."""
    yield from EXAMPLES
