//! What is tried, in this order, each on what the one before has left.

/// A script of the shell that ends at the first command that fails; `! command` does so only as the last one.
pub(super) struct Check {
    pub(super) what: &'static str,
    pub(super) script: &'static str,
}

const fn check(what: &'static str, script: &'static str) -> Check {
    Check { what, script }
}

/// The steps of docs/deploy.md, and what has to follow.
pub(super) const ALL: [Check; 11] = [
    check("the package is installed", "dpkg -i /root/posemesh-node.deb; getent passwd posemesh; stat -c '%A %U %G %n' /etc/posemesh-node"),
    check(
        "it starts, and is active once it is up",
        "systemd-run --quiet --unit=devnet /opt/posemesh-node devnet
         for i in $(seq 100); do journalctl -u devnet -o cat | grep -q 'export TOKEN' && break; sleep 0.2; done
         posemesh-node key generate --out /etc/posemesh-node/private-key
         journalctl -u devnet -o cat | sed -n 's/.*REG_SECRET=//p' | tr -d '\\n' | install -m 0600 /dev/stdin /etc/posemesh-node/reg-secret
         cat >> /etc/posemesh-node/posemesh-node.toml <<END
dds_base_url = \"http://127.0.0.1:18080\"
dms_base_url = \"http://127.0.0.1:18080/v1\"
max_concurrency = 2
enable_noop = true
audit_log = \"/var/log/posemesh-node/audit.log\"
END
         systemctl enable --now posemesh-node
         systemctl is-active posemesh-node
         install -m 0644 /opt/*.wasm /var/lib/posemesh-node/plugins/
         for i in $(seq 100); do curl -sf 127.0.0.1:8090/ready && break; sleep 0.5; done
         curl -sf 127.0.0.1:8090/ready > /dev/null",
    ),
    check(
        "the secrets are credentials, in no environment",
        "pid=$(systemctl show -p MainPID --value posemesh-node)
         ls /run/credentials/posemesh-node.service
         if tr '\\0' '\\n' < /proc/$pid/environ | grep 'REG_SECRET=\\|PRIVHEX=' > /dev/null; then echo a secret is in the environment >&2; exit 1; fi
         grep -q 'NoNewPrivs:.1' /proc/$pid/status; grep -q 'CapEff:.0000000000000000' /proc/$pid/status",
    ),
    check(
        "tasks are worked on in sandbox processes, and nothing is missing that a kernel like this one has",
        "eval $(journalctl -u devnet -o cat | sed -n 's/.*export \\(TOKEN=[^ ]*\\) \\(DOMAIN_ID=[^ ]*\\).*/export \\1 \\2/p' | head -1)
         /opt/posemesh-node devnet load --rate 5 --seconds 3
         for i in $(seq 300); do curl -s 127.0.0.1:8090/api/status | grep -q '\"completed\":15,\"failed\":0' && break; sleep 0.2; done
         curl -s 127.0.0.1:8090/api/status | grep -o '\"totals\":{[^}]*}'
         curl -s 127.0.0.1:8090/api/status | grep -q '\"completed\":15,\"failed\":0'
         curl -s 127.0.0.1:8090/api/status | grep -o '\"sandbox\":{[^}]*}'",
    ),
    check(
        "commands go by the control socket, as root and as the node's user, and nobody else",
        "posemesh-node status --config /etc/posemesh-node/posemesh-node.toml | head -1 | grep READY
         setpriv --reuid posemesh --regid posemesh --init-groups posemesh-node pause --note try --config /etc/posemesh-node/posemesh-node.toml
         posemesh-node resume --config /etc/posemesh-node/posemesh-node.toml
         ! setpriv --reuid 65534 --clear-groups posemesh-node pause --status-addr 127.0.0.1:8090 2> /dev/null",
    ),
    check(
        "it is reloaded, and says what needs a restart",
        "sed -i 's/^max_concurrency.*/max_concurrency = 3/; s#^work_dir.*#work_dir = \"/var/lib/posemesh-node/other\"#' /etc/posemesh-node/posemesh-node.toml
         systemctl reload posemesh-node
         for i in $(seq 100); do curl -s 127.0.0.1:8090/ready | grep 'next start of the node: WORK_DIR' && break; sleep 0.1; done
         curl -s 127.0.0.1:8090/api/status | grep -q '\"slots\":3'
         posemesh-node reload --config /etc/posemesh-node/posemesh-node.toml | grep 'WORK_DIR: has changed'
         sed -i 's#^work_dir.*#work_dir = \"/var/lib/posemesh-node/work\"#' /etc/posemesh-node/posemesh-node.toml",
    ),
    check(
        "the journal has the log as JSON",
        "journalctl -u posemesh-node -o cat _COMM=posemesh-node | head -1 | grep '^{.*\"message\":\"posemesh-node starts\"' | cut -c1-120
         ! journalctl -u posemesh-node -o cat _COMM=posemesh-node | grep -v '^{.*}$'",
    ),
    check(
        "the audit log is where the unit lets it be written, and nobody else reads it",
        "test -s /var/log/posemesh-node/audit.log
         stat -c '%a %U' /var/log/posemesh-node/audit.log | grep '^600 posemesh$'",
    ),
    check(
        "it ends in its time and gives back what it holds",
        "eval $(journalctl -u devnet -o cat | sed -n 's/.*export \\(TOKEN=[^ ]*\\) \\(DOMAIN_ID=[^ ]*\\).*/export \\1 \\2/p' | head -1)
         /opt/posemesh-node devnet load --rate 1 --seconds 1 --meta '{\"sleep_ms\": 600000}' > /dev/null
         for i in $(seq 600); do curl -s 127.0.0.1:8090/api/status | grep -q '\"state\":\"running\"' && break; sleep 0.1; done
         systemd-cgls --no-pager -u posemesh-node | head -8
         began=$(date +%s); systemctl stop posemesh-node; echo stopped after $(($(date +%s) - began)) s
         test $(systemctl show -p Result --value posemesh-node) = success
         posemesh-node tasks --config /etc/posemesh-node/posemesh-node.toml | grep -q node_shutdown",
    ),
    check(
        "one that hangs is ended by the watchdog and started again",
        "mkdir -p /etc/systemd/system/posemesh-node.service.d
         printf '[Service]\\nWatchdogSec=6\\nRestartSec=1\\n' > /etc/systemd/system/posemesh-node.service.d/try.conf
         systemctl daemon-reload; systemctl start posemesh-node
         kill -STOP $(systemctl show -p MainPID --value posemesh-node)
         for i in $(seq 60); do test $(systemctl show -p NRestarts --value posemesh-node) != 0 && break; sleep 1; done
         journalctl -u posemesh-node -o cat | grep 'Watchdog timeout'
         for i in $(seq 100); do curl -sf 127.0.0.1:8090/ready && break; sleep 0.2; done
         curl -sf 127.0.0.1:8090/ready > /dev/null
         posemesh-node plugin history noop --config /etc/posemesh-node/posemesh-node.toml | grep -q node_killed",
    ),
    check(
        "the package goes, its nodes before it, and identity and history stay",
        "systemctl is-active posemesh-node; dpkg --purge posemesh-node 2> /dev/null
         test $(systemctl show -p ActiveState --value posemesh-node) != active
         test ! -e /etc/systemd/system/multi-user.target.wants/posemesh-node.service
         ls /etc/posemesh-node/private-key /var/lib/posemesh-node/data/history.sqlite
         ! ls /usr/bin/posemesh-node 2> /dev/null",
    ),
];
