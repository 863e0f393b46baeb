#!/bin/sh
# A dump of the Compose exchange's MySQL, taken while it trades: sh deploy/backup.sh FOLDER
# One snapshot, with the position in the binary log; a dump that was broken off leaves no file of its name.
set -eu
umask 077
file=$(cd "$1" && pwd)/exchange-$(date -u +%Y%m%dT%H%M%SZ).sql
cd "$(dirname "$0")/.."
trap 'rm -f "$file.growing" "$file.gz.growing"' EXIT
# The password comes from the container's own environment: arguments are seen by all.
# shellcheck disable=SC2016
docker compose exec -T mysql sh -c 'MYSQL_PWD=$MYSQL_ROOT_PASSWORD exec mysqldump -uroot \
  --single-transaction --quick --hex-blob --source-data=2 --set-gtid-purged=COMMENTED exchange' >"$file.growing"
tail -n 1 "$file.growing" | grep -q '^-- Dump completed'
gzip -c "$file.growing" >"$file.gz.growing"
mv "$file.gz.growing" "$file.gz"
echo "$file.gz"
