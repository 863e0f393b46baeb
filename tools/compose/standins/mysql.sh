#!/bin/sh
# As MySQL's image begins: the volume is given to the user mysql, and the first start makes the database and its users.
set -eu
data=/var/lib/mysql
if [ "$(id -u)" = 0 ]; then
    chown -R mysql:mysql "$data" /run/mysqld
    exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
fi
if [ ! -d "$data/mysql" ]; then
    mysqld --no-defaults --initialize-insecure --datadir="$data"
    # Read before the server listens.
    cat > /tmp/first.sql <<SQL
CREATE USER root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
CREATE DATABASE $MYSQL_DATABASE;
CREATE USER $MYSQL_USER@'%' IDENTIFIED BY '$MYSQL_PASSWORD';
GRANT ALL ON $MYSQL_DATABASE.* TO $MYSQL_USER@'%';
ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
SQL
    set -- "$@" --init-file=/tmp/first.sql
fi
exec mysqld --no-defaults --datadir="$data" --socket=/run/mysqld/mysqld.sock --pid-file=/run/mysqld/mysqld.pid \
    --mysqlx=OFF --skip-name-resolve "$@"
