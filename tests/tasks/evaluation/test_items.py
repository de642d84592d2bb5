from tasks.evaluation.items import ItemRow, fingerprint, item_ids, items_digest


def test_copies_of_an_item_have_their_own_ids_in_order() -> None:
    first, second, other, third = item_ids(["a", "a", "b", "a"])
    assert len({first, second, other, third}) == 4
    assert item_ids(["a", "b", "a"]) == [first, other, second]
    assert all(len(i) == 32 for i in (first, second, third))


def test_the_digest_of_answers_leaves_times_out() -> None:
    row = ItemRow("i", "letters", "p", 3, score=1.0, latency_s=0.5)
    assert items_digest([row]) == items_digest([row._replace(latency_s=9.0)])
    assert items_digest([row]) != items_digest([row._replace(score=0.0)])


def test_a_fingerprint_is_of_questions_and_not_of_answers_or_their_order() -> None:
    rows = [ItemRow(i, "letters", "p", 3, score=1.0) for i in "ab"]
    answered = [r._replace(score=0.0, prediction="B") for r in reversed(rows)]
    assert fingerprint({}, rows) == fingerprint({}, answered)
    assert fingerprint({"shots": 5}, rows) != fingerprint({}, rows)
    asked_otherwise = [rows[0]._replace(prompt_digest="q"), rows[1]]
    assert fingerprint({}, asked_otherwise) != fingerprint({}, rows)
