#!/bin/sh
# Fill in the secrets that are empty in a copy of .env.example: sh deploy/secrets.sh .env
# What is set already stays. The file is readable by its owner alone.
set -eu
umask 077
file=$1
growing=$file.growing
trap 'rm -f "$growing"' EXIT
while IFS= read -r line || [ -n "$line" ]; do
    case $line in
        FLOWER_BASIC_AUTH=) line=${line}admin: && secret=yes ;;
        [A-Z]*_PASSWORD= | [A-Z]*_KEY= | [A-Z]*_SECRETS=) secret=yes ;;
        *) secret= ;;
    esac
    [ -z "$secret" ] || line=$line$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    printf '%s\n' "$line"
done <"$file" >"$growing"
mv "$growing" "$file"
