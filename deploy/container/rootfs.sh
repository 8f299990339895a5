#!/bin/sh
# Makes the root of the node's image: rootfs.sh PROGRAM OUT
#
# OUT/rootfs: the program, the C library that it needs, certificates of public CAs, one user. From Debian's packages, which are
# fetched and not installed. No shell and no package manager is in it. OUT/folders: the two folders that are to be that user's alone,
# apart from the rest, since a builder of images gives all that it copies to root unless it is told otherwise.
set -eu
program=$1
out=$2
mkdir -p "$out/rootfs" "$out/folders"
folders=$(cd "$out/folders" && pwd)
out=$(cd "$out/rootfs" && pwd)
packages=$(mktemp -d)
trap 'rm -rf "$packages"' EXIT

(cd "$packages" && apt-get -qq download libc6 libgcc-s1 ca-certificates)
for package in "$packages"/*.deb; do
    dpkg-deb --extract "$package" "$out"
done
# Of the packages only what a program loads: no documents, no tools, no modules for character sets.
rm -rf "$out/usr/share/doc" "$out/usr/share/lintian" "$out/usr/share/man" "$out/usr/sbin" "$out/usr/bin" "$out/sbin" "$out/etc/ca-certificates"
find "$out" -type d -name gconv -prune -exec rm -rf {} +
mkdir -p "$out/etc/ssl/certs" "$out/usr/bin" "$out/usr/share/doc/posemesh-node" "$out/tmp"
find "$out/usr/share/ca-certificates" -name '*.crt' -exec cat {} + > "$out/etc/ssl/certs/ca-certificates.crt"
rm -rf "$out/usr/share/ca-certificates"

install -m 0755 "$program" "$out/usr/bin/posemesh-node"
# No names of users or hosts come from elsewhere.
printf 'root:x:0:0:root:/root:/sbin/nologin\nposemesh:x:65532:65532:posemesh:/home/posemesh:/sbin/nologin\n' > "$out/etc/passwd"
printf 'root:x:0:\nposemesh:x:65532:\n' > "$out/etc/group"
printf 'hosts: files dns\n' > "$out/etc/nsswitch.conf"
# A volume that is mounted there for the first time takes over owner and mode. Others may not enter: what is in the cache is run.
install -d -m 0755 "$out/plugins"
install -d -m 0700 "$folders/work" "$folders/cache"
chmod 1777 "$out/tmp"
