"""What is written about the command line, and what completes it, against what it says itself."""

import re
import subprocess

import pytest
from harness.baton import DONE, PROXY, ROOT, SUPERVISOR, run
from harness.tables import also, relay

MAN = ROOT / "docs" / "man"
BASH = ROOT / "packaging" / "completions" / "baton.bash"
ZSH = ROOT / "packaging" / "completions" / "_baton"
OPTION = re.compile(r"^  (?:-\w,)?(--[\w-]+)", re.M)
# mdoc: `.It Fl -config Ar file , Fl -proxy`
FLAG = re.compile(r"\bFl (-[\w-]+)")


def help_of(program, *command):
    answer = run(program, *command, "--help")
    assert answer.code == DONE, answer
    return answer.out


def options_of(program, *command):
    return set(OPTION.findall(help_of(program, *command)))


def commands():
    listed = help_of(SUPERVISOR).partition("Subcommands:")[2]
    return re.findall(r"^  (\w+)", listed, re.M)


def flags_in(text):
    items = "\n".join(line for line in text.splitlines() if line.startswith(".It Fl"))
    return {f"-{flag}" for flag in FLAG.findall(items)}


def section(text, kind, name):
    return re.search(rf"^\.{kind} {name}\n(.*?)(?=^\.S[hs] |\Z)", text, re.M | re.S)[1]


def test_the_manual_has_every_command():
    written = re.findall(r"^\.Ss (\w+)$", (MAN / "baton.8").read_text(), re.M)
    assert written == commands()


def test_the_manual_has_every_option_of_its_own():
    text = section((MAN / "baton.8").read_text(), "Sh", "COMMANDS")
    assert {f"-{flag}" for flag in FLAG.findall(text)} >= options_of(SUPERVISOR)


@pytest.mark.parametrize("command", commands())
def test_the_manual_has_every_option_of_a_command(command):
    text = (MAN / "baton.8").read_text()
    common = flags_in(section(text, "Sh", "COMMANDS"))
    assert flags_in(section(text, "Ss", command)) | common == options_of(SUPERVISOR, command)


def test_the_manual_has_every_option_of_the_proxy():
    assert flags_in((MAN / "baton-proxy.8").read_text()) == options_of(PROXY)


@pytest.mark.parametrize("page", ["baton.8", "baton-proxy.8", "baton.toml.5"])
def test_the_manual_is_well_formed(page, directory):
    path = MAN / page
    if not path.exists():
        path = directory / page
        subprocess.run(["/usr/bin/python3", MAN / "markdown_to_man.py", ROOT / "docs" / "configuration.md",
                        path, "baton.toml", "5", "configuration"], check=True, timeout=20)
    shown = run("groff", "-man" if page.endswith("5") else "-mdoc", "-Tutf8", "-t", "-wall", path)
    assert shown.code == 0 and shown.err == "", shown.err
    assert len(shown.out.splitlines()) > 30


def documented_metrics():
    """name -> (kind, labels, help)"""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", (ROOT / "docs" / "metrics.md").read_text(), re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels)), told) for name, kind, labels, told in rows}


def metrics_told_by(baton):
    text = baton.do("stats", "--prometheus").out
    kinds, told = (dict(re.findall(rf"^# {what} (\w+) (.*)$", text, re.M)) for what in ("TYPE", "HELP"))
    labels = {name: set() for name in kinds}
    for name, its in re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.M):
        name = name if name in kinds else re.sub("_(bucket|sum|count)$", "", name)
        labels[name] |= set(re.findall(r'(\w+)="', its)) - {"le"}
    return {name: (kinds[name], labels[name], told[name]) for name in kinds}


def test_every_metric_is_documented_as_it_is(start, address, another_address, directory):
    checked = {"health_check": {"type": "tcp"}, "outlier_detection": {}}
    first = [{"type": "proxy_protocol"}, {"type": "ip_filter", "deny": ["192.0.2.1/32"]}]
    tables = relay(address, "127.0.0.1:1", cluster=checked, listener={"filter": first})
    filters = [{"type": "compression"}, {"type": "fault", "by_request": True},
               {"type": "ip_filter", "deny": ["192.0.2.1/32"]}, {"type": "rate_limit", "requests_per_second": 1}]
    tables = also(tables, "web", another_address, "127.0.0.1:1", protocol="http", filter=filters,
                  access_log={"path": str(directory / "access.log")})
    tables = also(tables, "datagrams", address, "127.0.0.1:1", protocol="udp")
    assert metrics_told_by(start(tables)) == documented_metrics()


def complete_in_bash(*words):
    script = (f"source {BASH}; COMP_WORDS=(baton {' '.join(words)} ''); COMP_CWORD={len(words) + 1}; "
              '_baton; printf "%s\\n" "${COMPREPLY[@]}"')
    done = run("bash", "-c", script)
    assert done.code == 0 and done.err == "", done
    return set(done.out.split())


def test_bash_completes_every_command():
    assert complete_in_bash() == set(commands()) | options_of(SUPERVISOR)


@pytest.mark.parametrize("command", commands())
def test_bash_completes_every_option_of_a_command(command):
    assert complete_in_bash(command) == options_of(SUPERVISOR, command)


@pytest.mark.parametrize("option, some", [
    ("--drain-strategy", {"gradual", "immediate"}), ("--log-format", {"text", "json"}),
    ("--log-level", {"debug", "info", "warning", "error", "off"}), ("--drain-time", set())])
def test_bash_completes_what_an_option_takes(option, some):
    assert complete_in_bash("run", option) == some


def test_zsh_completes_every_command():
    listed = re.search(r"commands=\((.*?)\n      \)", ZSH.read_text(), re.S)[1]
    assert re.findall(r"'(\w+):", listed) == commands()


@pytest.mark.parametrize("command", commands())
def test_zsh_completes_every_option_of_a_command(command):
    text = ZSH.read_text()
    arguments = re.search(rf"^        {command}\)(.*?);;", text, re.M | re.S)[1]
    for name in re.findall(r"\$(\w+)", arguments):
        arguments += re.search(rf"^  {name}=\((.*?)^  \)", text, re.M | re.S)[1]
    # Past the options that an option excludes, "(--other)--this[...]".
    offered = set(re.findall(r"'(?:\([^)]*\))?(--[\w-]+)\[", arguments))
    offered |= set(re.findall(r"\{-\w,(--[\w-]+)\}", arguments))
    assert offered == options_of(SUPERVISOR, command)


def test_the_configuration_in_the_kubernetes_example_is_good(directory):
    text = (ROOT / "packaging" / "examples" / "kubernetes.yaml").read_text()
    block = re.search(r"  baton.toml: \|\n((?:    .*\n|\n)+)", text)[1]
    path = directory / "baton.toml"
    path.write_text(re.sub(r"^    ", "", block, flags=re.M))
    answer = run(PROXY, "--check", "--config", path)
    assert answer.code == DONE, answer
