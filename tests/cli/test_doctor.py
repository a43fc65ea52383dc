"""`doctor` says whether every invariant holds, reads only, and finds real damage."""

from __future__ import annotations

import apsw

from tests.cli.command import HELLO, Place


def test_a_sound_database_is_found_sound_and_a_damaged_one_names_the_damage(place: Place) -> None:
    # given a database with an execution that produced objects
    demo = place.call("demo", "--json", "-q").json
    database = place.data / "stagewright.db"
    assert place.ask("doctor").out.startswith("✓ ")
    told = place.ask("doctor", "--json")
    assert told.code == 0 and told.json["ok"] and told.json["findings"] == []
    # and the same by the address of the database alone, which finds the objects beside it
    by_url = place.ask("doctor", "--database", f"sqlite:///{database}", "--json")
    assert by_url.code == 0 and by_url.json["objects"] == str(place.data / "objects")
    # when an object is damaged
    largest = max(
        (path for path in (place.data / "objects").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    content = largest.read_bytes()
    largest.write_bytes(content[:-1] + b"?")
    said = place.ask("doctor", "--json")
    assert said.code == 1 and not said.json["ok"]
    assert any(largest.name in finding["detail"] for finding in said.json["findings"])
    largest.write_bytes(content)
    assert place.ask("doctor").code == 0
    # when an event is lost
    connection = apsw.Connection(str(database))
    connection.execute("DELETE FROM event_pages WHERE execution_id = ?", (demo["execution_id"],))
    connection.close()
    said = place.ask("doctor")
    assert said.code == 1 and demo["execution_id"] in said.out


def test_it_looks_on_beside_a_server_at_work(place: Place) -> None:
    place.file("hello.yaml", HELLO)
    with place.server():
        for number in range(3):
            assert place.ask("run", "hello.yaml", "-p", f"who={number}", "--detach", "-q").code == 0
            assert place.ask("doctor").code == 0
