"""What the simulated devices answer to commands."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_lab import shell
from msp_lab.clock import LabClock
from msp_lab.fleet import Fleet
from msp_lab.world import View, World

WORLD = World(Fleet(), LabClock(datetime(2026, 1, 15, tzinfo=UTC)))


def view(hostname: str) -> View:
    return next(v for v in WORLD.views(None) if v.device.hostname == hostname)


WINDOWS, LINUX, MAC = view("ACME-DC01"), view("ACME-WEB01"), view("HARBOR-MBP017")


@pytest.mark.parametrize(
    ("device", "text", "code", "output"),
    [
        (WINDOWS, "hostname", 0, "ACME-DC01"),
        (WINDOWS, 'cmd.exe!!! /c "hostname"', 0, "ACME-DC01"),
        (WINDOWS, 'powershell.exe!!! -NonInteractive -Command "Write-Output \\"a b\\""', 0, "a b"),
        (WINDOWS, "ver", 0, "Microsoft Windows [Version 10.0"),
        (LINUX, "uname -a", 0, "Linux ACME-WEB01"),
        (MAC, "uname", 0, "Darwin HARBOR-MBP017"),
        (WINDOWS, "whoami", 0, "nt authority\\system"),
        (LINUX, "whoami", 0, "root"),
        (WINDOWS, "ipconfig /all", 0, "10.1.0.10"),
        (LINUX, "df -kP", 0, "/var"),
        (WINDOWS, "echo hello there", 0, "hello there"),
        (LINUX, "exit 7", 7, ""),
        (WINDOWS, "(Get-CimInstance Win32_Processor).LoadPercentage", 0, ""),
        (WINDOWS, "net start Spooler", 0, "Spooler"),
        (WINDOWS, "net start Nothing", 1, "not found"),
        (WINDOWS, "frobnicate now", 1, "'frobnicate' is not recognized"),
        (LINUX, "frobnicate now", 1, "frobnicate: not found"),
        (LINUX, "", 1, "not found"),
    ],
)
def test_answers(device: View, text: str, code: int, output: str) -> None:
    """The known commands answer as a device of that system would, others as its shell would."""
    result = shell.run(device, text)
    assert result.code == code
    assert result.succeeded is (code == 0)
    assert output in result.output


def test_disk_and_load_are_the_story() -> None:
    """What commands measure is what the vendors are told."""
    lines = shell.run(LINUX, "df").output.splitlines()[1:]
    free = [int(line.split()[3]) * 1024 for line in lines]
    told = [LINUX.free_bytes(index) for index in range(len(free))]
    assert all(0 <= t - f < 1024 for f, t in zip(free, told, strict=True))
    load = shell.run(WINDOWS, "(Get-CimInstance Win32_Processor).LoadPercentage").output
    assert int(load) == round(WINDOWS.reading.cpu * 100)


@pytest.mark.parametrize(
    ("device", "text", "mark", "code"),
    [
        (WINDOWS, 'cmd.exe!!! /s /c "hostname & call echo ::mark:%^errorlevel%"', "::mark:", 0),
        (WINDOWS, 'cmd.exe!!! /s /c "nonsense & call echo ::mark:%^errorlevel%"', "::mark:", 1),
        (
            WINDOWS,
            "powershell.exe!!! -Command \"Invoke-Expression 'hostname';"
            " Write-Output ('::mark:' + $LASTEXITCODE)\"",
            "::mark:",
            0,
        ),
        (LINUX, "/bin/sh!!! -c '(eval \"$0\"); echo \"::mark:$?\"' 'exit 3'", "::mark:", 3),
    ],
)
def test_the_exit_code_can_be_asked_for(device: View, text: str, mark: str, code: int) -> None:
    """A caller that has the shell print the exit code behind a mark finds it there."""
    assert shell.run(device, text).output.rstrip().endswith(f"{mark}{code}")


@pytest.mark.parametrize(
    ("device", "command", "running"),
    [
        (WINDOWS, "net stop Spooler", False),
        (WINDOWS, "sc start Spooler", True),
        (WINDOWS, "Restart-Service -Name Spooler", True),
        (WINDOWS, "Stop-Service spooler", False),
        (LINUX, "sudo systemctl restart nginx", True),
        (LINUX, "systemctl stop nginx", False),
    ],
)
def test_services_change(device: View, command: str, running: bool) -> None:
    """Starting and stopping a service is reported to whoever keeps the state."""
    changed = shell.run(device, command).service
    assert changed is not None
    assert changed[0].lower() in ("spooler", "nginx")
    assert changed[1] is running


@given(text=st.text(), device=st.sampled_from([WINDOWS, LINUX, MAC]))
def test_any_text_is_answered(text: str, device: View) -> None:
    """No command line makes a device raise."""
    assert isinstance(shell.run(device, text).output, str)
