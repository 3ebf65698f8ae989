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
