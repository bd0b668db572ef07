"""Available memory under machines, containers, ulimit and SLURM that are only files here."""

import pytest

from lazyvox.runtime.limits import available_memory, read_limits

GIB = 1024**3
MIB = 1024**2


@pytest.fixture
def machine(tmp_path):
    """Return a function that writes a fake machine and gives the arguments that read it."""

    def build(files=(), *, group="0::/", status="", limits="", environ=None):
        proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
        own = {"cgroup": f"{group}\n", "status": status, "limits": limits}
        tree = {proc / "self" / name: text for name, text in own.items()}
        tree[proc / "meminfo"] = "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n"
        tree |= {cgroup / name: f"{text}\n" for name, text in dict(files).items()}
        for path, text in tree.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return {"proc_root": proc, "cgroup_root": cgroup, "environ": environ or {}}

    return build


def test_a_machine_without_limits_leaves_what_is_available(machine):
    limits = read_limits(**machine())
    assert limits.available == 8 * GIB
    assert (limits.cgroup, limits.rlimit, limits.slurm) == (None, None, None)


def test_a_version_2_group_leaves_its_limit_less_its_use(machine):
    files = {"job/memory.max": 120 * MIB, "job/memory.current": 20 * MIB}
    assert available_memory(**machine(files, group="0::/job")) == 100 * MIB


def test_the_tightest_group_on_the_way_up_counts(machine):
    files = {
        "slice/memory.max": 300 * MIB,
        "slice/memory.current": 250 * MIB,
        "slice/job/memory.max": 200 * MIB,
        "slice/job/memory.current": 10 * MIB,
        "slice/job/step/memory.max": "max",
    }
    assert available_memory(**machine(files, group="0::/slice/job/step")) == 50 * MIB


def test_page_cache_of_the_group_counts_as_available(machine):
    files = {
        "memory.max": 100 * MIB,
        "memory.current": 95 * MIB,
        "memory.stat": f"anon {15 * MIB}\ninactive_file {60 * MIB}\nactive_file {20 * MIB}",
    }
    assert available_memory(**machine(files)) == 85 * MIB


def test_the_limit_where_a_group_is_throttled_counts(machine):
    files = {"memory.max": "max", "memory.high": 64 * MIB, "memory.current": 0}
    assert available_memory(**machine(files)) == 64 * MIB


@pytest.mark.parametrize("group", ["0::/docker/abc", "0::/../../elsewhere"])
def test_in_a_container_that_sees_the_path_of_the_host_the_mounted_group_counts(machine, group):
    files = {"memory.max": 50 * MIB, "memory.current": 10 * MIB}
    assert available_memory(**machine(files, group=group)) == 40 * MIB


def test_a_version_1_group_leaves_its_limit_less_its_use(machine):
    files = {
        "memory/memory.limit_in_bytes": 9223372036854771712,
        "memory/slurm/job/memory.limit_in_bytes": 120 * MIB,
        "memory/slurm/job/memory.usage_in_bytes": 90 * MIB,
        "memory/slurm/job/memory.stat": f"inactive_file 5\ntotal_inactive_file {30 * MIB}",
    }
    group = "5:cpu,cpuacct:/x\n4:memory:/slurm/job\n0::/"
    assert available_memory(**machine(files, group=group)) == 60 * MIB


def test_a_version_1_group_without_limit_says_a_huge_number(machine):
    files = {"memory/memory.limit_in_bytes": 9223372036854771712}
    assert read_limits(**machine(files, group="4:memory:/")).cgroup is None


def test_ulimit_leaves_its_soft_limit_less_what_is_mapped(machine):
    limits = (
        "Limit                     Soft Limit           Hard Limit           Units\n"
        f"Max data size             {2 * GIB}           unlimited            bytes\n"
        f"Max address space         {GIB}           unlimited            bytes\n"
    )
    status = "VmSize:\t  524288 kB\nVmData:\t  1048576 kB\n"
    assert available_memory(**machine(limits=limits, status=status)) == 512 * MIB


def test_an_unlimited_ulimit_is_no_limit(machine):
    limits = "Max address space         unlimited            unlimited            bytes\n"
    assert read_limits(**machine(limits=limits)).rlimit is None


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "1024"}, 1024),
        ({"SLURM_MEM_PER_CPU": "256", "SLURM_CPUS_ON_NODE": "3"}, 768),
        ({"SLURM_MEM_PER_CPU": "256"}, 256),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_NODE": "a lot"}, None),
    ],
)
def test_slurm_leaves_its_grant_less_what_this_process_holds(machine, environ, expected):
    fake = machine(status="VmRSS:\t  65536 kB\n", environ=environ)
    left = read_limits(**fake).slurm
    assert left == (None if expected is None else (expected - 64) * MIB)


def test_more_in_use_than_allowed_leaves_nothing(machine):
    files = {"memory.max": 10 * MIB, "memory.current": 20 * MIB}
    assert available_memory(**machine(files)) == 0


def test_the_environment_is_read_when_asked(monkeypatch, machine):
    fake = machine() | {"environ": None}
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert available_memory(**fake) == 100 * MIB
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "200")
    assert available_memory(**fake) == 200 * MIB


def test_without_procfs_the_system_is_still_known(tmp_path):
    nowhere = tmp_path / "none"
    assert available_memory(proc_root=nowhere, cgroup_root=nowhere, environ={}) > 0
