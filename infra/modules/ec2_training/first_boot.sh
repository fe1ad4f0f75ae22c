# Runs once, as root, when the instance starts for the first time; the line above sets max_hours.
# Installs the dead man's switch below, which then works at this and every later boot: the
# instance goes off after max_hours whatever happens, and earlier when nobody trains on it.
set -euo pipefail

every_boot="${KENNEL_PER_BOOT:-/var/lib/cloud/scripts/per-boot}"
mkdir -p "$every_boot"
cat >"$every_boot/dead_man.sh" <<SWITCH
#!/bin/bash
set -euo pipefail
shutdown -P +$((max_hours * 60)) "max_hours is $max_hours" || shutdown -P now
systemd-run --unit=idle-guard bash "$every_boot/idle_guard"
SWITCH

# Without the .sh it is no boot script of its own: cloud-init runs what is executable.
cat >"$every_boot/idle_guard" <<'GUARD'
while sleep 900; do
  running=$(systemctl list-units --state=running --no-legend --plain 'kennel-*') || continue
  [ -n "$running" ] || shutdown -P now
done
GUARD

chmod 755 "$every_boot/dead_man.sh"
chmod 644 "$every_boot/idle_guard"
"$every_boot/dead_man.sh"
