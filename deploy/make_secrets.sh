#!/bin/sh
# Writes .env, which docker-compose.yaml reads: a copy of .env.example, with a random value for every
# secret that has none yet. What .env already says is kept.
set -eu
umask 077

cd "$(dirname "$0")/.."
example=.env.example
target=.env
draft=.env.new

random_hex() {
    od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'
}

random_fernet_key() {
    # 32 bytes in the alphabet of URLs, as Fernet wants them.
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n'
}

filled() {
    case $1 in
        *_FERNET_KEY=) printf '%s%s\n' "$1" "$(random_fernet_key)" ;;
        *_PASSWORD= | *_KEY= | *_SECRET=) printf '%s%s\n' "$1" "$(random_hex)" ;;
        *) printf '%s\n' "$1" ;;
    esac
}

lines_of() {
    while IFS= read -r line || [ -n "$line" ]; do
        filled "$line"
    done <"$1"
}

trap 'rm -f "$draft"' EXIT
if [ -f "$target" ]; then
    lines_of "$target" >"$draft"
    while IFS= read -r line; do
        name=${line%%=*}
        case $line in
            [A-Z]*=*) grep -q "^$name=" "$target" || filled "$line" >>"$draft" ;;
        esac
    done <"$example"
else
    lines_of "$example" >"$draft"
fi
mv "$draft" "$target"
echo "The secrets are in $target. Next: docker compose up --detach --wait --build"
echo "Then log in to the Airflow UI as admin, with AIRFLOW_ADMIN_PASSWORD from $target."
