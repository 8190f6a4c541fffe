#!/bin/sh
# Bring the metadata database to this version and make what Airflow needs once: roles, the pool and the administrator.
# Runs before every start; doing it again changes nothing.
set -eu

airflow db migrate
airflow sync-perm
airflow pools set warehouse 1 "Tasks that write to the warehouse file: one at a time"

# The portal's roles (docs/portal.md); the permission shows it in Airflow's navigation.
for role in Viewer Analyst Marketer Steward Admin; do
    airflow roles create "Tagloom $role"
    airflow roles add-perms "Tagloom $role" --action can_read --resource Plugins
done

# Leaves an administrator who is there already as he is, also the password.
airflow users create --role Admin --username admin --firstname Tagloom --lastname Administrator \
    --email "$TAGLOOM_ADMIN_EMAIL" --password "$TAGLOOM_ADMIN_PASSWORD"
