#!/bin/sh
# Makes the signer's key, and the secrets that do not exist yet. Runs as root in the service "setup" of compose.yaml; each
# file then belongs to the one user who reads it. What exists is left as it is.
set -eu
umask 077
cd /run/secrets

# A file appears under its name when it is complete.
keep() { # NAME OWNER MODE
    chown "$2:$2" "$1.new"
    chmod "$3" "$1.new"
    mv "$1.new" "$1"
    echo "made secrets/$1"
}
as() { # USER COMMAND…
    user=$1
    shift
    setpriv --reuid "$user" --regid "$user" --clear-groups env HOME="/var/lib/$user" "$@"
}

if [ ! -e pgpass ]; then
    echo "database:5432:rebuilder:rebuilder:$(cat database-password)" >pgpass.new
    keep pgpass rebuilder-server 0400
fi
if [ ! -e key-passphrase ]; then
    head -c 24 /dev/urandom | base64 >key-passphrase.new
    keep key-passphrase rebuilder-signer 0400
fi
key=/var/lib/rebuilder-signer/.config/rebuilder/key.pem
if [ ! -e "$key" ]; then
    as rebuilder-signer rebuilder key generate --encrypt --passphrase-file /run/secrets/key-passphrase
fi
if [ ! -e signing-key.pub ]; then
    cat "$key.pub" >signing-key.pub.new
    keep signing-key.pub root 0444
fi
for worker in a b; do
    if [ ! -e "worker-$worker" ]; then
        as rebuilder-server rebuilder serve token add "worker-$worker" >"worker-$worker.new"
        keep "worker-$worker" "rebuilder-$worker" 0400
    fi
done
