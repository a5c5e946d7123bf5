#!/usr/bin/env bash
# Runs by hand what the Dockerfile says, for machines without a container engine: a production
# install, then the broker as another user on a read-only root file system, its health check,
# the command line, and a stop by SIGTERM. Needs root and `unshare`.
set -euo pipefail
cd "$(dirname "$0")/.."
image=$(mktemp -d)
data=$(mktemp -d)
node=$(readlink -f "$(command -v node)")
trap 'rm -rf "$image" "$data"' EXIT

cp package.json package-lock.json .npmrc LICENSE "$image"
(cd "$image" && npm ci --omit=dev --omit=optional --no-fund --no-audit >/dev/null)
cp -r config plugins src "$image"
chmod -R a+rX "$image"
head -c 32 /dev/urandom > "$data/master.key"
chmod 0700 "$data"
chmod 0600 "$data/master.key"
chown -R 65534:65534 "$data"
port=$("$node" -e 'const s = require("node:net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')

# A mount name space of its own: everything read-only but the data folder.
unshare --mount bash -c '
  set -euo pipefail
  mount --make-rprivate /
  mount --bind "$2" "$2"
  mount -o remount,ro,bind / 2>/dev/null || mount -o remount,ro /
  cd "$1"
  exec setpriv --reuid 65534 --regid 65534 --clear-groups env -i NODE_ENV=production LATCHKEY_LISTEN="127.0.0.1:$4" \
    LATCHKEY_DATA_DIR="$2" LATCHKEY_MASTER_KEY_FILE="$2/master.key" \
    "$3" --max-semi-space-size=8 --disable-proto=throw --disable-sigusr1 --report-exclude-env src/server.ts
' bash "$image" "$data" "$node" "$port" &
broker=$!

healthy=no
for _ in $(seq 100); do
  if LATCHKEY_LISTEN="127.0.0.1:$port" "$node" "$image/src/health-check.ts"; then healthy=yes; break; fi
  kill -0 "$broker" 2>/dev/null || break
  "$node" -e 'setTimeout(() => {}, 100)'
done
[ "$healthy" = yes ] || { echo 'the broker did not become healthy'; kill "$broker" 2>/dev/null; exit 1; }
LATCHKEY_ADDR="http://127.0.0.1:$port" setpriv --reuid 65534 --regid 65534 --clear-groups "$image/src/cli/latchkey" status >/dev/null
kill -TERM "$broker"
wait "$broker" || { echo "the broker ended with code $?"; exit 1; }
echo 'image steps: installed, healthy as another user on a read-only root, asked by the command line, stopped by SIGTERM with code 0'
