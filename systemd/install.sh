#!/bin/sh
# Installs what `swift build -c release` made, or removes it:
#
#   systemd/install.sh [--uninstall]
#
# PREFIX   where to install (default /usr/local)
# DESTDIR  put before every path, for packaging; the running system is then left alone
# BUILD    the build folder (default .build/release)
#
# Prints each file that it installs. Keeps an existing /etc/aumd/aumd.yaml.
set -eu
umask 022 # the service's user has to reach what is installed

cd "$(dirname "$0")/.."
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
BUILD=${BUILD:-.build/release}

share=$PREFIX/share
case $PREFIX in
    /usr | /usr/local) lib=$PREFIX/lib ;;
    *) lib=/usr/local/lib ;; # systemd looks nowhere else
esac
config=/etc/aumd/aumd.yaml
units="aumd.service aumd@.service aumd-mqtt.service aumd-mqtt@.service"
bash=$share/bash-completion/completions/aumd
zsh=$share/zsh/site-functions/_aumd
fish=$share/fish/vendor_completions.d/aumd.fish
man=$share/man/man1/aumd.1

# put MODE PATH: installs standard input.
put() {
    mkdir -p "$(dirname "$DESTDIR$2")"
    cat > "$DESTDIR$2.new"
    chmod "$1" "$DESTDIR$2.new"
    mv "$DESTDIR$2.new" "$DESTDIR$2" # replaces a program that is running
    echo "$DESTDIR$2"
}

# The running system is told of changes.
refresh() {
    [ -z "$DESTDIR" ] || return 0
    journalctl --update-catalog
    [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

case ${1:-} in
    --uninstall)
        for path in "$PREFIX/bin/aumd" "$lib/sysusers.d/aumd.conf" "$lib/systemd/catalog/aumd.catalog" \
            "$bash" "$zsh" "$fish" "$man"; do
            rm -f "$DESTDIR$path"
        done
        for unit in $units; do rm -f "$DESTDIR$lib/systemd/system/$unit"; done
        rm -rf "$DESTDIR$share/aumd"
        refresh
        [ ! -e "$DESTDIR$config" ] || echo "$DESTDIR$config is kept."
        exit
        ;;
    "") ;;
    *)
        sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" >&2
        exit 64
        ;;
esac

# systemd splits a command at spaces and reads the rest of these in its own way.
case $PREFIX in
    /*[[:space:]\"\'\\\%\$\&\|]* | [!/]*)
        printf 'PREFIX "%s" cannot stand in a unit; give an absolute path without spaces, quotes and any of \\ %% $ & |.\n' "$PREFIX" >&2
        exit 64
        ;;
esac

resources=$BUILD/aumd_aumd.resources
[ -x "$BUILD/aumd" ] && [ -d "$resources" ] || {
    echo "There is no program with its resources in $BUILD; run \"swift build -c release\" first." >&2
    exit 66
}

put 755 "$PREFIX/bin/aumd" < "$BUILD/aumd"
rm -rf "$DESTDIR$share/aumd" # no files of an older model stay behind
find "$resources" -type f | sort | while read -r file; do
    put 644 "$share/aumd/${file#"$resources/"}" < "$file"
done
put 644 "$share/aumd/aumd-1.schema.json" < Sources/Sinks/aumd-1.schema.json
for unit in $units; do
    sed "s|/usr/local/bin/|$PREFIX/bin/|" "systemd/$unit" | put 644 "$lib/systemd/system/$unit"
done
put 644 "$lib/sysusers.d/aumd.conf" < systemd/aumd.sysusers
put 644 "$lib/systemd/catalog/aumd.catalog" < systemd/aumd.catalog
put 644 "$man" < systemd/aumd.1
[ -e "$DESTDIR$config" ] || put 644 "$config" < systemd/aumd.yaml
for shell in bash zsh fish; do
    script=$("$BUILD/aumd" --generate-completion-script $shell)
    eval "path=\$$shell"
    printf '%s\n' "$script" | put 644 "$path"
done

[ -n "$DESTDIR" ] || systemd-sysusers "$lib/sysusers.d/aumd.conf"
refresh
