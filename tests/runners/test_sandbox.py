"""The layers around a program: each is on, is said to be, and stops what it is there to stop.

Every attack is shown to succeed without the sandbox first: a refusal that something else gave would
prove nothing. Then it is made where only one of two walls can be put up.
"""

import asyncio
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.runners import box
from tests.runners.stage import Recorder, Stage, processes_at
from usina.doctor import diagnose
from usina.kernel.runners.cgroup import delegated_group
from usina.kernel.runners.manifest import Manifest
from usina.kernel.runners.pool import RunnerLimits, RunnerPool, Sandbox, StopSignal
from usina.kernel.runners.sandbox import LAYERS
from usina.kernel.runners.trial import try_sandbox
from usina.settings import Settings

Make = Callable[..., Manifest]
MODES = ["cold", "warm"]
NUMBERS = box.NUMBERS[os.uname().machine]
NO_NAMESPACES = tuple(NUMBERS[name] for name in box.NAMESPACES)


def more(mode: str, network: str = "none") -> str:
    return f'mode = "{mode}"\nnetwork = "{network}"\n'


def own_name() -> str:
    """What no test beside this one is called by, in a folder that the whole machine shares."""
    return f"usina-test-{uuid4()}"


@pytest.fixture(params=["auto", "off"])
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/usina.sqlite").write_text("secret")
    return Sandbox(request.param, hidden=(tmp_path / "data",))


@pytest.fixture
def closed(sandbox: Sandbox) -> bool:
    """Whether the attack is to fail."""
    return sandbox.mode == "auto"


@pytest.mark.parametrize("mode", MODES)
async def test_a_job_says_which_layers_were_on(
    stage: Stage, runner: Make, sandbox: Sandbox, mode: str
) -> None:
    act = await stage.play(runner("usina_runner.run(lambda job: None)", more=more(mode)))
    assert act.outcome.sandbox is not None
    assert tuple(act.outcome.sandbox) == LAYERS
    on = {name for name, is_on in act.outcome.sandbox.items() if is_on}
    found = await try_sandbox(sandbox, stage.root)
    assert on == {name for name, why in found.items() if not why}
    if sandbox.mode == "off":
        assert on == {"rlimits", "watch"}
    else:
        assert on >= set(LAYERS) - {"cgroup"}, found


@pytest.mark.parametrize("mode", MODES)
async def test_only_its_own_job_is_read(
    stage: Stage, runner: Make, tmp_path: Path, closed: bool, mode: str
) -> None:
    """Not another job's folder, not the database, not a stranger's file; nor are they changed."""
    program = runner(
        """
        def main(job):
            for path in job.params["paths"]:
                print(attempt(lambda: open(path).read()))
                print(attempt(lambda: os.chmod(path, 0o600)))
                print(attempt(lambda: os.listdir(os.path.dirname(path))[:0]))
            print(attempt(lambda: open(job.params["stray"], "x").close()))
            open("own", "w").close()
        usina_runner.run(main)
        """,
        more=more(mode),
    )
    other = stage.prepare(program).path / "job.json"
    paths = [str(other), str(tmp_path / "data/usina.sqlite"), str(tmp_path / "stranger")]
    (tmp_path / "stranger").write_text("x")
    stray = Path("/tmp", own_name())
    try:
        act = await stage.play(program, {"paths": paths, "stray": str(stray)})
    finally:
        stray.unlink(missing_ok=True)
    assert act.failure is None
    lines = act.told.text.splitlines()
    assert len(lines) == 10
    assert all(line.startswith("refused: ") for line in lines) is closed
    assert any(line.startswith("refused: ") for line in lines) is closed


async def test_a_warm_program_reaches_a_job_no_longer_than_it_runs(
    stage: Stage, runner: Make
) -> None:
    """Its last job is not where it was, and its home is empty again."""
    program = runner(
        """
        before = []
        def main(job):
            if before:
                print(attempt(lambda: open(before[0]).read()))
                print(os.listdir(home))
            before[:] = [os.getcwd() + "/job.json"]
            open(home + "/kept", "w").close()
            os.makedirs(home + "/deep/er")
        home = os.getcwd()
        usina_runner.run(main)
        """,
        more=more("warm"),
    )
    first = await stage.play(program)
    assert first.failure is None
    second = await stage.play(program)
    assert second.failure is None
    path, home = second.told.text.splitlines()
    assert path.startswith("refused: ")
    assert home == str([second.work.path.name])


async def test_a_folder_that_a_program_holds_open_shows_it_no_later_job(
    stage: Stage, runner: Make
) -> None:
    """Emptied folders are handed on, to another program as new ones."""
    program = runner(
        """
        held = []
        def main(job):
            held.append(os.open(".", os.O_RDONLY))
            if job.params["spy"]:
                job.progress(0.5, "looking")
                while not os.path.exists("outputs/go"):
                    time.sleep(0.001)
                print(attempt(lambda: os.open("job.json", os.O_RDONLY, dir_fd=held[0])))
                print(attempt(lambda: os.listdir(held[0])))
            if job.params["wait"]:
                job.progress(0.5, "here")
                job.sleep(60)
        usina_runner.run(main)
        """,
        more=more("warm"),
    )
    first = await stage.play(program, {"spy": False, "wait": False})
    looking, here, stop = asyncio.Event(), asyncio.Event(), StopSignal()
    spy = stage.prepare(program, {"spy": True, "wait": False})
    spying = asyncio.create_task(
        stage.play(program, work=spy, told=Recorder(on_progress=lambda _: looking.set()))
    )
    await looking.wait()
    first.work.write_job(
        {**json.loads(first.left("../job.json")), "params": {"spy": False, "wait": True}}
    )
    told = Recorder(on_progress=lambda _: here.set())
    other = asyncio.create_task(stage.play(program, work=first.work, told=told, stop=stop))
    await here.wait()
    next(stage.root.glob(f"warm-*/{spy.path.name}/outputs")).joinpath("go").touch()
    act = await spying
    stop.request()
    await other
    assert act.failure is None
    job, content = act.told.text.splitlines()
    assert job.startswith("refused: ")
    assert content == "[]"


async def test_what_a_warm_program_puts_in_place_of_its_job_is_never_followed(
    stage: Stage, runner: Make
) -> None:
    program = runner(
        """
        def main(job):
            work = os.getcwd()
            os.rename(work, work + "-away")
            os.symlink(job.params["other"], work)
        usina_runner.run(main)
        """,
        more=more("warm") + '[outputs."job.json"]\nkind = "data"',
    )
    other = stage.prepare(program)
    (other.outputs / "job.json").write_text("secret")
    act = await stage.play(program, {"other": str(other.path)})
    assert act.failure is None
    with pytest.raises(Exception, match="did not make"):
        act.outputs()
    assert not act.work.path.is_symlink()


@pytest.mark.parametrize("mode", MODES)
async def test_a_checkpoint_is_read_while_its_program_runs_and_never_elsewhere(
    stage: Stage, runner: Make, closed: bool, mode: str
) -> None:
    program = runner(
        """
        def main(job):
            (job.outputs / "state").write_text("own")
            job.checkpoint_saved("state")
            job.sleep(0.05)
            if job.params["other"]:
                work = os.getcwd()
                os.rename(work, work + "-away")
                os.symlink(job.params["other"], work)
                job.checkpoint_saved("state")
        usina_runner.run(main)
        """,
        more=more(mode),
    )
    act = await stage.play(program, {"other": ""})
    assert (act.failure, act.told.checkpoints) == (None, [("state", b"own")])
    assert act.left("state") == "own"
    other = stage.prepare(program)
    (other.outputs / "state").write_text("secret")
    act = await stage.play(program, {"other": str(other.path)})
    assert ("state", b"secret") not in act.told.checkpoints


@pytest.mark.parametrize("mode", MODES)
async def test_the_platform_is_not_seen(
    stage: Stage, runner: Make, closed: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = runner(
        """
        def main(job):
            platform, launcher = job.params["pid"], os.getppid()
            print(attempt(lambda: open(f"/proc/{platform}/environ").read()[:0]))
            print(attempt(lambda: open("/proc/1/environ").read()[:0] if launcher == 0 else ""))
            print(attempt(lambda: os.kill(platform, 0)))
            print(len([name for name in os.listdir("/proc") if name.isdecimal()]) > 2)
        usina_runner.run(main)
        """,
        more=more(mode),
    )
    act = await stage.play(program, {"pid": os.getpid()})
    assert act.failure is None
    environ, init, signalled, others = act.told.text.splitlines()
    assert environ.startswith("refused: ") is closed
    assert init.startswith("refused: ") is closed
    assert signalled.startswith("refused: ") is closed
    assert others == str(not closed)


@pytest.fixture
def port() -> Iterator[int]:
    """Of a server on this machine, outside of any sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


NETWORK = """
    import socket
    def connect(port):
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return "connected"
    def own():
        with socket.create_server(("127.0.0.1", 0)) as server:
            return connect(server.getsockname()[1])
    def main(job):
        print(attempt(lambda: connect(job.params["port"])))
        print(attempt(own))
        print(attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()))
        print(attempt(lambda: socket.socketpair()[0].close()))
    usina_runner.run(main)
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("network", "world", "itself"),
    [("none", False, False), ("loopback", False, True), ("outbound", True, True)],
)
async def test_the_network_is_what_the_manifest_says(
    stage: Stage,
    runner: Make,
    closed: bool,
    port: int,
    mode: str,
    network: str,
    world: bool,
    itself: bool,
) -> None:
    program = runner(NETWORK, more=more(mode, network))
    act = await stage.play(program, {"port": port})
    assert act.failure is None, act.told.text
    outside, inside, raw, pair = act.told.text.splitlines()
    assert (outside == "connected") is (world or not closed)
    assert (inside == "connected") is (itself or not closed)
    assert raw.startswith("refused: ") is (closed or os.geteuid() != 0)
    assert pair == "None"
    assert act.outcome.sandbox is not None
    assert act.outcome.sandbox["network_namespace"] is (closed and not world)


@pytest.fixture(params=[True, False])
def named(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a server is named, before there is a stage."""
    monkeypatch.setenv("PAINTER_URL", "http://painter:7860" if request.param else "")
    return request.param


async def test_a_program_reaches_the_network_once_its_server_is_named(
    named: bool, stage: Stage, runner: Make, closed: bool, port: int
) -> None:
    asks = '[environment]\npass = ["PAINTER_URL"]\nserver = "PAINTER_URL"\n'
    act = await stage.play(runner(NETWORK, more=more("cold") + asks), {"port": port})
    assert act.failure is None, act.told.text
    assert (act.told.text.splitlines()[0] == "connected") is (named or not closed)
    assert act.outcome.sandbox is not None
    assert act.outcome.sandbox["network_namespace"] is (closed and not named)


@pytest.mark.parametrize("mode", MODES)
async def test_no_limit_can_be_raised_and_no_privilege_gained(
    stage: Stage, runner: Make, closed: bool, mode: str
) -> None:
    program = runner(
        """
        import resource
        def raised(kind):
            return resource.setrlimit(kind, (1 << 50, 1 << 50))
        def main(job):
            for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE):
                try:
                    print(attempt(lambda: raised(kind)))
                except ValueError as error:
                    print("refused:", error)
            print(attempt(lambda: resource.prlimit(job.params["pid"], resource.RLIMIT_NOFILE)))
            status = open("/proc/self/status").read()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            print(*(int(fields["Cap" + name], 16) for name in ("Prm", "Eff", "Inh", "Amb")),
                  fields["NoNewPrivs"].strip(), fields["Seccomp"].strip())
        usina_runner.run(main)
        """,
        more=more(mode),
    )
    act = await stage.play(program, {"pid": os.getpid()})
    assert act.failure is None
    *attempts, state = act.told.text.splitlines()
    assert all(line.startswith("refused: ") for line in attempts) is (
        closed or os.geteuid() != 0
    ), attempts
    assert (state == "0 0 0 0 1 2") is closed


async def test_shared_memory_is_its_own(stage: Stage, runner: Make, closed: bool) -> None:
    program = runner(
        """
        from multiprocessing import Lock, shared_memory
        def main(job):
            with Lock():
                found = os.listdir("/dev/shm")
            (job.outputs / "found").write_text(str(len(found)))
            held = shared_memory.SharedMemory(job.params["name"], create=True, size=4096)
            job.progress(0.5, "held")
            while not os.path.exists("outputs/go"):
                time.sleep(0.001)
            held.close()
            held.unlink()
        usina_runner.run(main)
        """
    )
    seen: list[bool] = []
    name = own_name()
    work = stage.prepare(program, {"name": name})

    def look(_: str | None) -> None:
        seen.append(Path("/dev/shm", name).exists())
        (work.outputs / "go").touch()

    act = await stage.play(program, work=work, told=Recorder(on_progress=look))
    assert act.failure is None, act.told.text
    assert seen == [not closed]
    if closed:
        assert act.left("found") == "0"


async def test_a_thread_a_child_and_a_compiler_still_work(stage: Stage, runner: Make) -> None:
    """What programs that compute do need."""
    program = runner(
        """
        import concurrent.futures, sqlite3, tempfile, ctypes
        def main(job):
            with concurrent.futures.ThreadPoolExecutor(2) as threads:
                assert list(threads.map(abs, [-1, -2])) == [1, 2]
            with concurrent.futures.ProcessPoolExecutor(2) as processes:
                assert list(processes.map(abs, [-1, -2])) == [1, 2]
            assert subprocess.run(["sh", "-c", "echo $((1 + 1))"], stdout=-1).stdout == b"2\\n"
            sqlite3.connect("own.sqlite").execute("create table a (b)")
            with tempfile.TemporaryDirectory() as folder:
                os.mkfifo(folder + "/fifo")
                os.symlink("fifo", folder + "/link")
                os.rename(folder + "/link", folder + "/other")
            tool = "outputs/tool.sh"
            open(tool, "w").write("#!/bin/sh\\necho made\\n")
            os.chmod(tool, 0o700)
            assert subprocess.run([os.path.abspath(tool)], stdout=-1).stdout == b"made\\n"
            assert open("/proc/self/status").read() and open("/proc/cpuinfo").read()
            assert os.cpu_count() and os.getloadavg() and time.tzname
            open("/dev/null", "w").write("x")
            assert len(open("/dev/urandom", "rb").read(8)) == 8
        usina_runner.run(main)
        """
    )
    act = await stage.play(program)
    assert act.failure is None, act.told.text


WALLS = """
    def main(job):
        print(attempt(lambda: open(job.params["path"]).read()))
        print(attempt(lambda: open(f"/proc/{job.params['pid']}/environ").read()[:0]))
        print(attempt(lambda: open(job.params["path"] + "-new", "w").close()))
    usina_runner.run(main)
"""


@pytest.mark.parametrize(
    ("deny", "off"),
    [
        (NO_NAMESPACES, {"pid_namespace", "ipc_namespace", "network_namespace", "mount_namespace"}),
        ((box.LANDLOCK,), {"landlock"}),
        ((NUMBERS["mount"],), {"mount_namespace"}),
        ((NUMBERS["mount"], box.LANDLOCK), {"mount_namespace", "landlock"}),
    ],
    ids=["no namespaces", "no landlock", "no mounts", "neither"],
)
def test_one_wall_is_enough_and_full_asks_for_both(
    tmp_path: Path, runner: Make, deny: tuple[int, ...], off: set[str]
) -> None:
    """Another job's folder is out of reach by landlock alone and by mounts alone."""
    root = tmp_path / "work"
    (root / "other").mkdir(parents=True)
    (root / "other/job.json").write_text("secret")
    program = runner(WALLS)
    params = {"path": str(root / "other/job.json"), "pid": os.getpid()}
    told = box.play(program, root, deny=deny, params=params)
    assert told["failure"] is None
    assert {name for name, on in told["sandbox"].items() if not on} - {"cgroup"} == off
    refused = [line.startswith("refused: ") for line in told["text"].splitlines()]
    assert refused == ([False, True, False] if len(off) == 2 else [True] * 3)

    told = box.play(program, root, deny=deny, mode="full", params=params)
    assert told["sandbox"] is None
    assert (told["failure"]["code"], told["failure"]["reason"]) == (
        "unavailable",
        "sandbox_incomplete",
    )
    assert all(name in told["failure"]["message"] for name in off)
    assert told["text"] == ""
    assert processes_at(root) == []


def test_a_user_without_privileges_has_every_layer(tmp_path: Path, runner: Make) -> None:
    """By a namespace of users, in which nobody but itself is known."""
    told = box.play(
        runner("usina_runner.run(lambda job: print(os.getuid(), os.getgid()))"),
        tmp_path / "work",
        capabilities=box.SETFCAP,
        mode="full",
    )
    assert told["failure"] is None
    assert told["text"] == f"{os.getuid()} {os.getgid()}\n"


async def test_a_group_that_can_not_be_made_is_a_layer_that_is_off(
    tmp_path: Path, runner: Make
) -> None:
    """An ordinary folder is no place for a control group."""
    (tmp_path / "groups").mkdir()
    sandbox = Sandbox(cgroup=(str(tmp_path / "groups"), ""))
    assert (await try_sandbox(sandbox, tmp_path / "work"))["cgroup"] == "No such file or directory"
    assert list((tmp_path / "groups").iterdir()) == []


def test_looking_for_a_group_changes_nothing() -> None:
    before = Path("/proc/self/cgroup").read_text()
    with delegated_group() as (folder, why):
        assert (folder is None) is bool(why)
    assert Path("/proc/self/cgroup").read_text() == before


async def test_full_runs_where_all_is_there(tmp_path: Path, runner: Make) -> None:
    stage = Stage(tmp_path / "work", sandbox=Sandbox("full"))
    for network in ("none", "loopback", "outbound"):
        program = runner("usina_runner.run(lambda job: None)", more=more("cold", network))
        assert (await stage.play(program)).failure is None
    await stage.pool.close()


async def test_what_a_program_needs_is_found(stage: Stage, runner: Make, tmp_path: Path) -> None:
    """A file that a passed variable names, one that the runner's folder links to, and one of a
    command's own words."""
    for name in ("weights", "linked", "named"):
        (tmp_path / f"{name}.bin").write_text(name)
    program = runner(
        """
        def main(job):
            here = os.path.dirname(os.path.abspath(__file__))
            for path in (os.environ["WEIGHTS"], here + "/link", sys.argv[1]):
                print(attempt(lambda: open(path).read()))
        usina_runner.run(main)
        """,
        more='[environment]\npass = ["WEIGHTS"]\n',
    )
    (program.folder / "link").symlink_to(tmp_path / "linked.bin")
    command = (*program.command, str(tmp_path / "named.bin"))
    program = program.model_copy(update={"command": command})
    stage.pool = RunnerPool(
        limits=RunnerLimits(),
        root=stage.root,
        environment={"WEIGHTS": str(tmp_path / "weights.bin")},
        sandbox=Sandbox(),
    )
    act = await stage.play(program)
    assert act.failure is None
    assert act.told.text.splitlines() == ["weights", "linked", "named"]


async def test_a_long_order_reaches_its_launcher(
    stage: Stage, runner: Make, tmp_path: Path
) -> None:
    """A folder that is given in parts has as many as there are files."""
    weights = tmp_path / "weights"
    (weights / "data").mkdir(parents=True)
    for number in range(2000):
        (weights / f"{'x' * 100}-{number}").touch()
    stage.pool = RunnerPool(
        limits=RunnerLimits(),
        root=stage.root,
        environment={"WEIGHTS": str(weights)},
        sandbox=Sandbox(hidden=(weights / "data",)),
    )
    program = runner(
        """
        def main(job):
            name = os.environ["WEIGHTS"] + "/" + "x" * 100
            print(len([open(f"{name}-{number}") for number in range(2000)]))
        usina_runner.run(main)
        """,
        more='[environment]\npass = ["WEIGHTS"]\n',
    )
    act = await stage.play(program)
    assert act.failure is None
    assert act.told.text == "2000\n"


@pytest.mark.parametrize("mode", ["auto", "full", "off"])
def test_the_doctor_tells_every_layer(tmp_path: Path, mode: str) -> None:
    settings = Settings(data=tmp_path / "data", sandbox=mode)
    told = {check.name: check for check in diagnose(settings) if check.area == "sandbox"}
    assert tuple(told) == tuple(name.replace("_", " ") for name in LAYERS)
    for check in told.values():
        assert (check.detail == "on") is (check.ok is True) is not bool(check.fix)
        assert check.ok or check.detail.startswith("off: ")
    assert (told["landlock"].ok is True) is (mode != "off")
    assert list((tmp_path / "data").iterdir()) == []
