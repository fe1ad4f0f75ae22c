#!/bin/bash
# Runs as root at every start of the notebook instance, for at most 5 minutes.
set -euo pipefail

install -d -m 755 /opt/kennel
cat >/opt/kennel/idle_stop.py <<'IDLE_STOP'
${idle_stop}
IDLE_STOP

# First of all, so that whatever fails below, the instance does not run all night.
echo '*/5 * * * * root python3 /opt/kennel/idle_stop.py ${idle_minutes} 2>&1 | logger -t idle-stop' \
  >/etc/cron.d/kennel-idle-stop
chmod 644 /etc/cron.d/kennel-idle-stop

# A notebook that was changed here stays as it is: only newer files of the bucket come down. What
# `make upload` puts there later comes within five minutes.
cat >/opt/kennel/sync.sh <<'SYNC'
aws s3 sync --no-progress 's3://${bucket_name}/notebooks/' /home/ec2-user/SageMaker/kennel/
SYNC
echo '*/5 * * * * ec2-user bash /opt/kennel/sync.sh 2>&1 | logger -t sync' >/etc/cron.d/kennel-sync
chmod 644 /etc/cron.d/kennel-sync
sudo -u ec2-user bash /opt/kennel/sync.sh
