#!/bin/sh
# Makes the role that drains work as. The PostgreSQL image runs this once, on an empty volume.
set -eu

if ! [ -s "$BATCHDRAIN_PASSWORD_FILE" ]; then
    echo "TARGET_PASSWORD has no value in .env; run make secrets." >&2
    exit 1
fi

# It may make its own schema and the error tables, and change what is in the tables that the
# superuser makes later; it can neither drop nor alter them.
psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set password `cat "$BATCHDRAIN_PASSWORD_FILE"`
CREATE ROLE batchdrain LOGIN PASSWORD :'password';
GRANT CREATE ON DATABASE :"DBNAME" TO batchdrain;
GRANT USAGE, CREATE ON SCHEMA public TO batchdrain;
ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO batchdrain;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO batchdrain;
SQL
