"""Makes a wheel that holds the program: wheel.py PROGRAM VERSION GLIBC OUT; prints the wheel's path.

The program is a script of the wheel, which pip puts into the environment's bin and makes executable.
"""

import base64
import hashlib
import platform
import sys
import zipfile
from pathlib import Path

program, version, glibc, out = sys.argv[1:]
tag = f"py3-none-manylinux_{glibc.replace('.', '_')}_{platform.machine()}"
info = f"posemesh_node-{version}.dist-info"
files = {
    f"posemesh_node-{version}.data/scripts/posemesh-node": Path(program).read_bytes(),
    f"{info}/METADATA": f"""Metadata-Version: 2.1
Name: posemesh-node
Version: {version}
Summary: Build and test runners of posemesh compute nodes: the node, its test driver and a local network
License: MIT OR Apache-2.0
Requires-Python: >=3.8
""".encode(),
    f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: posemesh-node\nRoot-Is-Purelib: false\nTag: {tag}\n".encode(),
}
record = ""
for name, content in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(content)}\n"
files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()

wheel = Path(out) / f"posemesh_node-{version}-{tag}.whl"
with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, content in files.items():
        # A fixed time, so that the same program makes the same wheel.
        entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
        entry.external_attr = (0o100755 if "/scripts/" in name else 0o100644) << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, content)
print(wheel)
