"""Routes as a configuration's reader expects them, with real requests; and what upstreams are told."""

import collections

import pytest
from harness.http import Client, HttpServer, answer, ask
from harness.tables import web


def saying(text):
    return {"direct_response": {"status": 200, "body": text}}


@pytest.fixture
def echoing():
    """An upstream whose body is what it was asked for, line by line."""

    def respond(request):
        lines = [request.first_line, *(f"{name.lower()}: {value}" for name, value in request.headers)]
        return answer(body="\n".join(lines).encode(), headers=[("X-Inner", "secret"), ("Server", "inner")])

    with HttpServer(respond) as upstream:
        yield upstream
        assert not upstream.broken


def seen(response):
    """(first line, {name: value}) as the upstream has seen them."""
    first, *lines = response.body.decode().split("\n")
    return first, dict(line.split(": ", 1) for line in lines)


def test_the_first_route_that_matches_wins(start, address):
    start(web(address, routes=[
        {"host": "a.example", "path": "/exact", **saying("exact")},
        {"host": "a.example", "path_prefix": "/p/", **saying("prefix")},
        {"host": "a.example", "path_regex": "/r/[0-9]+", **saying("regex")},
        {"host": "*.wild.example", **saying("wild")},
        {"methods": ["POST", "BREW"], **saying("method")},
        {"headers": [{"name": "X-Kind", "regex": "v[12]"}], **saying("header")},
        {"headers": [{"name": "X-None", "present": False}, {"name": "X-A", "prefix": "ab"}],
         **saying("two")},
        {"host": "b.example", **saying("b")}]))
    cases = [
        ("exact", {"path": "/exact?q", "host": "a.example"}),
        ("exact", {"path": "/exact", "host": "A.EXAMPLE:81"}),
        ("prefix", {"path": "/p/x", "host": "a.example"}),
        ("regex", {"path": "/r/12", "host": "a.example"}),
        (None, {"path": "/r/12x", "host": "a.example"}),
        (None, {"path": "/p", "host": "a.example"}),
        ("wild", {"host": "x.wild.example"}), ("wild", {"host": "x.y.wild.example"}),
        (None, {"host": "wild.example"}),
        ("method", {"method": "POST"}), ("method", {"method": "BREW"}),
        ("header", {"headers": {"x-kind": "v2"}}), (None, {"headers": {"x-kind": "v23"}}),
        ("two", {"headers": {"X-A": "abc"}}), (None, {"headers": {"X-A": "abc", "X-None": ""}}),
        ("b", {"host": "b.example"}), (None, {"host": "b.example."}),
    ]
    with Client(address) as client:
        for wanted, request in cases:
            response = client.ask(**request)
            found = response.body.decode() if response.status == 200 else None
            assert found == wanted and response.status in (200, 404), (request, response)


def test_redirects(start, address):
    start(web(address, routes=[
        {"path": "/a", "redirect": {"scheme": "https", "status": 308}},
        {"path_prefix": "/old/", "redirect": {"prefix": "/new/", "host": "other.example"}},
        {"redirect": {"path": "/x?y", "status": 302}}]))
    with Client(address) as client:
        told = [(r.status, r.get("location")) for r in (
            client.ask(path="/a?b=c"), client.ask(path="/old/thing?q"), client.ask(path="/else"))]
    assert told == [(308, "https://example.com/a?b=c"), (301, "http://other.example/new/thing?q"),
                    (302, "http://example.com/x?y")]


def test_rewrites_of_path_and_host(start, address, echoing):
    start(web(address, echoing.address, routes=[
        {"path_prefix": "/api/", "prefix_rewrite": "/", "host_rewrite": "inner.example", "cluster": "back"},
        {"path_regex": "/u/.*", "cluster": "back",
         "regex_rewrite": {"pattern": "^/u/([^/]+)/(.*)$", "substitution": "/\\2/of/\\1"}},
        {"cluster": "back"}]))
    with Client(address) as client:
        first, headers = seen(client.ask(path="/api/x/y?q=/api/"))
        assert first == "GET /x/y?q=/api/ HTTP/1.1" and headers["host"] == "inner.example"
        assert headers["x-forwarded-host"] == "example.com"
        assert seen(client.ask(path="/u/ann/photos?q"))[0] == "GET /photos/of/ann?q HTTP/1.1"
        assert seen(client.ask(path="http://example.com/abs?q"))[0] == "GET /abs?q HTTP/1.1"
        assert seen(client.ask("OPTIONS", "*"))[0] == "OPTIONS * HTTP/1.1"
        assert seen(client.ask(path="/a//b/../%2e"))[0] == "GET /a//b/../%2e HTTP/1.1"


def test_edits_of_headers(start, address, echoing):
    start(web(address, echoing.address, routes=[{
        "cluster": "back",
        "request_headers": {"remove": ["X-Gone"], "set": {"X-One": "%CLIENT_ADDRESS%"},
                            "add": {"X-More": "2"}},
        "response_headers": {"remove": ["X-Inner"], "set": {"Server": "outer", "X-Gen": "%GENERATION%"}}}]))
    response = ask(address, headers=[("x-gone", "1"), ("x-one", "0"), ("X-ONE", "1"), ("X-More", "1")])
    _, headers = seen(response)
    assert "x-gone" not in headers and headers["x-one"] == "127.0.0.1" and headers["x-more"] == "2"
    assert response.body.decode().lower().count("x-more: ") == 2
    assert response.get("x-inner") is None
    assert response.all("server") == ["outer"] and response.get("x-gen") == "1"


def test_hop_by_hop_lines_end_at_the_proxy(start, address, echoing):
    start(web(address, echoing.address))
    _, headers = seen(ask(address, headers=[
        ("Connection", "close, x-hop, host, x-forwarded-for"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"), ("Proxy-Connection", "keep-alive"), ("X-Stays", "1")]))
    assert set(headers) == {"host", "x-stays", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}


@pytest.mark.parametrize("hops, sent, forwarded, client", [
    (0, "6.6.6.6", "127.0.0.1", "127.0.0.1"),
    (0, None, "127.0.0.1", "127.0.0.1"),
    (1, "6.6.6.6, 10.0.0.9", "6.6.6.6, 10.0.0.9, 127.0.0.1", "10.0.0.9"),
    (2, "6.6.6.6, 10.0.0.9", "6.6.6.6, 10.0.0.9, 127.0.0.1", "6.6.6.6"),
    (3, "6.6.6.6, 10.0.0.9", "6.6.6.6, 10.0.0.9, 127.0.0.1", "127.0.0.1"),
    (1, "not an address", "not an address, 127.0.0.1", "127.0.0.1"),
    (1, "[2001:db8::1]:99", "[2001:db8::1]:99, 127.0.0.1", "2001:db8::1"),
])
def test_the_clients_address_behind_trusted_hops(start, address, echoing, log, hops, sent,
                                                  forwarded, client):
    start(web(address, echoing.address, http={"trusted_hops": hops}, log=log.path))
    claims = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "claimed.example"),
              ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=6.6.6.6")]
    _, headers = seen(ask(address, headers=claims + ([("X-Forwarded-For", sent)] if sent else [])))
    assert headers["x-forwarded-for"] == forwarded
    assert headers["x-forwarded-proto"] == ("https" if hops else "http")
    assert headers["x-forwarded-host"] == ("claimed.example" if hops else "example.com")
    assert ("x-real-ip" in headers) == ("forwarded" in headers) == bool(hops)
    assert log.last()["client"] == client


def test_weighted_clusters_get_their_shares(start, address):
    with (HttpServer(lambda _: answer(body=b"heavy")) as heavy,
          HttpServer(lambda _: answer(body=b"light")) as light):
        tables = web(address, heavy.address, routes=[{"clusters": [
            {"name": "back", "weight": 3}, {"name": "light", "weight": 1}, {"name": "none", "weight": 0}]}])
        tables["cluster"] += [{"name": "light", "endpoints": [light.address]},
                              {"name": "none", "endpoints": ["127.0.0.1:1"]}]
        start(tables)
        with Client(address) as client:
            counts = collections.Counter(client.ask().body for _ in range(800))
    # 600 on average; five standard deviations around it.
    assert set(counts) == {b"heavy", b"light"} and abs(counts[b"heavy"] - 600) < 62, counts


def test_hashed_requests_stick_to_an_endpoint_over_reloads(start, address):
    with HttpServer(lambda _: answer(body=b"a")) as a, HttpServer(lambda _: answer(body=b"b")) as b:
        baton = start(web(address, a.address, b.address, cluster={"lb_policy": "maglev"},
                          supervisor={"probation": "20ms"},
                          routes=[{"cluster": "back", "hash": {"cookie": "user"}}]))

        def who(user):
            return ask(address, headers={"Cookie": f"x=1; user={user}"}).body

        before = [who(user) for user in range(20)]
        baton.reload()
        assert [who(user) for user in range(20)] == before and set(before) == {b"a", b"b"}


def test_a_reload_brings_new_routes_to_new_requests(start, address):
    staying = {"supervisor": {"probation": "20ms", "drain_strategy": "immediate"},
               "proxy": {"workers": 2, "move_connections": False}}
    baton = start({**web(address, routes=[saying("old")]), **staying})
    with Client(address) as client:
        assert client.ask().body == b"old"
        baton.write({**web(address, routes=[saying("new")]), **staying})
        baton.reload()
        # The old connection ends at its next message boundary; the request on it is answered by old.
        assert ask(address).body == b"new"
        while (last := client.ask()).get("connection") is None:  # the order to drain is on its way
            assert last.body == b"old"
        assert last.body == b"old" and client.is_closed()


def test_a_direct_response_without_a_body_has_none(start, address):
    start(web(address, routes=[{"path": "/empty", "direct_response": {"status": 404}},
                               {"direct_response": {"status": 404, "body": "gone"}}]))
    empty = ask(address, path="/empty")
    assert (empty.status, empty.body, empty.get("content-length")) == (404, b"", "0"), empty
    assert ask(address).body == b"gone"
