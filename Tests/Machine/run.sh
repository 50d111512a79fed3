#!/bin/sh
# Tests the program on a whole machine: boots Debian 12 in qemu, installs aumd there with systemd/install.sh and runs
# checks.py beside real systemd, journald and kernel ALSA (snd-aloop, and a sound card on a PCI bus). As root, on Debian 12 with Swift 6.2:
#
#   apt-get install -y debootstrap dpkg-dev e2fsprogs qemu-system-x86 && Tests/Machine/run.sh
#
# Needs the packages of README.md's first command too, 4 GB in .build-machine/ (kept, and used again), and about
# 20 minutes. Prints a line for each check and exits with 0 if all have passed.
#
# ACCEL   qemu's accelerator: tcg (default: works everywhere, and has no AVX-512) or kvm
# MIRROR  where debootstrap gets Debian from (default: its own)
set -eu

cd "$(dirname "$0")/../.."
work=$PWD/.build-machine
accel=${ACCEL:-tcg}
case $accel in
    # The machine's clock counts instructions: a slow host takes longer, and loses no sound.
    tcg) cpu="-cpu max -smp 1 -icount shift=0,align=off,sleep=off -rtc clock=vm" ;;
    *) cpu="-cpu host -smp 2" ;;
esac

swift build -c release --static-swift-stdlib -Xlinker -s --scratch-path "$work" --product aumd

if [ ! -e "$work/machine.img" ]; then
    root=$work/machine
    rm -rf "$root"
    debootstrap --variant=minbase --include=systemd-sysv,udev,dbus,linux-image-amd64,alsa-utils,sndfile-programs,python3,\
libasound2,libfftw3-double3,libmosquitto1,libsndfile1,libsamplerate0,libsystemd0,mosquitto,mosquitto-clients bookworm "$root" ${MIRROR:+"$MIRROR"}
    cp "$root"/boot/vmlinuz-* "$work/machine.kernel"
    cp "$root"/boot/initrd.img-* "$work/machine.initrd"
    cat > "$root/etc/systemd/system/checks.service" <<END
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStartPre=mount -o ro /dev/vdb /mnt
ExecStart=python3 /mnt/checks.py
StandardOutput=file:/dev/ttyS1
StandardError=inherit

[Install]
WantedBy=multi-user.target
END
    systemctl --root="$root" enable checks.service
    mke2fs -q -t ext4 -d "$root" "$work/machine.new" 2G
    rm -rf "$root"
    mv "$work/machine.new" "$work/machine.img"
fi

disk=$work/machine.program
rm -rf "$disk" "$disk.img"
mkdir -p "$disk/release"
cp -r systemd Tests/Machine/checks.py "$disk"
cp --parents Sources/Sinks/aumd-1.schema.json "$disk"
cp -r "$work/release/aumd" "$work/release/aumd_aumd.resources" "$disk/release"
"$work/release/aumd" learn "Our bell" Tests/aumdTests/Golden/sound.wav --sounds "$disk/sounds" > /dev/null
BUILD=$work/release systemd/package.sh "$disk"
mke2fs -q -t ext4 -d "$disk" "$disk.img" 256M
rm -rf "$disk"

# The first serial line is the console, the second what checks.py prints. The sound card, which hears nothing, comes later.
timeout 3600 qemu-system-x86_64 -accel "$accel" $cpu -m 1G -display none -monitor none -no-reboot \
    -nic none -kernel "$work/machine.kernel" -initrd "$work/machine.initrd" \
    -append "root=/dev/vda rw console=ttyS0 systemd.mask=serial-getty@ttyS0.service modprobe.blacklist=snd_hda_intel" \
    -audiodev none,id=nothing -device intel-hda -device hda-duplex,audiodev=nothing \
    -drive "file=$work/machine.img,if=virtio,format=raw,snapshot=on" \
    -drive "file=$disk.img,if=virtio,format=raw,readonly=on" \
    -serial "file:$work/machine.console" -serial stdio < /dev/null | tee "$work/machine.result"
rm -f "$disk.img"
grep -q '^[1-9][0-9]* passed, 0 failed' "$work/machine.result" || {
    echo "The machine's console and journal are in $work/machine.console." >&2
    exit 1
}
