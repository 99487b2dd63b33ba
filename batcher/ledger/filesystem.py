"""Tells which kind of file system a path is on.

On network file systems SQLite's locks and its WAL can't be trusted.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORKS: Final = frozenset(
    (
        "nfs nfs4 cifs smb3 smbfs 9p ceph glusterfs afs lustre beegfs fuse.sshfs fuse.rclone "
        "fuse.s3fs"
    ).split()
)


def network_of(path: Path, *, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the network file system that `path` is on.

    Returns None for a local one, and where `mounts` (proc(5), mountinfo) can't be read.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(path)
    best = ""
    kind = ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mount = fields.split()[4].encode().decode("unicode_escape")
        inside = place == mount or place.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best = mount
            kind = rest.split()[0]
    return kind if kind in NETWORKS else None
