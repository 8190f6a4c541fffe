"""What a child of `dag_runs` is asked between its DAG runs, and what it does to its own disk."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_REC, MS_PRIVATE, MNT_DETACH = 0x4000, 0x40000, 2


def state() -> dict:
    """Open incidents and what they hold now."""
    from tagloom.alerting.book import open_book, open_incidents
    from tagloom.alerting.holds import open_holds
    from tagloom.settings import load_settings

    settings = load_settings()
    with open_book(settings.alert_book) as book:
        incidents = [
            {
                "id": incident.incident_id,
                "kind": incident.finding.kind,
                "severity": incident.finding.severity,
                "table": incident.finding.table,
                "sentence": incident.finding.sentence,
            }
            for incident in open_incidents(book)
        ]
    holds = [
        {
            "id": hold.incident_id,
            "table": hold.table,
            "reason": hold.reason,
            "tags": sorted(hold.tags),
            "others": {kind: sorted(names) for kind, names in hold.others.items()},
        }
        for hold in open_holds(settings)
    ]
    return {"incidents": incidents, "holds": holds}


_disk = {"is_own": False}
"""Whether what this process mounts is seen by nobody else."""


def own_mounts() -> bool:
    """Give this process mounts of its own, which nobody else sees; False where that is not allowed.

    To be called before threads are there: each has what the one that began it had.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS):
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _disk["is_own"] = libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0
    return _disk["is_own"]


def put_on_full_disk(folder: str, spare_bytes: int) -> bool:
    """Put a folder, with what is in it, on a disk of its own that has room for so little more; False if it may not."""
    if not _disk["is_own"]:
        return False
    kept = Path(f"{folder}.kept")
    size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file()) + spare_bytes
    shutil.copytree(folder, kept)
    libc = ctypes.CDLL(None, use_errno=True)
    is_mounted = libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, f"size={size}".encode()) == 0
    if is_mounted:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
    shutil.rmtree(kept)
    return is_mounted


def put_on_usual_disk(folder: str) -> bool:
    """Take the disk of its own away, if there is one: the folder is as it was before."""
    return _disk["is_own"] and ctypes.CDLL(None, use_errno=True).umount2(folder.encode(), MNT_DETACH) == 0
