"""Configurations that many tests start from, as tables for toml.dumps()."""

SUPERVISOR = {"probation": "100ms", "drain_time": "5s", "start_timeout": "10s"}


def relay(address, *endpoints, workers=2, supervisor=None, listener=None, cluster=None, admin=None,
          moves=True):
    """One tcp listener, "front", that relays to these endpoints, the cluster "back"."""
    return {
        "supervisor": {**SUPERVISOR, **(supervisor or {})},
        "proxy": {"workers": workers, "move_connections": moves},
        "admin": {"address": admin} if admin else None,
        "listener": [{"name": "front", "address": address, "protocol": "tcp", "cluster": "back",
                      **(listener or {})}],
        "cluster": [{"name": "back", "endpoints": list(endpoints), **(cluster or {})}],
    }


def staying(address, *endpoints, **options):
    """relay(), whose connections do not move to the next generation: they drain."""
    return relay(address, *endpoints, moves=False, **options)


def saying(address, text, **options):
    """One listener, "front", that says a text and closes."""
    tables = relay(address, "127.0.0.1:1", **options)
    del tables["listener"][0]["cluster"]
    tables["listener"][0]["filter"] = [{"type": "direct_response", "body": text}]
    return {**tables, "cluster": None}


def also(tables, name, address, *endpoints, **listener):
    """The same with one more listener, and a cluster of its own when endpoints are given."""
    cluster = f"{name}-back" if endpoints else "back"
    return {
        **tables,
        "listener": [*tables["listener"], {"name": name, "address": address, "protocol": "tcp",
                                           "cluster": cluster, **listener}],
        "cluster": [*(tables["cluster"] or []),
                    *([{"name": cluster, "endpoints": list(endpoints)}] if endpoints else [])],
    }


def web(address, *endpoints, routes=None, http=None, listener=None, log=None, **options):
    """One http listener, "front": every request to these endpoints, the cluster "back", or by routes.

    `log` is a path: one JSON object a request, with the members of LOGGED.
    """
    tables = relay(address, *(endpoints or ["127.0.0.1:1"]), **options)
    front = {"name": "front", "address": address, "protocol": "http", **(listener or {})}
    if http:
        front["http"] = http
    if log:
        front["access_log"] = {"path": str(log), "json": LOGGED}
    if routes is None:
        front["cluster"] = "back"
    else:
        front["route"] = routes
    return {**tables, "listener": [front]}


LOGGED = {
    "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
    "method": "%METHOD%", "path": "%PATH%", "received": "%BYTES_RECEIVED%", "sent": "%BYTES_SENT%",
    "upstream": "%UPSTREAM_HOST%", "cluster": "%UPSTREAM_CLUSTER%", "route": "%ROUTE_NAME%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "generation": "%GENERATION%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "authority": "%AUTHORITY%",
}
