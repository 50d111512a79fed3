#!/bin/sh
# Makes a Debian package of what `swift build -c release --static-swift-stdlib -Xlinker -s` made, for machines without Swift:
#
#   systemd/package.sh [FOLDER]
#
# FOLDER  where to put it (default .)
# BUILD   the build folder (default .build/release)
#
# Prints its path. `apt install ./aumd_VERSION_ARCHITECTURE.deb` installs it with the libraries that it needs. Needs dpkg-dev.
set -eu
umask 022

folder=$(cd "${1:-.}" && pwd)
cd "$(dirname "$0")/.."
BUILD=${BUILD:-.build/release}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

DESTDIR=$root PREFIX=/usr BUILD=$BUILD systemd/install.sh > /dev/null
if objdump -p "$root/usr/bin/aumd" | grep -q 'NEEDED *libswift'; then
    echo "The program in $BUILD needs Swift's libraries, which no package of Debian's has; build it with --static-swift-stdlib." >&2
    exit 69
fi
# Where Debian's zsh looks.
mv "$root/usr/share/zsh/site-functions" "$root/usr/share/zsh/vendor-completions"
mkdir -p "$root/usr/share/doc/aumd" "$root/DEBIAN" "$work/debian"
cat > "$root/usr/share/doc/aumd/copyright" << END
The code is under Apache-2.0 (/usr/share/common-licenses/Apache-2.0), the model under CC BY-NC 4.0
(https://creativecommons.org/licenses/by-nc/4.0/).
END
gzip -9n "$root/usr/share/man/man1/aumd.1"

# dpkg-shlibdeps(1) wants to be beside a source package.
printf 'Source: aumd\n\nPackage: aumd\nArchitecture: any\n' > "$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O root/usr/bin/aumd)
version=$("$BUILD/aumd" --version)
architecture=$(dpkg --print-architecture)
cat > "$root/DEBIAN/control" << END
Package: aumd
Version: $version
Architecture: $architecture
Maintainer: aumd
Section: sound
Priority: optional
Installed-Size: $(du -sk "$root" | cut -f1)
Depends: ${libraries#shlibs:Depends=}, systemd
Description: says which sounds a microphone hears, while it happens
 A daemon that listens through ALSA, names sounds by a state space model that
 runs as a stream, and reports them as events to the journal, to readers of a
 socket, to MQTT and Home Assistant.
END
echo /etc/aumd/aumd.yaml > "$root/DEBIAN/conffiles"

# script NAME: installs standard input as a maintainer script.
script() {
    { printf '#!/bin/sh\nset -e\n'; cat; } > "$root/DEBIAN/$1"
    chmod 755 "$root/DEBIAN/$1"
}
script postinst << 'END'
systemd-sysusers aumd.conf
journalctl --update-catalog
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
# What runs becomes what was installed, without waiting for a microphone; nothing is started that listens.
systemctl --no-block try-restart 'aumd.service' 'aumd@*.service' 'aumd-mqtt.service' 'aumd-mqtt@*.service'
END
script prerm << 'END'
[ "$1" = remove ] || exit 0
[ ! -d /run/systemd/system ] || systemctl stop 'aumd.service' 'aumd@*.service' 'aumd-mqtt.service' 'aumd-mqtt@*.service'
systemctl disable --quiet aumd.service aumd@.service aumd-mqtt.service aumd-mqtt@.service
END
script postrm << 'END'
journalctl --update-catalog
[ ! -d /run/systemd/system ] || systemctl daemon-reload
END

package=$folder/aumd_${version}_$architecture.deb
dpkg-deb --root-owner-group --build "$root" "$package" > /dev/null
echo "$package"
