#!/bin/bash
# Boot a systemd of one's own, as root: PID 1 of private namespaces, on an overlay of / in
# memory. Nothing that it or its users write reaches the machine; the network is shared.
#   boot.sh SCRATCH CGROUP [PATH...]
# SCRATCH is an empty folder, CGROUP a new name, each PATH a folder outside of the root's
# file system that shall be seen inside. READY=1 goes to $NOTIFY_SOCKET when it is up.
set -eu

if [ "${INSIDE:-}" != yes ]; then
  # Hybrid machines have a hierarchy for systemd and one for version 2; others the latter only.
  for hierarchy in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir "$hierarchy/$2"
    echo $$ >"$hierarchy/$2/cgroup.procs"
  done
  INSIDE=yes exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup \
    --propagation private "$0" "$@"
fi

scratch=$1
shift 2
mount -t tmpfs tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
root=$scratch/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$root"
for path; do
  mkdir -p "$root$path"
  mount --bind -o ro "$path" "$root$path"
done

mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  mkdir "$root"/sys/fs/cgroup/{systemd,unified}
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
fi

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir "$root"/dev/{pts,shm}
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

cd "$root"
mkdir -p .outside
pivot_root . .outside
umount -l /.outside
exec env -i container=omisync PATH=/usr/sbin:/usr/bin:/sbin:/bin NOTIFY_SOCKET="$NOTIFY_SOCKET" \
  /usr/lib/systemd/systemd --system --unit=basic.target --log-target=console --show-status=no
