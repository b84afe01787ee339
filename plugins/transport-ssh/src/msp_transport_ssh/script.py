"""The one fixed script that reads a machine's facts, and the sections of what it prints.

It only reads. One round trip gives everything: connections cost more than output.
"""

import re
from collections.abc import Mapping

COMMAND = "sh -s"
"""Any login shell can start this; the script comes on standard input."""

SCRIPT = r"""{
LC_ALL=C; export LC_ALL
PATH="$PATH:/usr/sbin:/sbin:/usr/bin:/bin"; export PATH
say() { printf '\n@@msp %s\n' "$1"; }
say system; uname -s
case "$(uname -s)" in
Linux)
  say stat; grep '^cpu ' /proc/stat
  say load; cat /proc/loadavg
  say cpus; grep -c '^cpu[0-9]' /proc/stat
  say memory; cat /proc/meminfo
  say blocks; df -PkTl 2>/dev/null || df -PkT 2>/dev/null
  say inodes; df -Pil 2>/dev/null || df -Pi 2>/dev/null
  say mounts; cat /proc/mounts
  if [ -d /run/systemd/system ]; then
    say units; systemctl list-units --type=service --all --plain --no-legend --no-pager 2>/dev/null
    say unitfiles; systemctl list-unit-files --type=service --no-legend --no-pager 2>/dev/null
  elif [ -d /etc/init.d ] && command -v service >/dev/null; then
    say sysv; service --status-all 2>/dev/null
    say boot; ls /etc/rc2.d /etc/rc3.d /etc/rc4.d /etc/rc5.d 2>/dev/null
  fi
  sleep 1
  say stat2; grep '^cpu ' /proc/stat
  ;;
Darwin)
  say top; top -l 2 -n 0 -s 1
  say load; sysctl -n vm.loadavg
  say cpus; sysctl -n hw.logicalcpu
  say memsize; sysctl -n hw.memsize
  say swap; sysctl -n vm.swapusage
  say vmstat; vm_stat
  say blocks; df -Pk
  say mounts; mount
  say launchd; launchctl list
  ;;
esac
say end
} </dev/null
"""

_MARK = re.compile(r"^@@msp ([a-z0-9]+)\r?$", re.MULTILINE)


class Unreadable(Exception):
    """What a machine printed is not what the script prints; the text says which part, for people."""


def sections(text: str) -> dict[str, str]:
    """Split the script's output; raise Unreadable where it is cut short or nothing of it is there.

    Of a section that comes twice the first counts: what a later command prints cannot replace it.
    """
    found: dict[str, str] = {}
    marks = list(_MARK.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    for mark, end in zip(marks, ends, strict=False):
        body = text[mark.end() : end]
        found.setdefault(mark[1], body.strip("\r\n"))
    if not found:
        raise Unreadable("the machine does not run the script: it needs sh")
    if "end" not in found:
        raise Unreadable("the machine's answer is cut short")
    return found


def part(parts: Mapping[str, str], name: str) -> str:
    """Return a section that must be there; raise Unreadable."""
    if name not in parts:
        raise Unreadable(f"the answer has no part {name!r}")
    return parts[name]
