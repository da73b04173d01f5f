"""The official Python client against a running cluster: raw and transactional work, each result checked.

Usage: python wheel.py PD_ADDRESS, for instance 127.0.0.1:2379
Needs the wheel: pip install tikv-client==0.0.4
"""

import asyncio
import sys

from tikv_client import RawClient, TransactionClient


def raw(pd):
    client = RawClient.connect(pd)
    client.put(b"py/a", b"1")
    client.batch_put({b"py/b": b"2", b"py/c": b"3"})
    assert client.get(b"py/a") == b"1"
    assert client.get(b"py/none") is None
    assert dict(client.batch_get([b"py/a", b"py/c"])) == {b"py/a": b"1", b"py/c": b"3"}
    pairs = [(b"py/a", b"1"), (b"py/b", b"2"), (b"py/c", b"3")]
    assert list(client.scan(b"py/", b"py/~", 10)) == pairs
    assert list(client.scan(b"py/", b"py/~", 2)) == pairs[:2]
    assert list(client.scan_keys(b"py/b", b"py/~", 10)) == [b"py/b", b"py/c"]
    client.put(b"py/a", b"elsewhere", cf="write")
    assert client.get(b"py/a", cf="write") == b"elsewhere"
    assert client.get(b"py/a") == b"1"
    client.delete(b"py/a")
    client.batch_delete([b"py/b"])
    assert list(client.scan_keys(b"py/", b"py/~", 10)) == [b"py/c"]
    client.delete_range(b"py/", b"py/~")
    assert list(client.scan_keys(b"py/", b"py/~", 10)) == []


def fails(action):
    try:
        action()
    except Exception:
        return True
    return False


def transactions(pd):
    client = TransactionClient.connect(pd)
    for pessimistic in (False, True):
        name = b"pessimistic" if pessimistic else b"optimistic"
        alice, bob = name + b"/alice", name + b"/bob"
        txn = client.begin(pessimistic=pessimistic)
        txn.put(alice, b"100")
        txn.insert(bob, b"0")
        assert txn.get(alice) == b"100", "its own write"
        before = client.current_timestamp()
        txn.commit()
        assert client.snapshot(before, pessimistic).get(alice) is None, "the past stays"

        txn = client.begin(pessimistic=pessimistic)
        assert txn.get_for_update(alice) == b"100"
        txn.put(alice, b"60")
        txn.put(bob, b"40")
        txn.commit()
        now = client.snapshot(client.current_timestamp(), pessimistic)
        assert dict(now.batch_get([alice, bob])) == {alice: b"60", bob: b"40"}
        assert list(now.scan_keys(name, name + b"~", 10)) == [alice, bob]

        txn = client.begin(pessimistic=pessimistic)
        txn.delete(bob)
        txn.rollback()
        txn = client.begin(pessimistic=pessimistic)
        assert txn.key_exists(bob), "the deletion was rolled back"
        txn.rollback()

    one, two = client.begin(), client.begin()
    one.put(b"contested", b"one")
    two.put(b"contested", b"two")
    two.commit()
    assert fails(one.commit), "of two that overlap and write one key, one fails"
    now = client.snapshot(client.current_timestamp(), False)
    assert now.get(b"contested") == b"two"


if __name__ == "__main__":
    asyncio.set_event_loop(asyncio.new_event_loop())
    raw(sys.argv[1:])
    transactions(sys.argv[1:])
    print("well: raw and transactional work")
