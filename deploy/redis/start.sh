#!/bin/sh
# Write the users of Redis with their passwords into a file, then run what follows:
#   sh start.sh /run/redis/users.acl redis-server --aclfile /run/redis/users.acl
# The password of the user web is in REDIS_WEB_PASSWORD, and so on. The file holds their digests.
set -eu
umask 077
file=$1
shift
# One line for each user.
joined=$(sed -e '/^#/d' -e '/^$/d' "$(dirname "$0")/users.acl" | sed -e ':next' -e '$!N' -e 's/\n  */ /' -e 'tnext' -e 'P' -e 'D')
: >"$file"
printf '%s\n' "$joined" | while read -r word name rules; do
    variable=REDIS_$(printf %s "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD
    eval "password=\${$variable:-}"
    if [ "$rules" = off ]; then
        echo "$word $name $rules"
    elif [ -n "$password" ]; then
        echo "$word $name on #$(printf %s "$password" | sha256sum | cut -d ' ' -f 1) $rules"
    fi
done >>"$file"
[ $# -gt 0 ] || exit 0
# The server itself needs no password.
for variable in $(env | sed -n 's/^\(REDIS_[A-Z]*_PASSWORD\)=.*/\1/p'); do unset "$variable"; done
exec "$@"
