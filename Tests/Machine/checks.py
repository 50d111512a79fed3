"""The checks that run.sh runs inside the machine, as root, once it has booted.

Each part leaves the service as the next one wants it, so their order matters.
"""

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

UNIT = "aumd.service"
SOCKET = "/run/aumd/events.sock"
CONFIG = Path("/etc/aumd/aumd.yaml")
RECORDS = Path("/var/lib/aumd/events.ndjson")
METRICS = Path("/run/aumd/aumd.prom")
RECORDINGS = Path("/var/lib/aumd/recordings")
DEMO = Path("/usr/local/share/aumd/demo.json")
ALOOP = Path("/sys/bus/platform/drivers/snd_aloop")
MODEL = Path("/usr/local/share/aumd/model")
ONE_LAYER = Path("/var/lib/aumd-model")
PATIENCE = 90

# Emulated floating point is a thousand times as slow: there the whole model hears only the scene's first sounds, without
# window passes, and its first layer does where it does not matter what is heard.
EMULATED = subprocess.run(["systemd-detect-virt"], capture_output=True, text=True).stdout.strip() == "qemu"
SCENE = 12 if EMULATED else 45

passed = failed = 0


def check(what, holds, observed=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print(f"{'ok    ' if holds else 'FAILED'}  {what}{f': {observed}' if observed != '' else ''}", flush=True)
    return holds


def run(*command, expected=0, seconds=300):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
    if expected is not None and result.returncode != expected:
        raise RuntimeError(f"{' '.join(command)} ended with {result.returncode}: {result.stdout}")
    return result.stdout.strip()


def show(key, unit=UNIT):
    return run("systemctl", "show", "--value", "-p", key, unit)


def wait(condition, seconds=PATIENCE):
    """The condition's first true value, or its last one."""
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.5)
    return value


def is_active(unit=UNIT):
    return wait(lambda: show("ActiveState", unit) == "active" and show("SubState", unit) == "running")


def journal(*match, unit=UNIT):
    run("journalctl", "--sync")
    lines = run("journalctl", "-o", "json", "-u", unit, "--since", f"@{since}", *match, expected=None)
    return [json.loads(line) for line in lines.splitlines() if line.startswith("{")]


def catalog_ids():
    """Message ids by their subject."""
    found = re.findall(r"^-- ([0-9a-f]{32})\nSubject: (.*)$", Path("/mnt/systemd/aumd.catalog").read_text(), re.M)
    return {subject: id for id, subject in found}


class Listener:
    """Reads records from a service's socket."""

    def __init__(self, path=SOCKET):
        self.records = []
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with self.connection.makefile() as lines:
            for line in lines:
                self.records.append(json.loads(line))

    def find(self, **fields):
        return [r for r in list(self.records) if all(r.get(k) == v for k, v in fields.items())]

    def await_record(self, seconds=PATIENCE, **fields):
        return wait(lambda: self.find(**fields), seconds)


def configure(model, text=""):
    CONFIG.write_text(f"model: {model}\nstream: {{window: {str(not EMULATED).lower()}}}\n{text}")


def write_one_layer():
    ONE_LAYER.mkdir()
    config = json.loads((MODEL / "config.json").read_text())
    (ONE_LAYER / "config.json").write_text(json.dumps({**config, "n_layer": 1}))
    data = (MODEL / "model.safetensors").read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header, tensors = {}, b""
    for name, tensor in json.loads(data[8:start]).items():
        if name != "__metadata__" and (name.startswith("layers.0.") or not name.startswith("layers.")):
            first, end = tensor["data_offsets"]
            header[name] = {**tensor, "data_offsets": [len(tensors), len(tensors) + end - first]}
            tensors += data[start + first:start + end]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (ONE_LAYER / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + tensors)


def records():
    return [json.loads(line) for line in RECORDS.read_text().splitlines()]


def play():
    """The demo scene into the loopback device's other end."""
    return subprocess.Popen(["aplay", "-q", "-d", str(SCENE), "-D", "plughw:CARD=Loopback,DEV=1", "/tmp/demo.wav"])


def plug(is_plugged):
    """What pulling a USB microphone does to ALSA."""
    (ALOOP / ("bind" if is_plugged else "unbind")).write_text("snd_aloop.0")


def as_user(user):
    return "setpriv", "--reuid", user, "--regid", user, "--init-groups"


def can_connect(user):
    """Whether a program of this user can read from the socket; None is any error but a refused permission."""
    code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{SOCKET}'); assert s.recv(1) == b'{{'"
    result = subprocess.run([*as_user(user), "python3", "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    return True if result.returncode == 0 else False if "PermissionError" in result.stderr else None


# MARK: the parts


def installs():
    output = run("env", "BUILD=/mnt/release", "/mnt/systemd/install.sh")
    files = [Path(line) for line in output.splitlines() if line.startswith("/")]
    check("install.sh installs", len(files) >= 12 and all(file.is_file() for file in files), f"{len(files)} files")
    check("the group is there", run("getent", "group", "aumd").startswith("aumd:"))
    check("the program starts", run("aumd", "--version"), run("aumd", "--version"))
    flags = Path("/proc/cpuinfo").read_text().split()
    right = "x86-64-v4" if "avx512vl" in flags else "x86-64-v3" if "avx2" in flags else "baseline"
    kernels = re.search(r"kernels +(\S+)", run("aumd", "model"))[1]
    check("the kernels fit the processor", kernels.split("+")[0] == right, kernels)
    check("the unit is known", show("LoadState") == "loaded", show("FragmentPath"))
    run("useradd", "--groups", "aumd", "member")
    run("useradd", "stranger")
    run("sndfile-convert", "-pcm16", "/usr/local/share/aumd/demo.ogg", "/tmp/demo.wav")
    write_one_layer()


def no_microphone():
    configure(ONE_LAYER, f"output: {{file: {RECORDS}, metrics: {METRICS}, status_interval: 1}}\n")
    check("there is no sound device", not Path("/proc/asound").exists())
    run("systemctl", "enable", UNIT)
    run("systemctl", "start", "--no-block", UNIT)
    status = wait(lambda: "is not there" in (s := show("StatusText")) and s)
    check("without a microphone it waits and says so", status, status)
    os.kill(int(show("MainPID")), signal.SIGHUP)
    time.sleep(5)
    check("it goes on saying so", "is not there" in show("StatusText"))
    check("it goes on waiting and is not ready, also when its files are reopened", show("ActiveState") == "activating" and show("NRestarts") == "0",
          show("SubState"))
    run("modprobe", "snd-aloop")
    check("a microphone plugged in makes it ready (READY=1)", is_active(), show("StatusText"))
    check("by itself, without a restart", show("NRestarts") == "0")
    readers = [user for user in ("member", "stranger") if subprocess.run([*as_user(user), "test", "-r", METRICS]).returncode == 0]
    check("the group can read the metrics, others cannot", readers == ["member"], readers)
    check("they say that it hears", wait(lambda: 'state="capturing"} 1' in METRICS.read_text()))


def process():
    pid = int(show("MainPID"))
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    groups = {run("getent", "group", g).split(":")[0] for g in status["Groups"].split()}
    gid = run("getent", "group", status["Gid"].split()[0]).split(":")[0]
    uid = int(status["Uid"].split()[0])
    check("the user is dynamic, the group aumd", 61184 <= uid <= 65519 and gid == "aumd", f"{uid} {gid}")
    check("it is in the group audio", "audio" in groups, groups)
    check("it has no capabilities", all(int(status[k], 16) == 0 for k in ("CapEff", "CapPrm", "CapBnd", "CapAmb")))
    check("system calls are filtered", status["Seccomp"] == "2" and status["NoNewPrivs"] == "1")
    spaces = {s for s in ("mnt", "net", "user") if os.readlink(f"/proc/{pid}/ns/{s}") != os.readlink(f"/proc/1/ns/{s}")}
    check("it has namespaces of its own", spaces == {"mnt", "net", "user"}, spaces)
    mounts = {f[4]: f[5].split(",") for f in map(str.split, Path(f"/proc/{pid}/mountinfo").read_text().splitlines())}
    check("the file system is read-only but for its own folders",
          "ro" in mounts["/"] and "rw" in mounts["/var/lib/private/aumd"])
    check("memory is locked", int(status["VmLck"].split()[0]) > 512, status["VmLck"].strip())
    threads = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, tid = (task / "comm").read_text().strip(), int(task.name)
        threads[name] = (os.sched_getscheduler(tid), os.sched_getparam(tid).sched_priority)
    check("the capture thread runs under SCHED_FIFO", threads.get("capture") == (os.SCHED_FIFO, 20), threads)
    check("no other thread does",
          all(policy == os.SCHED_OTHER for name, (policy, _) in threads.items() if name != "capture"))
    check("the analysis thread has its name", "analysis" in threads)
    check("the watchdog is on", show("WatchdogUSec") == "30s", show("WatchdogUSec"))
    first = show("WatchdogTimestampMonotonic")
    check("the watchdog is fed", wait(lambda: show("WatchdogTimestampMonotonic") != first, 15))


def journal_entries():
    ids = catalog_ids()
    # It was waited for, so it is back.
    entries = journal(f"MESSAGE_ID={ids['The sound device is back']}")
    check("the journal says that it listens", len(entries) == 1, entries and entries[0]["MESSAGE"])
    entry = entries[0]
    check("by the native protocol, from the unit",
          entry["_TRANSPORT"] == "journal" and entry["_SYSTEMD_UNIT"] == UNIT and entry["SYSLOG_IDENTIFIER"] == "aumd")
    check("with fields", entry["AUMD_STATE"] == "capturing" and json.loads(entry["AUMD_JSON"])["state"] == "capturing",
          sorted(k for k in entry if k.startswith("AUMD_")))
    text = run("journalctl", "-x", "-u", UNIT, f"MESSAGE_ID={ids['The sound device is back']}")
    check("journalctl -x explains it", f"The source {entry['AUMD_SOURCE']} delivers sound again" in text)


def socket_permissions():
    check("a member of the group reads the socket", can_connect("member") is True)
    check("others may not", can_connect("stranger") is False)


def demo():
    sounds = Path("/etc/aumd/sounds")
    shutil.copytree("/mnt/sounds", sounds)
    configure(MODEL, "output: {status_interval: 1}\n")
    run("systemctl", "restart", UNIT)
    listener = Listener()
    player = play()
    expected = {sound["label"] for sound in json.loads(DEMO.read_text())}
    check("the demo scene plays", player.wait(timeout=240) == 0)
    time.sleep(1 if EMULATED else 6)
    events = listener.find(type="event")
    opened = {e["label"] for e in events if e["phase"] == "open"}
    closed = {e["label"] for e in events if e["phase"] == "close"}
    check("sounds of the demo scene are told at the socket", closed & expected,
          f"{sorted(closed & expected)} of {sorted(closed)}, opened {sorted(opened)}")
    with_sounds, without = run("aumd", "model").split()[0], run("aumd", "model", "--sounds", "/tmp").split()[0]
    models = {e["model"] for e in events}
    check("it listens for the learned sounds too", models == {with_sounds} and with_sounds != without, f"{models}, {without} without them")
    shutil.rmtree(sounds)
    numbers = [r["seq"] for r in listener.records]
    check("no record is missing", numbers == list(range(numbers[0], numbers[0] + len(numbers))), len(numbers))
    entries = journal("AUMD_PHASE=close")
    check("and in the journal", {e["AUMD_LABEL"] for e in entries} & expected, len(entries))
    noise = [e["MESSAGE"] for e in journal() if "thread priority" in e["MESSAGE"]]
    check("with no complaint of libdispatch between them", not noise, len(noise))
    text = run("journalctl", "-x", "-u", UNIT, f"AUMD_EVENT_ID={entries[0]['AUMD_EVENT_ID']}", "AUMD_PHASE=close")
    check("journalctl -x explains an event", f"lasted from {entries[0]['AUMD_ONSET']}" in text)
    last = listener.find(type="status")[-1]
    check("nothing was lost meanwhile", last["dropped"] == 0 and last["xruns"] == 0, last)


def reload():
    configure(ONE_LAYER, f"output: {{file: {RECORDS}, status_interval: 1}}\n")
    run("systemctl", "restart", UNIT)
    pid = show("MainPID")
    old = RECORDS.with_suffix(".1")
    RECORDS.rename(old)
    run("systemctl", "reload", UNIT)
    check("after a rename and a reload there is a new file", wait(lambda: RECORDS.exists() and records()),
          f"{RECORDS.exists() and len(records())} records")
    before = [json.loads(line)["seq"] for line in old.read_text().splitlines()]
    after = [r["seq"] for r in records()]
    check("no record is lost between them", after[0] == before[-1] + 1, f"{before[-1]}, {after[0]}")
    time.sleep(2)
    check("the program stays up", is_active() and show("MainPID") == pid, show("StatusText"))
    result = show("ReloadResult")
    check("the reload has succeeded", result == "success", result)


def unplugging():
    ids = catalog_ids()
    pid = show("MainPID")
    entries = lambda subject: journal(f"MESSAGE_ID={ids[subject]}")
    away, back = len(entries("The sound device is away")), len(entries("The sound device is back"))
    listener = Listener()
    plug(False)
    lost = listener.await_record(type="status", state="device_lost")
    check("a device that is unplugged is told", lost, lost and lost[0].get("message"))
    check("also in the journal", wait(lambda: len(entries("The sound device is away")) > away))
    run("rmmod", "snd_aloop")
    time.sleep(35)  # longer than the watchdog's interval
    check("it waits without a restart", is_active() and show("MainPID") == pid)
    check("it goes on saying so", "is not there" in show("StatusText"), show("StatusText"))
    run("modprobe", "snd-aloop")
    gaps = listener.await_record(type="gap")
    check("plugged in again, the gap is told", gaps and gaps[0]["cause"] == "device_lost", gaps)
    check("and in the journal that it is back", wait(lambda: len(entries("The sound device is back")) > back))
    check("by itself", is_active() and show("MainPID") == pid, show("StatusText"))


def pauses():
    pid, listener = show("MainPID"), Listener()
    holds = lambda: [fd for fd in Path(f"/proc/{pid}/fd").iterdir() if os.readlink(fd).startswith("/dev/snd/pcm")]
    check("it holds the microphone", holds())
    run("aumd", "pause")
    check("paused by root, it tells so", listener.await_record(type="status", state="paused"))
    check("and holds it no more", not holds())
    check("systemctl status has it", wait(lambda: show("StatusText") == "paused (until it is resumed)"), show("StatusText"))
    refused = subprocess.run([*as_user("member"), "aumd", "resume"], capture_output=True, text=True, timeout=PATIENCE)
    check("a member of the group may not have it go on", refused.returncode == 77, refused.stderr.strip())
    run("systemctl", "restart", UNIT)
    pid, listener = show("MainPID"), Listener()
    check("restarted, it is still paused", is_active() and listener.await_record(type="status", state="paused") and not holds())
    run("aumd", "resume")
    check("resumed, it listens", listener.await_record(type="status", state="capturing") and holds())
    run("aumd", "pause", "--for", "3s")
    gaps = listener.await_record(type="gap", cause="paused")
    check("a pause of some time ends by itself, and is a gap", gaps and holds(), gaps)
    check("without a restart", is_active() and show("MainPID") == pid, show("StatusText"))


def suspend():
    """An emulated machine whose clock counts instructions never wakes."""
    configure(ONE_LAYER, "output: {status_interval: 1}\n")
    run("systemctl", "start", UNIT)
    listener = Listener()
    pid = show("MainPID")
    run("rtcwake", "-m", "freeze", "-s", "15")
    gaps = listener.await_record(type="gap")
    check("a suspended machine is a gap", gaps, gaps)
    capturing = lambda: [r for r in listener.find(type="status", state="capturing") if gaps and r["seq"] > gaps[0]["seq"]]
    check("capture goes on after it", wait(capturing), listener.records[-1])
    check("without a restart", is_active() and show("MainPID") == pid, show("StatusText"))


def kills():
    pid = show("MainPID")
    os.kill(int(pid), signal.SIGKILL)
    check("killed, it is started again", wait(lambda: show("NRestarts") == "1") and is_active() and show("MainPID") != pid)
    pid = show("MainPID")
    os.kill(int(pid), signal.SIGSTOP)
    start = time.monotonic()
    restarted = wait(lambda: show("NRestarts") == "2", 180)
    check("standing still, the watchdog has it started again", restarted and is_active() and show("MainPID") != pid,
          f"{time.monotonic() - start:.0f} s")
    run("journalctl", "--sync")
    check("the journal names the watchdog", "Watchdog timeout" in run("journalctl", "-u", UNIT))


def stops():
    """With thresholds so low that any sound is an event."""
    run("systemctl", "stop", UNIT)
    RECORDS.unlink()
    CONFIG.write_text(f"model: {ONE_LAYER}\noutput: {{file: {RECORDS}}}\nrecordings: {{folder: {RECORDINGS}, longest: 2}}\n"
                      "events: {default: {on: 0.02, off: 0.01, cooldown: 0}}\n")
    run("systemctl", "start", UNIT)
    listener = Listener()
    followed = Path("/tmp/followed")
    follower = subprocess.Popen([*as_user("member"), "aumd", "follow", "--type", "event"], stdout=followed.open("w"))
    player = play()

    def open_events():
        last = {r["id"]: r["phase"] for r in listener.find(type="event")}
        return [id for id, phase in last.items() if phase in ("open", "update")]

    check("a member of the group follows them", wait(followed.read_text))
    told = wait(open_events)
    start = time.monotonic()
    run("systemctl", "stop", UNIT)
    duration = time.monotonic() - start
    player.kill()
    player.wait()
    check("systemctl stop ends it in time", duration < 20, f"{duration:.1f} s")
    check("with exit code 0", (show("Result"), show("ExecMainCode"), show("ExecMainStatus")) == ("success", "1", "0"))
    last = {r["id"]: r["phase"] for r in records() if r["type"] == "event"}
    check("events still open are closed", told and set(told) <= set(last)
          and all(phase in ("close", "retract") for phase in last.values()), f"{len(told)} open, {len(last)} in all")
    files = [Path(r["file"]) for r in records() if r["type"] == "recording"]
    check("their sound is in files", files and all(f.read_bytes().startswith(b"fLaC") for f in files), f"{len(files)}, such as {files[:1]}")
    check("the follower has heard of their end", wait(lambda: '"phase":"close"' in followed.read_text()))
    follower.terminate()
    follower.wait()
    check("the last record says that it stops", records()[-1].get("state") == "stopping", records()[-1])
    check("the socket is gone", not Path(SOCKET).exists())


def broker():
    """Another process, of another user, takes the records to a real broker that asks for a password."""
    unit, password = "aumd-mqtt.service", Path("/etc/aumd/mqtt.password")
    run("systemctl", "stop", UNIT)
    run("mosquitto_passwd", "-b", "-c", "/etc/mosquitto/passwords", "ears", "secret")
    shutil.chown("/etc/mosquitto/passwords", "mosquitto")
    Path("/etc/mosquitto/conf.d/aumd.conf").write_text("listener 1883 127.0.0.1\npassword_file /etc/mosquitto/passwords\n")
    run("systemctl", "restart", "mosquitto")
    password.write_text("secret\n")
    shutil.chown(password, group="aumd")
    password.chmod(0o640)
    configure(ONE_LAYER, "source: {name: kitchen, control_mode: '0660'}\noutput: {status_interval: 1}\n"
              f"mqtt: {{broker: 'mqtt://127.0.0.1', user: ears, password_file: {password}, sensors: [Speech], can_pause: true}}\n")
    login = "-h", "127.0.0.1", "-u", "ears", "-P", "secret"

    def kept(topic):
        return run("timeout", "5", "mosquitto_sub", *login, "-t", topic, "-C", "1", expected=None)

    run("systemctl", "start", unit)
    check("aumd-mqtt.service starts without a daemon", is_active(unit))
    check("the broker has it that there is none", wait(lambda: kept("aumd/kitchen/availability") == "offline"))
    run("systemctl", "start", UNIT)
    check("and that there is one", wait(lambda: kept("aumd/kitchen/availability") == "online"))
    status = json.loads(kept("aumd/kitchen/status") or "{}")
    check("with its status", status.get("source") == "kitchen", status)
    check("and a sensor", kept("aumd/kitchen/sound/speech") in ("ON", "OFF"))
    discovery = json.loads(kept("homeassistant/device/+/config") or "{}")
    for word, state in ("OFF", "paused"), ("ON", "capturing"):
        run("mosquitto_pub", *login, "-t", "aumd/kitchen/listening/set", "-m", word)
        check(f"{word} from the broker: {state}", wait(lambda: json.loads(kept("aumd/kitchen/status") or "{}").get("state") == state))
    check("Home Assistant is told", "sound_speech" in discovery.get("components", {}), list(discovery))
    users = [Path(f"/proc/{show('MainPID', one)}").stat().st_uid for one in (UNIT, unit)]
    check("the two are of two users, none of them root", len({*users, 0}) == 3, users)
    check("the journal has no complaints", not [e for e in journal("PRIORITY=3", unit=unit)], journal("PRIORITY=3", unit=unit))
    run("systemctl", "stop", UNIT)
    check("the daemon's end is told", wait(lambda: kept("aumd/kitchen/availability") == "offline"))
    run("systemctl", "stop", unit)
    check("it stops with exit code 0", (show("Result", unit), show("ExecMainStatus", unit)) == ("success", "0"))


def template():
    device = "plughw:CARD=Loopback,DEV=0"
    unit = f"aumd@{run('systemd-escape', device)}.service"
    configure(ONE_LAYER, "output: {status_interval: 1}\n")
    run("systemctl", "start", unit, seconds=PATIENCE)
    check("aumd@.service starts", is_active(unit), unit)
    listener = Listener(f"/run/{unit.removesuffix('.service')}/events.sock")
    status = listener.await_record(type="status", source=device, device=device, state="capturing")
    check("it listens to its device", status, status and status[0])
    entries = journal(f"AUMD_SOURCE={device}", unit=unit)
    check("its journal entries carry it", entries, len(entries))
    run("systemctl", "stop", unit)
    check("it stops", (show("Result", unit), show("ExecMainStatus", unit)) == ("success", "0"))


def sound_card():
    """A card that has interrupts and a place on a bus, named by that in a drop-in of aumd@NAME; it is pulled out and put back."""
    run("modprobe", "snd-hda-intel")
    link = wait(lambda: next(Path("/dev/snd/by-path").glob("pci-*"), None))
    name = f"CARD={link},DEV=0"
    check("aumd devices names a card by its place", f"also hw:{name}\n" in run("aumd", "devices"), name)
    unit, drop_in = "aumd@desk.service", Path("/etc/systemd/system/aumd@desk.service.d/device.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(f"[Service]\nEnvironment=AUMD_DEVICE=plughw:{name}\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", unit, seconds=PATIENCE)
    listener = Listener("/run/aumd@desk/events.sock")
    status = listener.await_record(type="status", source="desk", device=f"plughw:{name}", state="capturing")
    check("aumd@desk listens to it", status, status and status[0])
    silent = listener.await_record(type="status", state="silent")
    check("that it delivers only zeros is told, and nothing was lost", silent and silent[0]["xruns"] == 0, silent and silent[0])
    Path(f"/sys/bus/pci/devices/{link.name.removeprefix('pci-')}/remove").write_text("1")
    lost = listener.await_record(type="status", state="device_lost")
    check("pulled out of its bus, it is away", lost, lost and lost[0].get("message"))
    time.sleep(5)
    Path("/sys/bus/pci/rescan").write_text("1")
    gaps = listener.await_record(type="gap", cause="device_lost")
    check("put back, it is found again, and the gap is told", gaps and gaps[0]["samples"] > 0, gaps)
    check("without a restart", is_active(unit) and show("NRestarts", unit) == "0")
    run("systemctl", "stop", unit)


def busy():
    """A microphone that another program has is an error, and systemd tries again."""
    device = "hw:CARD=Loopback,DEV=0,SUBDEV=0"
    unit = f"aumd@{run('systemd-escape', device)}.service"
    run("systemctl", "stop", UNIT)
    other = subprocess.Popen(["arecord", "-q", "-D", device, "-f", "S16_LE", "-r", "48000", "-c", "2", "/dev/null"])
    time.sleep(3)
    run("systemctl", "start", "--no-block", unit)
    tried = wait(lambda: int(show("NRestarts", unit)) >= 6)
    check("a busy microphone is tried again", tried, show("NRestarts", unit))
    message = [e["MESSAGE"] for e in journal(unit=unit) if "in use" in e["MESSAGE"]]
    check("the journal says why", message, message and message[0])
    other.kill()
    other.wait()
    check("and captured from once it is free", is_active(unit), show("NRestarts", unit))
    run("systemctl", "stop", unit)


def wrong_configuration():
    CONFIG.write_text("outptu: {}\n")
    run("systemctl", "stop", UNIT)
    run("systemctl", "start", UNIT, expected=1)
    time.sleep(5)
    check("a wrong configuration is not tried again", (show("ExecMainStatus"), show("NRestarts")) == ("78", "0"),
          show("ActiveState"))
    messages = [e["MESSAGE"] for e in journal() if "outptu" in e["MESSAGE"]]
    check("the journal says what is wrong", messages, messages and messages[-1])
    run("systemctl", "reset-failed", UNIT)


def uninstalls():
    run("systemctl", "disable", UNIT)
    run("/mnt/systemd/install.sh", "--uninstall")
    check("--uninstall takes program and unit away",
          not Path("/usr/local/bin/aumd").exists() and show("LoadState") == "not-found")


def package():
    """The same program, from systemd/package.sh."""
    file = str(next(Path("/mnt").glob("aumd_*.deb")))
    CONFIG.unlink()
    run("dpkg", "--install", file)
    check("the package installs, and starts nothing", show("LoadState") == "loaded" and show("ActiveState") == "inactive")
    configure(ONE_LAYER, "output: {status_interval: 1}\n")
    run("systemctl", "enable", "--now", UNIT)
    pid = show("MainPID")
    check("its program runs", is_active() and os.readlink(f"/proc/{pid}/exe") == "/usr/bin/aumd")
    run("dpkg", "--install", file)
    check("installed again, what runs is replaced", wait(lambda: show("MainPID") not in ("0", pid)) and is_active())
    check("and the settings are kept", str(ONE_LAYER) in CONFIG.read_text())
    run("dpkg", "--remove", "aumd")
    check("removed, it is stopped, disabled and gone",
          show("LoadState") == "not-found" and not Path(f"/etc/systemd/system/multi-user.target.wants/{UNIT}").is_symlink())
    check("but for its settings", CONFIG.exists())


since = int(time.time())
started = time.monotonic()
for part in (installs, no_microphone, process, journal_entries, socket_permissions, demo, reload, unplugging, pauses, kills,
             stops, broker, template, sound_card, busy, *([] if EMULATED else [suspend]), wrong_configuration, uninstalls, package):
    print(f"{part.__name__.replace('_', ' ')} ({time.monotonic() - started:.0f} s)", flush=True)
    try:
        part()
    except Exception as error:
        check(f"{part.__name__} runs to its end", False, "".join(traceback.format_exception(error)))
print(f"{passed} passed, {failed} failed", flush=True)
with open("/dev/ttyS0", "w") as console:
    subprocess.run(["journalctl", "--no-pager"], stdout=console)
sys.exit(failed > 0)
