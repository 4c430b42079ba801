"""The example page, and the Worker that it asks, in a real Chromium."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components import metadata, settings
from components.topology import Stack
from tests import chromium
from tests.chromium import Page
from tests.configuration import ROOT, change_stack, copy_of_the_committed_files
from tests.examples.world import METADATA, Answer, World, world

PAGE = ROOT / "examples" / "web_chat"
API = "api.chat-tonic-us.example"
SITES = {"us-central": "asst_1", "us-standby": "asst_2"}
QUICK = "Object.assign((await import('/failover.mjs')).POLICY, {firstWait: 10, longestWait: 20, timeout: 3000});"


def stack(folder: Path, **failover: Any) -> Stack:
    """The US with identifiers, its standby ready."""
    root = copy_of_the_committed_files(folder)
    changes = {
        "identifiers": {site: {"assistant": name} for site, name in SITES.items()},
        "sites.us-standby.addresses": {
            "production": {role: f"192.0.2.{number}" for number, role in enumerate(("api", "chat", "customer-service"))}
        },
        **failover,
    }
    change_stack(root, "us-central", {f"failover.{key}": value for key, value in changes.items()})
    return settings.load(root, "us-central")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Page, World]]:
    with world() as made:
        rules = ",".join(f"MAP {host} 127.0.0.1:{made.port}" for host in (METADATA, API))
        with chromium.page(tmp_path_factory.mktemp("chromium"), f"--host-resolver-rules={rules}") as shown:
            yield shown, made


def answers(shown: Page, made: World, code: str, *requests: tuple[str, str]) -> list[Mapping[str, Any]]:
    """Run the Worker's own code in the browser; return what it answers to requests by method and path."""
    made.files |= {"/": ("text/html", "<p>"), "/worker.mjs": ("text/javascript", code)}
    shown.open(f"http://localhost:{made.port}/")
    return list(
        shown.run(
            f"""
            const worker = (await import("/worker.mjs?{abs(hash(code))}")).default;
            const said = [];
            for (const [method, path] of {json.dumps(requests)}) {{
              const answer = await worker.fetch(new Request("https://{METADATA}" + path, {{ method }}));
              const headers = Object.fromEntries(answer.headers);
              said.push({{ status: answer.status, headers, text: await answer.text() }});
            }}
            return said;
            """
        )
    )


def test_the_worker_answers_any_page_with_the_metadata_and_nothing_else(
    browser: tuple[Page, World], tmp_path: Path
) -> None:
    declared = stack(tmp_path, ttl=75, identifiers={"us-central": {"assistant": "</script>`${1}` é\u2028"}})
    asked = (("GET", "/failover.json"), ("HEAD", "/failover.json"), ("GET", "/"), ("POST", "/failover.json"))
    found, head, elsewhere, posted = answers(*browser, metadata.worker(declared, "us-central"), *asked)
    assert json.loads(found["text"]) == metadata.document(declared, "us-central")
    assert found["headers"] == {
        "access-control-allow-origin": "*",
        "cache-control": "public, max-age=75",
        "content-type": "application/json",
    }
    assert (head["status"], head["headers"], head["text"]) == (200, found["headers"], "")
    assert (elsewhere["status"], posted["status"], posted["headers"]["allow"]) == (404, 405, "GET, HEAD")


UNTIL = """
const until = async (done) => { while (!done()) await new Promise((next) => setTimeout(next, 10)); };
"""


def say(shown: Page, text: str) -> str:
    """Write a message into the page's form and send it; return how the page shows it when that is over."""
    said = shown.run(
        f"""
        {UNTIL}
        document.getElementById("text").value = {json.dumps(text)};
        document.getElementById("form").requestSubmit();
        const line = document.getElementById("messages").lastChild;
        await until(() => !line.textContent.endsWith("…"));
        return line.textContent;
        """
    )
    return str(said)


def place(shown: Page) -> str:
    """Return the site, and its assistant, that the page shows."""
    return str(shown.run("return ['site', 'assistant'].map((id) => document.getElementById(id).value).join(' ')"))


def published(shown: Page, made: World, declared: Stack) -> Mapping[str, Any]:
    """Let the metadata's host answer with the Worker's headers; return what the Worker says."""
    (found,) = answers(shown, made, metadata.worker(declared, "us-central"), ("GET", "/failover.json"))
    made.headers = found["headers"]
    return {**json.loads(found["text"]), "ttl": 0}  # the test moves sites faster than any TTL; the browser may keep it


def test_the_page_meets_a_failure_at_its_site_and_follows_a_move_with_the_same_key(
    browser: tuple[Page, World], tmp_path: Path
) -> None:
    shown, made = browser
    after = published(shown, made, stack(tmp_path / "after", active="us-standby", version=2))
    before = made.metadata = published(shown, made, stack(tmp_path / "before"))
    page = (PAGE / "index.html").read_text()
    for there, here in (
        ("https://failover.chat-tonic-us.example", f"http://{METADATA}"),
        ("const at", f"{QUICK}const at"),
    ):
        assert page.count(there) == 1
        page = page.replace(there, here)
    made.files |= {
        "/chat": ("text/html", page),
        "/failover.mjs": ("text/javascript", (PAGE / "failover.mjs").read_text()),
    }
    made.asked.clear()
    shown.open(f"http://localhost:{made.port}/chat")
    shown.run(f"{UNTIL} await until(() => document.body.dataset.ready);")
    assert place(shown) == "us-central asst_1"
    made.answers[API] = [Answer(503), Answer()]
    assert say(shown, "one") == "one ✓"
    assert [each.path for each in made.at(METADATA)] == ["/failover.json"], "it tries again before it asks where to go"

    made.asked.clear()
    made.answers[API], made.metadata = [*[Answer(503)] * 3, Answer()], after
    assert say(shown, "two") == "two ✓"
    assert place(shown) == "us-standby asst_2"
    keys = [each.key for each in made.at(API)]
    assert (len(keys), len(set(keys)), len(made.at(METADATA))) == (4, 1, 1)

    for status in (422, 302):
        made.answers[API] = [Answer(status, {"Location": "/chat"})]
        assert say(shown, "three") == "three ✗ Refused"
    made.answers[API], made.metadata = [*[Answer(503)] * 3, Answer()], before
    assert say(shown, "four") == "four ✓"
    assert place(shown) == "us-standby asst_2", "an older version is not believed"

    made.asked.clear()
    made.answers[API] = [Answer(503)]
    for _ in range(5):
        assert say(shown, "five") == "five ✗ Unreachable"
    # Seven of the ten were taken, and three tenths given back.
    assert len(made.at(API)) == 5 + 3, "all messages of a page share retries"
